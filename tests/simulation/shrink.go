package simulation

import (
	"slices"
)

// maxTrials bounds the runs of one Shrink.
const maxTrials = 200

// Shrink returns a smaller plan whose run fails, too. It leaves out kinds of faults,
// clients and processes, then requests, then single faults. run runs a plan.
func Shrink(plan Plan, run func(Plan) Result) Result {
	s := &shrinking{best: run(plan), run: run}
	if s.best.Failure == "" {
		return s.best
	}
	for size := -1; size != s.size(); {
		size = s.size()
		s.kinds()
		s.numbers()
		s.requests()
		s.faults()
	}
	return s.best
}

// shrinking is a Shrink under way.
type shrinking struct {
	best   Result
	trials int
	run    func(Plan) Result
}

// size is the size of the best plan.
func (s *shrinking) size() int {
	p := s.best.Plan
	return int(kinds) - len(p.Without) + p.Clients*p.Requests - len(p.NoRequest) + p.Processes + s.best.Faults
}

// try runs a plan, and takes it if it fails.
func (s *shrinking) try(p Plan) bool {
	if s.trials++; s.trials > maxTrials {
		return false
	}
	r := s.run(p)
	if r.Failure == "" {
		return false
	}
	s.best = r
	return true
}

// copy returns a copy of the best plan.
func (s *shrinking) copy() Plan {
	p := s.best.Plan
	p.Without = slices.Clone(p.Without)
	p.NoFault, p.NoRequest = cloned(p.NoFault), cloned(p.NoRequest)
	return p
}

func cloned(m map[int]bool) map[int]bool {
	c := map[int]bool{}
	for k := range m {
		c[k] = true
	}
	return c
}

// kinds leaves out kinds of faults, one after the other.
func (s *shrinking) kinds() {
	for k := range kinds {
		if p := s.copy(); p.has(k) {
			p.Without = append(p.Without, k)
			s.try(p)
		}
	}
}

// numbers reduces the numbers of requests, clients and processes.
func (s *shrinking) numbers() {
	for _, field := range []func(*Plan) *int{
		func(p *Plan) *int { return &p.Requests }, func(p *Plan) *int { return &p.Clients }, func(p *Plan) *int { return &p.Processes },
	} {
		for n := *field(&s.best.Plan) / 2; n > 0; n /= 2 {
			for {
				p := s.copy()
				if *field(&p) -= n; *field(&p) < 1 || !s.try(p) {
					break
				}
			}
		}
	}
}

// requests leaves out single requests, the last ones first.
func (s *shrinking) requests() {
	for client := range s.best.Plan.Clients {
		for n := s.best.Plan.Requests - 1; n >= 0; n-- {
			if p := s.copy(); !p.NoRequest[client*1000+n] {
				p.NoRequest[client*1000+n] = true
				s.try(p)
			}
		}
	}
}

// faults leaves out single faults, the last ones first. An earlier step does not depend
// on a later fault.
func (s *shrinking) faults() {
	steps := s.best.FaultSteps
	for i := len(steps) - 1; i >= 0; i-- {
		if p := s.copy(); !p.NoFault[steps[i]] {
			p.NoFault[steps[i]] = true
			s.try(p)
		}
	}
}

package drivertest

import (
	"context"
	"fmt"
	"strings"
)

// attempt is a call in progress.
type attempt struct {
	*Faults
	name  string
	call  int // number
	fault Fault
	fails bool
	lost  bool // an Outage loses the answer
}

// begin numbers a call. It returns the error of a call that fails without effect.
func (f *Faults) begin(ctx context.Context, method, arg string) (attempt, error) {
	a, outage, err := f.number(strings.TrimSpace(method + " " + arg))
	if err != nil || outage == nil {
		return a, err
	}
	if a.lost, err = outage.meet(ctx, a.name); err == nil && f.Dead() { // died during the wait
		err = a.error()
	}
	return a, err
}

// number numbers a call and fails it if a fault Before its effect is planned.
func (f *Faults) number(name string) (attempt, *Outage, error) {
	a := attempt{Faults: f, name: name}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return a, nil, a.error()
	}
	f.made++
	a.call = f.made
	if !f.forget {
		f.calls = append(f.calls, a.name)
	}
	a.fault, a.fails = f.plan[a.call]
	if a.fails && (a.fault.When == Before || a.fault.When == Midway && !Partial(a.name)) {
		a.strike()
		return a, nil, a.error()
	}
	return a, f.outage, nil
}

// midway reports whether the call is to have a part of its effect.
func (a attempt) midway() bool { return a.fails && a.fault.When == Midway }

// end returns the error of the call, given that the wrapped call returned err.
func (a attempt) end(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fails {
		a.strike()
		return a.error()
	}
	if a.dead || a.lost { // the process died during the call
		return a.error()
	}
	if a.ended != nil {
		a.ended(a.call)
	}
	return err
}

// strike kills the process if the fault says so. f.mu is held.
func (a attempt) strike() {
	if a.fault.Die {
		a.die()
	}
}

func (a attempt) error() error { return fmt.Errorf("%s: %w", a.name, ErrFault) }

// broken reports whether reads of the object that a has opened fail now.
func (a attempt) broken() bool {
	a.mu.Lock()
	outage := a.outage
	a.mu.Unlock()
	return outage != nil && outage.breaks(a.name)
}

// Call stands for a call to a service that is not a driver, such as a key service.
// It is numbered and fails as planned. Its half effect is no effect.
func (f *Faults) Call(ctx context.Context, name string) error {
	a, err := f.begin(ctx, name, "")
	if err != nil {
		return err
	}
	return a.end(nil)
}

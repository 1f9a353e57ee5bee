package simulation

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Errors of calls.
var (
	errFault = errors.New("simulated fault")
	errDead  = errors.New("the process is dead")
)

// call is a call of a port that waits for its turn.
type call struct {
	process *Process
	name    string // such as "Blobs.Put private/x"
	changes bool   // it changes rows, objects or messages
	site    *site
	arrived moment
	owner   owner
	twins   []*call // further calls that are joined with this one
	due     time.Time
	aimed   bool // a fault of an aim has met it
	turn    chan fate
}

// fate is the scheduler's decision on a call.
type fate struct {
	err  error         // the call fails without effect
	lost bool          // the answer is lost
	half bool          // the call has a part of its effect
	die  bool          // the process dies after the effect
	sent bool          // the process has died, and the call may take effect all the same
	slow time.Duration // delay of the answer
}

// enter parks the caller until the scheduler lets the call go on.
func (p *Process) enter(ctx context.Context, name string, changes bool) (fate, error) {
	w := p.world
	if p.dead.Load() {
		return fate{}, errDead
	}
	if err := ctx.Err(); err != nil || w.open {
		return fate{}, err
	}
	c := &call{process: p, name: name, changes: changes, site: w.coverage.site(ctx, name), owner: ownerOf(ctx), turn: make(chan fate, 1)}
	w.park(c)
	select {
	case f := <-c.turn:
		return f, f.err
	case <-ctx.Done():
		if !w.withdraw(c) { // select chose at random between two ready cases
			f := <-c.turn
			return f, f.err
		}
		return fate{}, ctx.Err()
	}
}

// do makes a call of a port. effect gets a context that is never done.
func do[T any](ctx context.Context, p *Process, name string, changes bool, effect func(ctx context.Context, half bool) (T, error)) (T, error) {
	var none T
	f, err := p.enter(ctx, name, changes)
	inner := context.WithoutCancel(ctx)
	if err != nil {
		if changes && (f.sent || ctx.Err() != nil && !p.dead.Load()) {
			p.world.late(name, func() { _, _ = effect(context.WithValue(inner, lateKey{}, true), false) })
		}
		return none, err
	}
	v, err := effect(inner, f.half)
	return after(ctx, p, f, v, err)
}

// after is the end of a call that has had its effect.
func after[T any](ctx context.Context, p *Process, f fate, v T, err error) (T, error) {
	var none T
	if f.die {
		p.world.kill(p)
	}
	if f.slow > 0 {
		timer := time.NewTimer(f.slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	switch {
	case p.dead.Load():
		return none, errDead
	case f.lost && (err == nil || !p.world.Plan.Only) || f.half && err == nil:
		return none, errFault
	}
	return v, err
}

// lateKey marks the context of a call that has its effect after its caller has given it up.
type lateKey struct{}

// park adds a call that waits for its turn.
func (w *World) park(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.process.dead.Load() || w.failed.Load() {
		c.turn <- fate{err: errDead}
		return
	}
	c.arrived = w.moment()
	w.parked = append(w.parked, c)
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

// drop ends the wait of some calls. They have no effect.
func (w *World) drop(which func(*call) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parked = slices.DeleteFunc(w.parked, func(c *call) bool {
		if which(c) {
			c.turn <- fate{err: errDead}
			return true
		}
		return false
	})
}

// withdraw removes a call whose context is over. It returns false if the call has its
// fate.
func (w *World) withdraw(c *call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.parked, c)
	if i >= 0 {
		w.parked = slices.Delete(w.parked, i, i+1)
	}
	return i >= 0
}

// late has a call take effect up to 90 seconds after its caller has given it up, or has
// died.
func (w *World) late(name string, effect func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := newDice(w.Plan.Seed, 11, uint64(w.steps))
	if w.calm || !w.Plan.has(Late) || d.one(2) || w.Plan.NoFault[w.steps] || w.failed.Load() {
		return
	}
	w.coverage.fault(Late)
	w.faultSteps = append(w.faultSteps, w.steps)
	c := &call{process: w.ghost, name: "late " + name, arrived: w.moment(), due: time.Now().Add(d.upTo(90 * time.Second)), turn: make(chan fate, 1)}
	w.parked = append(w.parked, c)
	go func() {
		if f := <-c.turn; f.err == nil {
			effect()
		}
	}()
}

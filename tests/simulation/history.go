package simulation

import (
	"context"
	"fmt"
	"math"

	"github.com/anishathalye/porcupine"
)

// request is a request of a client to change or read a list. Its times are numbers of
// events.
type request struct {
	client     int
	call, back int64 // back is 0 while the client has no answer
	made       bool  // it has made a mirror
}

type requestKey struct{}

// transition is an operation of a history: a change of a list from one state to
// another, or a read of a state.
type transition struct{ before, after string }

// event returns the number of the next event.
func (w *World) event() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events++
	return w.events
}

// called notes that a task was admitted for a client's request.
func (c *checker) called(ctx context.Context, id int64) {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		c.requests[id] = r
	}
}

// admitted returns the task that was admitted for a request, 0 if there is none.
func (c *checker) admitted(r *request) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, other := range c.requests {
		if other == r {
			return id
		}
	}
	return 0
}

// transition notes a change of a list by a task.
func (c *checker) transition(key string, id int64, before, after set) {
	c.made[key] = append(c.made[key], made{c.requests[id], transition{text(before), text(after)}})
}

// seen notes a read of a list by a client.
func (c *checker) seen(key string, r *request, keys set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[key] = append(c.made[key], made{r, transition{text(keys), text(keys)}})
}

// made is a transition and the request for it; nil if no client waits for it.
type made struct {
	request *request
	transition
}

func text(s set) string {
	if s == nil {
		return "none"
	}
	return s.String()
}

// linear is the model of one list: an operation is possible in its state before.
var linear = porcupine.Model{
	Init: func() any { return "none" },
	Step: func(state, input, _ any) (bool, any) {
		t := input.(transition)
		return state.(string) == t.before, t.after
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprint(input) },
}

// histories returns the operations on each list, by the name of its row. A change whose
// client got no answer has no end.
func (c *checker) histories() map[string][]porcupine.Operation {
	all := map[string][]porcupine.Operation{}
	for key, list := range c.made {
		for _, m := range list {
			op := porcupine.Operation{ClientId: 1000, Input: m.transition, Return: math.MaxInt64}
			if m.request != nil {
				op.ClientId, op.Call = m.request.client, m.request.call
				if m.request.back > 0 {
					op.Return = m.request.back
				}
			}
			all[key] = append(all[key], op)
		}
	}
	return all
}

// sizes returns the number of histories that are checked, and of the operations in them.
func (r Result) sizes() (histories, operations int) {
	for _, ops := range r.histories {
		if len(ops) >= 2 {
			histories, operations = histories+1, operations+len(ops)
		}
	}
	return histories, operations
}

// Linearizable requires that each change and each read of a list has taken effect at a
// moment between its request and its answer.
func (r Result) Linearizable() error {
	for key, ops := range r.histories {
		if len(ops) < 2 {
			continue
		}
		for i := range ops { // operations without an end overlap each other, so each has a client of its own
			if ops[i].Return == math.MaxInt64 {
				ops[i].ClientId = 10_000 + i
			}
		}
		if !porcupine.CheckOperations(linear, ops) {
			return fmt.Errorf("the history of %s is not linearizable: %v", key, ops)
		}
	}
	return nil
}

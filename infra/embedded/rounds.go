package embedded

import (
	"errors"
	"sync"
)

// rounds lets concurrent callers share an expensive operation. Callers that arrive during a
// round wait for the next one. Its first caller runs it once for all of them.
type rounds[T any] struct {
	run   func(items []T) error
	limit int // a round of this weight accepts no further caller

	turn sync.Mutex // held while run runs

	mu   sync.Mutex // guards next
	next *round[T]  // the round to join; nil if no caller waits
}

type round[T any] struct {
	items  []T
	weight int
	err    error
	done   chan struct{} // closed when err is set
}

// errInterrupted is the result of a round's other callers if run panics.
var errInterrupted = errors.New("interrupted")

// join runs item in a round that begins after the call, and returns the round's result.
func (r *rounds[T]) join(item T, weight int) error {
	r.mu.Lock()
	if mine := r.next; mine != nil && mine.weight+weight <= r.limit {
		mine.items = append(mine.items, item)
		mine.weight += weight
		r.mu.Unlock()
		<-mine.done
		return mine.err
	}
	mine := &round[T]{items: []T{item}, weight: weight, err: errInterrupted, done: make(chan struct{})}
	r.next = mine
	r.mu.Unlock()
	defer close(mine.done)

	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	if r.next == mine {
		r.next = nil
	}
	r.mu.Unlock()
	mine.err = r.run(mine.items)
	return mine.err
}

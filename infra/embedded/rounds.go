package embedded

import (
	"errors"
	"sync"
)

// rounds lets concurrent callers share something expensive. While it is done
// for some, those who come wait together; then it is done once for all of
// them, by the first who came.
type rounds[T any] struct {
	run   func(items []T) error
	limit int // weight of a round that others still join

	turn sync.Mutex // held while run runs

	mu   sync.Mutex // guards next
	next *round[T]  // which can be joined; nil if nobody waits
}

type round[T any] struct {
	items  []T
	weight int
	err    error
	done   chan struct{} // closed when err is set
}

// errInterrupted is what the others of a round get when run panics.
var errInterrupted = errors.New("interrupted")

// join has item run in a round that begins after the call and returns what
// became of the round.
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

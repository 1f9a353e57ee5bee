package mirror

// inOrder reorders numbered values that arrive in any order. Numbers begin at 0.
// Example: values 1 and 2 wait; once 0 arrives, all three are released.
type inOrder[T any] struct {
	waiting map[int]T // by number, all above next
	next    int       // the first number that has not arrived
}

// add takes value n and returns the values that are now in order.
func (q *inOrder[T]) add(n int, value T) []T {
	if q.waiting == nil {
		q.waiting = map[int]T{}
	}
	q.waiting[n] = value
	var ready []T
	for {
		v, ok := q.waiting[q.next]
		if !ok {
			return ready
		}
		delete(q.waiting, q.next)
		ready = append(ready, v)
		q.next++
	}
}

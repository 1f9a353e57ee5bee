package mirror

// inOrder gives values in the order of their numbers, which begin at 0, whatever
// the order in which they come. Example: after 1 and 2 came nothing is given, and
// when 0 comes all three are.
type inOrder[T any] struct {
	waiting map[int]T // those after next
	next    int       // the first number that has not come
}

// add takes the value of a number and returns those that are next.
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

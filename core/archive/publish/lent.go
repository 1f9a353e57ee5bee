package publish

import (
	"slices"
	"sync"

	"aptless/core/engine/lists"
)

// lent remembers which publication had a list last. It may be out of date: only the row of
// a publication says which list it has.
type lent struct {
	mu    sync.Mutex
	by    map[lists.Digest]Name
	order []lists.Digest // the oldest first
}

// maxLent bounds the lists that lent remembers.
const maxLent = 256

// note remembers a publication that was committed.
func (l *lent) note(p *Publication) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[lists.Digest]Name{}
	}
	for _, list := range listsOf(p.Components) {
		if _, known := l.by[list.Digest]; !known {
			l.order = append(l.order, list.Digest)
		}
		l.by[list.Digest] = p.Name
	}
	for len(l.order) > maxLent {
		delete(l.by, l.order[0])
		l.order = l.order[1:]
	}
}

// find returns the publications that had one of the lists last.
func (l *lent) find(all []lists.Ref) []Name {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []Name
	for _, list := range all {
		if n, ok := l.by[list.Digest]; ok && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

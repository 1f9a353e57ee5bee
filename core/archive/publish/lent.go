package publish

import (
	"slices"
	"sync"

	"aptless/core/engine/lists"
)

// lent remembers which publication had a list last, and which had it last with Contents. It
// may be out of date: only the row of a publication says which list it has.
type lent struct {
	mu    sync.Mutex
	by    map[lists.Digest]holders
	order []lists.Digest // the oldest first
}

// holders are the publications that had a list last; withContents may be the zero Name.
type holders struct{ last, withContents Name }

// maxLent bounds the lists that lent remembers.
const maxLent = 256

// note remembers a publication that was committed.
func (l *lent) note(p *Publication) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[lists.Digest]holders{}
	}
	for _, list := range listsOf(p.Components) {
		if _, known := l.by[list.Digest]; !known {
			l.order = append(l.order, list.Digest)
		}
		had := l.by[list.Digest]
		if had.last = p.Name; !p.SkipContents {
			had.withContents = p.Name
		}
		l.by[list.Digest] = had
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
		had, ok := l.by[list.Digest]
		for _, n := range []Name{had.last, had.withContents} {
			if ok && n != (Name{}) && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

package publish

import (
	"slices"
	"sync"

	"aptless/core/engine/lists"
)

// maxFolders bounds the folders of rendered indexes that a publication looks at.
const maxFolders = 8

// ahead remembers which indexes were rendered ahead.
type ahead struct {
	mu     sync.Mutex
	read   bool                  // the storage was read
	ready  []rendered            // the newest last
	passed map[lists.Digest]bool // lists that need no rendering
}

// rendered is a folder whose indexes are complete.
type rendered struct {
	folder string
	list   lists.Digest
	uuid   string // of the repository; "" if an earlier process has rendered it
}

// has reports whether a list is rendered, or needs no rendering.
func (a *ahead) has(list lists.Digest) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.passed[list] || slices.ContainsFunc(a.ready, func(r rendered) bool { return r.list == list })
}

// pass notes that a list needs no rendering now.
func (a *ahead) pass(list lists.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.passed == nil || len(a.passed) >= maxLent {
		a.passed = map[lists.Digest]bool{}
	}
	a.passed[list] = true
}

// add notes a folder. It returns the folders that r replaces: that of the same repository,
// and the oldest beyond maxFolders.
func (a *ahead) add(r rendered) (former []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready = slices.DeleteFunc(a.ready, func(old rendered) bool {
		if old.folder == r.folder || old.uuid != r.uuid {
			return old.folder == r.folder
		}
		former = append(former, old.folder)
		return true
	})
	for len(a.ready) >= maxFolders {
		former = append(former, a.ready[0].folder)
		a.ready = a.ready[1:]
	}
	a.ready = append(a.ready, r)
	return former
}

// all returns the folders, the newest first.
func (a *ahead) all() []rendered {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Clone(a.ready)
	slices.Reverse(all)
	return all
}

func (a *ahead) wasRead() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.read
}

// wereRead notes the folders of earlier processes.
func (a *ahead) wereRead(ready []rendered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read, a.ready = true, append(ready, a.ready...)
}

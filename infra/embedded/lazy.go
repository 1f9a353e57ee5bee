package embedded

import (
	"context"
	"errors"
	"path"
	"sync"
	"time"
)

const (
	maxListed = 64 // files that a barrier syncs one by one; more need one syncfs
	maxSyncs  = 8  // fsyncs at the same time
)

// pending has the lazy changes that are not known to be durable.
type pending struct {
	mu      sync.Mutex
	changes int64           // number of lazy changes since the process began
	files   map[string]bool // keys of objects whose bytes may be lost
	folders map[string]bool // folders in which names came or went
	many    bool            // the changes are too many for files and folders
	naming  map[int64]bool  // odd stamps of objects that have no name yet

	durable int64 // number of the first changes that are durable
	synced  int64 // objects with a stamp up to this are durable; see stamps
}

// barrier has the lazy changes that a round makes durable. After the round the first
// changes are durable, and so are the bytes of objects with a stamp up to synced.
type barrier struct {
	files, folders map[string]bool
	many           bool
	changes        int64
	synced         int64
}

// stamp returns a stamp for an object without a name. A lazy stamp is in naming until
// the caller passes it to named.
func (b *Blobs) stamp(lazy bool, notBefore time.Time) (time.Time, error) {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	stamp, err := b.stamps.next(lazy, notBefore)
	if err == nil && lazy {
		b.lazy.naming[stamp.UnixMicro()] = true
	}
	return stamp, b.failing(err)
}

// named notes that the object with a lazy stamp has the name key; "" says that it gets
// no name.
func (b *Blobs) named(stamp time.Time, key string) {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	delete(b.lazy.naming, stamp.UnixMicro())
	if key != "" {
		b.lazy.note(key, path.Dir(key))
	}
}

// moved notes a lazy change: of names in folders, and of the bytes of the object file.
// "" is no object.
func (b *Blobs) moved(file string, folders ...string) {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	b.lazy.note(file, folders...)
}

// note adds a lazy change. The caller holds p.mu.
func (p *pending) note(file string, folders ...string) {
	p.changes++
	if p.many {
		return
	}
	if file != "" {
		p.files[file] = true
	}
	for _, f := range folders {
		p.folders[f] = true
	}
	if len(p.files)+len(p.folders) > 2*maxListed || len(p.files) > maxListed {
		p.many, p.files, p.folders = true, map[string]bool{}, map[string]bool{}
	}
}

// unsynced reports whether a power failure may tear the object with the stamp.
func (p *pending) unsynced(stamp time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := stamp.UnixMicro()
	return n&1 == 1 && n > p.synced
}

// take takes all noted changes as a barrier; false if there are none. last is the last
// stamp that was handed out.
//
// An object without a name keeps synced below its stamp. Example: 7 and 9 are handed
// out, and 9 has its name. The barrier syncs the object of 9, and its synced is 6.
func (p *pending) take(last int64) (barrier, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes == p.durable {
		return barrier{}, false
	}
	b := barrier{p.files, p.folders, p.many, p.changes, last}
	for stamp := range p.naming {
		b.synced = min(b.synced, stamp-1)
	}
	p.files, p.folders, p.many = map[string]bool{}, map[string]bool{}, false
	return b, true
}

// done notes the end of a round: its changes are durable unless err is set.
func (p *pending) done(b barrier, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.many = true // the lists of the barrier are gone, so the next round needs a syncfs
		return
	}
	p.durable, p.synced = max(p.durable, b.changes), max(p.synced, b.synced)
}

// Sync implements driver.Blobs.
func (b *Blobs) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.sync()
}

// sync makes all lazy changes durable that returned before it began. It commits the
// stamp up to which objects are durable.
func (b *Blobs) sync() error {
	if b.clean() {
		return nil
	}
	return b.commit()
}

// clean reports whether no lazy change needs a Sync.
func (b *Blobs) clean() bool {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	return b.lazy.changes == b.lazy.durable
}

// pass makes all lazy changes durable that returned before it began. Concurrent callers
// share a round. A syncError ends the process.
func (b *Blobs) pass() error {
	if b.clean() {
		return nil
	}
	return b.failing(b.barriers.join(struct{}{}, 1))
}

func (b *Blobs) passRound([]struct{}) error {
	next, some := b.lazy.take(b.stamps.lastStamp())
	if !some {
		return nil
	}
	var err error
	if next.many {
		err = b.disk.syncAll()
	} else {
		err = b.syncListed(next)
	}
	b.lazy.done(next, err)
	return err
}

// syncListed makes the changes of a barrier durable one by one. It begins to write all
// files before it waits for the first, so they share the file system's commits.
func (b *Blobs) syncListed(next barrier) error {
	for file := range next.files {
		b.disk.startWriting(file)
	}
	if err := each(next.files, b.disk.syncObject); err != nil {
		return err
	}
	return each(next.folders, func(folder string) error { return b.folders.sync(folder + "/x") })
}

// each calls do for all names, maxSyncs at the same time. A name that is gone is no
// error.
func each(names map[string]bool, do func(string) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	slots := make(chan struct{}, maxSyncs)
	for name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(name); err != nil && !isGone(err) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// syncedStamp returns the stamp up to which the bytes of all objects are durable.
func (b *Blobs) syncedStamp() int64 {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	return b.lazy.synced
}

// failing ends the process if err has a syncError, and returns err.
func (b *Blobs) failing(err error) error {
	if _, ok := errors.AsType[*syncError](err); ok {
		b.fatal(err)
	}
	return err
}

package embedded

import (
	"context"
	"errors"
	"path"
	"sync"
	"time"
)

const (
	maxListed = 64 // lazy changes that are made durable one by one; more are by one syncfs
	maxSyncs  = 8  // fsyncs at the same time
)

// pending is the lazy changes that are not known to be durable.
type pending struct {
	mu      sync.Mutex
	changes int64           // since the process began
	files   map[string]bool // keys of objects whose bytes may be lost
	folders map[string]bool // folders in which names came or went
	many    bool            // they are too many to be listed
	naming  map[int64]bool  // stamps of objects that have no name yet

	durable int64 // of changes, those that are durable
	synced  int64 // objects with a stamp up to this are durable; see stamps
}

// barrier is what a Sync has to make durable.
type barrier struct {
	files, folders map[string]bool
	many           bool
	changes        int64 // all up to this one
	synced         int64 // the stamp up to which all objects are
}

// stamp returns the stamp of an object that is to get its name. A lazy one counts
// until it is passed to named.
func (b *Blobs) stamp(lazy bool, notBefore time.Time) (time.Time, error) {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	stamp, err := b.stamps.next(lazy, notBefore)
	if err == nil && lazy {
		b.lazy.naming[stamp.UnixMicro()] = true
	}
	return stamp, err
}

// named notes that an object with the stamp has got the name key, or that it gets none.
func (b *Blobs) named(stamp time.Time, key string) {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	delete(b.lazy.naming, stamp.UnixMicro())
	if key != "" {
		b.lazy.note(key, path.Dir(key))
	}
}

// moved notes lazy changes of names in folders, and of the objects files.
func (b *Blobs) moved(file string, folders ...string) {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	b.lazy.note(file, folders...)
}

// note adds a lazy change. p.mu is held.
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

// unsynced reports whether an object with the stamp may be lost.
func (p *pending) unsynced(stamp time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := stamp.UnixMicro()
	return n&1 == 1 && n > p.synced
}

// take returns what is to be made durable now; false if there is nothing.
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

// done notes that a barrier is passed, or that it was not.
func (p *pending) done(b barrier, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.many = true // what it listed is among all
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

// sync makes all lazy changes durable that returned before, and stores up to which
// stamp objects are.
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

// pass makes all lazy changes durable that returned before. Those who call at the same
// time share it. An error ends the process.
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

// syncListed makes the changes of a barrier durable one by one. All files are written
// before the first is waited for: they share the commits of the file system.
func (b *Blobs) syncListed(next barrier) error {
	for file := range next.files {
		b.disk.startWriting(file)
	}
	if err := each(next.files, b.disk.syncObject); err != nil {
		return err
	}
	return each(next.folders, func(folder string) error { return b.folders.sync(folder + "/x") })
}

// each calls do for all names, maxSyncs at the same time. A name that is gone needs
// nothing.
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

// syncedStamp returns the stamp up to which all objects are durable.
func (b *Blobs) syncedStamp() int64 {
	b.lazy.mu.Lock()
	defer b.lazy.mu.Unlock()
	return b.lazy.synced
}

// failing ends the process if err says that it is not known what is durable.
func (b *Blobs) failing(err error) error {
	if _, ok := errors.AsType[*syncError](err); ok {
		b.fatal(err)
	}
	return err
}

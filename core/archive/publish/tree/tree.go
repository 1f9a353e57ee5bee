package tree

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
)

// Tree is the public tree of a distribution.
type Tree struct {
	*files.Store
	Scope files.Scope
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error

	// Superseded reports whether the publication's row names another manifest by
	// now than the one being applied.
	Superseded func(context.Context) (bool, error)

	// Remove deletes objects of the tree. An attempt that was overtaken deletes none
	// that the tree has by now. Only Apply needs it.
	Remove func(ctx context.Context, keys []string) error
}

// ErrSuperseded says that another manifest is committed: its committer applies it.
var ErrSuperseded = errors.New("manifest is superseded")

// current returns ErrSuperseded if another manifest is committed.
func (t *Tree) current(ctx context.Context) error {
	superseded, err := t.Superseded(ctx)
	if err == nil && superseded {
		err = ErrSuperseded
	}
	return err
}

// staged is a staged object that is applied.
type staged struct {
	key  string
	size int64     // bytes, of a file that is there by hash; 0 for others
	date time.Time // of the Release whose signature it is; zero for other files
}

// applyOne brings a mutable name to a staged object. The ETag is read before the row.
// In the other order, a writer that was overtaken between the two reads could put an
// older file over a newer one.
func (t *Tree) applyOne(ctx context.Context, key string, from staged) error {
	for {
		opt := driver.PutOptions{CacheControl: paths.Mutable, ContentType: "text/plain; charset=utf-8"}
		info, err := t.asIs(ctx, key, &opt)
		if err != nil {
			return err
		}
		if err := t.current(ctx); err != nil {
			return err
		}
		if !from.date.IsZero() {
			if opt.NotBefore, err = t.timeAfter(ctx, info.ModTime, from.date); err != nil {
				return err
			}
		}
		if from.size > 0 { // on one machine this is a link, and on AWS no bytes come here
			opt.Size = from.size
			_, err = t.Blobs.Copy(ctx, key, from.key, opt)
		} else {
			err = t.replace(ctx, key, from.key, opt)
		}
		if !overtaken(err) {
			return err
		}
	}
}

// timeAfter returns the earliest time of an object that takes the place of an
// object of the time last. It is a later second, since apt takes an equal
// second for "not modified". timeAfter waits as wait does. An object whose time
// lies far ahead was written while the clock was wrong, and does not count.
func (t *Tree) timeAfter(ctx context.Context, last, date time.Time) (time.Time, error) {
	if err := t.wait(ctx, date); err != nil {
		return time.Time{}, err
	}
	next := last.Truncate(time.Second).Add(time.Second)
	if last.IsZero() || next.Sub(t.Now()) > maxAhead {
		return time.Time{}, nil
	}
	return next, t.wait(ctx, next)
}

// replace puts the staged bytes as a new object. So the object's time is that
// of the change, also where a copy would keep the time of its source.
func (t *Tree) replace(ctx context.Context, key, staged string, opt driver.PutOptions) error {
	r, info, err := t.Blobs.Open(ctx, staged, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	opt.Size = info.Size
	_, err = t.Blobs.Put(ctx, key, r, opt)
	return err
}

// asIs makes a Put replace the object that a key has now, which it returns, and
// no other.
func (t *Tree) asIs(ctx context.Context, key string, opt *driver.PutOptions) (driver.Info, error) {
	info, err := t.Blobs.Stat(ctx, key)
	if errors.Is(err, driver.ErrNotFound) {
		opt.IfAbsent = true
		return driver.Info{}, nil
	}
	opt.IfMatch = info.ETag
	return info, err
}

// overtaken reports that a key no longer had the object that was to be replaced.
func overtaken(err error) bool {
	return errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrExists)
}

// Bounds of wait: of one wait, and of a time of the store that is taken for one. A date
// may lead the clock by maxLead: apt accepts 10 s (Acquire::Max-FutureTime, since 1.5).
const (
	maxLead  = 5 * time.Second
	maxWait  = 10 * time.Second
	maxAhead = time.Minute
)

// wait waits until a date leads the clock by maxLead at most. A wait of more than seconds
// is an error: the apply is repeated later.
func (t *Tree) wait(ctx context.Context, date time.Time) error {
	for {
		left := date.Sub(t.Now()) - maxLead
		if left <= 0 {
			return nil
		}
		if left > maxWait {
			return fmt.Errorf("the date %s of the Release has not come", date.Format(time.RFC3339))
		}
		if err := t.Sleep(ctx, left); err != nil {
			return err
		}
	}
}

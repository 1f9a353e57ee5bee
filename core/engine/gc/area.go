package gc

import (
	"context"
	"iter"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// Source is a partition of heads: rows that name lists and files.
type Source struct {
	Part string
	// Roots returns what a row needs. driver.ErrNotFound says that an object that
	// the row names is gone, mostly because the row has changed since it was read.
	// The roots are then those that are known without the object.
	Roots func(ctx context.Context, data []byte) (Roots, error)
}

// Roots is what a row needs besides itself.
type Roots struct {
	Packages []lists.Ref // lists with all that their records need; see Collector.Refs
	Lists    []lists.Ref // other lists
	Files    []string    // SHA-256 of package files that no list of packages has
}

// Area is a part of the storage that its owner offers to the collector: things of
// one sort, in one order.
type Area struct {
	Name string // unique, for cursors and errors

	// Listing is printed before the area is listed. Deleting is printed before
	// things are removed, with their number. "" prints nothing.
	Listing, Deleting string
	// Shown says that clients see the number of things as the task's progress.
	Shown bool
	// Pinned says that tasks pin the things by their names.
	Pinned bool

	// Items yields everything in the area, in ascending byte order of At, from the
	// first At greater than after on.
	Items func(ctx context.Context, s *Sweep, after string) iter.Seq2[Item, error]
	// Needs returns the names of what a pinned thing needs besides itself; may be nil.
	Needs func(ctx context.Context, name string) ([]string, error)
}

// Item is a thing in an area: a row, or an object.
type Item struct {
	At   string // where a listing goes on after it
	Name string `json:",omitempty"` // by which it is marked and pinned; "" if it never is
	Live bool   `json:"-"`          // it stays, whether it is marked or not
	Dead bool   `json:"-"`          // it goes, whether it is marked or not, unless it is pinned

	// Row is deleted if it still has the Version. Of an object it is a row that must
	// have the Version (driver.Absent for no row) when the object is given up for
	// deletion; the zero Key is no condition.
	Row     driver.Key `json:",omitzero"`
	Version string     `json:",omitempty"`
	Object  string     `json:",omitempty"` // key of the object; "" for a row
	Size    int64      `json:",omitempty"` // bytes that clients are told are freed
}

// Sweep is what an area may ask of the collection that lists it.
type Sweep struct {
	epoch   int64
	now     func() time.Time
	table   driver.Table
	tasks   *task.Store
	marks   *marks
	foreign func(key string)
}

// Epoch returns the epoch of the collection. What was written in it stays.
func (s *Sweep) Epoch() int64 { return s.epoch }

// Now returns the time.
func (s *Sweep) Now() time.Time { return s.now() }

// Marked says whether a head needs the thing with this name.
func (s *Sweep) Marked(name string) bool { return s.marks.has(name) }

// Foreign notes an object that aptless did not store. It is counted, shown and
// left alone.
func (s *Sweep) Foreign(key string) { s.foreign(key) }

// Busy returns the tasks that may still use objects of their own, as of now.
func (s *Sweep) Busy(ctx context.Context) (map[int64]bool, error) { return s.tasks.Kept(ctx) }

// Heads yields the rows of a partition as they are now, and then those that were
// replaced since the epoch began.
func (s *Sweep) Heads(ctx context.Context, part string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for row, err := range s.table.Scan(ctx, part, "") {
			if !yield(row, err) || err != nil {
				return
			}
		}
		for row, err := range replaced(ctx, s.table, s.epoch, "") {
			if err == nil && row.Part != part {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

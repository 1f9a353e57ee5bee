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
	// Roots returns the things that a row needs. The error driver.ErrNotFound
	// means that an object named by the row is gone, usually because the row has
	// changed since. The roots are then those known without the object.
	Roots func(ctx context.Context, data []byte) (Roots, error)
}

// Roots are the things that a row needs.
type Roots struct {
	Packages []lists.Ref // lists, with the things that their records need; see Collector.Refs
	Lists    []lists.Ref // other lists
	Files    []string    // SHA-256 of package files outside of these lists
}

// Area is a part of the storage that its owner offers to the collector. It has
// things of one kind in one order.
type Area struct {
	Name string // unique, for cursors and errors

	// Listing is printed before the area is listed. Deleting is printed with the
	// number of things before these are removed. "" prints nothing.
	Listing, Deleting string
	// Shown says that the task's progress shows the number of things.
	Shown bool
	// Pinned says that tasks pin things of the area by name.
	Pinned bool

	// Items yields the area's things with At greater than after, ascending by At
	// in byte order.
	Items func(ctx context.Context, s *Sweep, after string) iter.Seq2[Item, error]
	// Needs returns the names of the things that a pinned thing needs; may be nil.
	Needs func(ctx context.Context, name string) ([]string, error)
}

// Item is a thing in an area: a row, or an object.
type Item struct {
	At   string // position for continuing a listing after it
	Name string `json:",omitempty"` // for marks and pins; "" if it has neither
	Live bool   `json:"-"`          // it stays, marked or not
	Dead bool   `json:"-"`          // it goes unless pinned, marked or not

	// Row is deleted if it still has the Version. For an object, it is a row that
	// must have the Version at the deletion (driver.Absent for no row). The zero
	// Key is no condition.
	Row     driver.Key `json:",omitzero"`
	Version string     `json:",omitempty"`
	Object  string     `json:",omitempty"` // key of the object; "" for a row
	Size    int64      `json:",omitempty"` // bytes to report as freed
}

// Sweep is an area's view of the collection that lists it.
type Sweep struct {
	epoch   int64
	now     func() time.Time
	table   driver.Table
	tasks   *task.Store
	marks   *marks
	foreign func(key string)
}

// Epoch returns the epoch of the collection. Objects written in it stay.
func (s *Sweep) Epoch() int64 { return s.epoch }

// Now returns the time.
func (s *Sweep) Now() time.Time { return s.now() }

// Marked reports whether a head needs the thing with this name.
func (s *Sweep) Marked(name string) bool { return s.marks.has(name) }

// Foreign reports an object that aptless did not store. It is counted, shown and
// kept.
func (s *Sweep) Foreign(key string) { s.foreign(key) }

// Busy returns the tasks that may still use their own objects.
func (s *Sweep) Busy(ctx context.Context) (map[int64]bool, error) { return s.tasks.Kept(ctx) }

// Heads yields the present rows of a partition, then the rows replaced since the
// epoch began.
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

// Found is the number of an area's dead things, and their size in bytes.
type Found struct {
	Area   string
	Number int
	Bytes  int64
}

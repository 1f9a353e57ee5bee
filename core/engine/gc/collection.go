package gc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
)

// Collector runs collections.
type Collector struct {
	Table   driver.Table
	Blobs   driver.Blobs
	Lists   *lists.Store
	Tasks   *task.Store
	Epoch   *Epoch
	Sources []Source
	Areas   []Area // in the order in which they are swept
	Now     func() time.Time
	Budget  *parallel.Budget // of the process; nil grants everything

	// Refs returns the names of what a record of a list of packages needs, and
	// FileName that of a package file.
	Refs     func(record lists.Record) ([]string, error)
	FileName func(sha256 string) string

	held int // dead items that are held at a time; 0 is maxDead
}

// cursor is the collector's checkpoint.
type cursor struct {
	Epoch int64
	Token int64 // of the attempt that saved it
	Clean bool  // that attempt had no deletion under way, and has ended
	Seq   int   // of stored objects

	Before int64     // waits for the tasks numbered up to this one; then 0
	Since  time.Time // when it began to wait

	Source int    // of whose rows are being marked; after the last one the replaced heads
	After  string // Sort of the last row that is marked
	Marked bool   // marking is done
	Marks  object

	Released bool   // no tombstones of earlier attempts are left
	Area     int    // that is being swept
	Told     bool   // Listing is printed
	At       string // the last item listed
	Listed   bool   // everything in the area, or as much as is removed at a time
	Counted  bool   // the whole area was listed once
	Count    int    // of dead items, in the whole area
	Resume   string // where the next listing goes on; "" for none
	Dead     object // the items to be removed
	Next     int    // how many of them are done

	Freed   int64    // bytes
	Foreign int      // objects that are not aptless's
	Strange []string // some of them
	Done    bool     // nothing is left to be deleted
	Detail  detail
}

// detail is the progress that clients see: of files, whatever the names say.
type detail struct {
	TotalNumberOfPackagesToDelete     int
	RemainingNumberOfPackagesToDelete int
}

// collection is an attempt at a collection.
type collection struct {
	*Collector
	attempt *task.Attempt
	at      cursor
	version string // of the State's row
	marks   *marks
	dead    []Item // what Dead has, once it is known
	stored  bool   // Dead has it
	saved   time.Time
	slots   chan struct{} // one for each reader
	old     []string      // keys of stored objects that the next cursor does not name
}

const (
	// saveEvery is how much work at most is done again after a crash.
	saveEvery = time.Minute
	// maxStrange bounds the foreign objects that are named.
	maxStrange = 20
)

// errOver says that the collection has ended, or that a later one has begun.
var errOver = errors.New("collection is over")

// checkpoint saves when that is due, and ends the slice when it is over.
func (c *collection) checkpoint(ctx context.Context) error {
	over := c.attempt.SliceOver()
	if !over && c.Now().Sub(c.saved) < saveEvery {
		return nil
	}
	c.at.Clean = over
	if err := c.save(ctx); err != nil {
		return err
	}
	if over {
		return task.ErrContinue
	}
	return nil
}

// save stores marks and dead items that are not stored yet, then the cursor that
// names them, and deletes the objects of the cursor before.
func (c *collection) save(ctx context.Context) (err error) {
	store := func(what string, to *object, data []byte) error {
		c.at.Seq++
		key := fmt.Sprintf("private/tasks/%d/%s-%d-%d", c.attempt.ID(), what, c.attempt.Token(), c.at.Seq)
		c.discard(to)
		*to, err = putObject(ctx, c.Blobs, key, data)
		return err
	}
	if c.marks != nil && !c.marks.stored {
		if err := store("marks", &c.at.Marks, c.marks.encode()); err != nil {
			return err
		}
		c.marks.stored = true
	}
	if len(c.dead) > 0 && !c.stored {
		if err := store("dead", &c.at.Dead, encodeItems(c.dead)); err != nil {
			return err
		}
		c.stored = true
	}
	c.at.Token = c.attempt.Token()
	if err := c.attempt.Save(ctx, c.at); err != nil {
		return err
	}
	c.saved = c.Now()
	if len(c.old) > 0 {
		err, c.old = c.Blobs.Delete(ctx, c.old...), nil
	}
	return err
}

// discard has an object deleted once the cursor does not name it.
func (c *collection) discard(o *object) {
	if o.Key != "" {
		c.old = append(c.old, o.Key)
	}
	*o = object{}
}

func encodeItems(items []Item) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, item := range items {
		if err := enc.Encode(item); err != nil {
			panic(err) // strings and integers
		}
	}
	return b.Bytes()
}

func decodeItems(data []byte) (items []Item, err error) {
	for dec := json.NewDecoder(bytes.NewReader(data)); dec.More(); {
		var item Item
		if err := dec.Decode(&item); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		items = append(items, item)
	}
	return items, nil
}

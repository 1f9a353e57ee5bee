package gc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
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
	Areas   []Area // in the order of sweeping
	Now     func() time.Time
	Budget  *parallel.Budget // of the process; nil grants everything

	// Refs returns the names of the things that a record of a package list needs.
	// FileName returns the name of a package file.
	Refs     func(record lists.Record) ([]string, error)
	FileName func(sha256 string) string

	held int // dead items in memory; 0 is maxDead
}

// cursor is the collector's checkpoint.
type cursor struct {
	Epoch int64
	Token int64 // of the attempt that saved it
	Clean bool  // that attempt ended with no deletion in progress
	Seq   int   // of stored objects

	Before int64     // it waits for tasks up to this number; 0 once they have ended
	Since  time.Time // beginning of the wait

	Source int    // index of the source being marked; after the last one, the replaced heads
	After  string // Sort of the last marked row
	Marked bool   // marking is done
	Marks  object

	Released bool   // no tombstone of an earlier attempt is left
	Area     int    // index of the area being swept
	Told     bool   // Listing is printed
	At       string // the last item listed
	Listed   bool   // the area is listed to its end, or up to the limit of dead items
	Counted  bool   // the whole area has been counted
	Count    int    // of dead items, in the whole area
	Resume   string // position of the next listing; "" for none
	Dead     object // the items to remove
	Next     int    // the number of removed ones

	Found   []Found  `json:",omitempty"` // of a dry run: the areas listed so far
	Bytes   int64    `json:",omitempty"` // of a dry run: size of the dead items of the area being listed
	Freed   int64    // bytes
	Foreign int      // objects that are not aptless's
	Strange []string // some of them
	Done    bool     // all deletions are done
	Detail  detail
}

// detail is the progress that clients see. The names are aptly's; the numbers
// count files.
type detail struct {
	TotalNumberOfPackagesToDelete     int
	RemainingNumberOfPackagesToDelete int
}

// unread is a chunk that is marked and whose records are not.
type unread struct {
	chunk lists.Chunk // without its bounds and summary
	row   driver.Key  // that needs it
}

// collection is an attempt at a collection.
type collection struct {
	*Collector
	attempt *task.Attempt
	dry     bool // nothing is deleted
	at      cursor
	version string // of the State's row as read
	marks   *marks
	dead    []Item // the items of cursor.Dead, once read
	stored  bool   // dead is stored in cursor.Dead
	saved   time.Time
	old     []string // keys of objects that the next cursor no longer names

	mu     sync.Mutex
	unread []unread // guarded by mu
}

const (
	// saveEvery bounds the work that a crash repeats.
	saveEvery = time.Minute
	// maxStrange bounds the named foreign objects.
	maxStrange = 20
)

// errOver says that the collection has ended, or that a later one has begun.
var errOver = errors.New("collection is over")

// checkpoint saves if a save is due. It ends the slice if it is over.
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

// save stores new marks and dead items, then the cursor that names them. Then it
// deletes objects that only the last cursor named.
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

// discard lets the next save delete an object.
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

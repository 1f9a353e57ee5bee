package fsck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// Checker checks a storage.
type Checker struct {
	Table   driver.Table
	Blobs   driver.Blobs
	Lists   *lists.Store // without a cache, which would hide a damage
	Pool    *pool.Store
	Publish *publish.Store
	Heads   []gc.Source // the rows that name lists
	Events  []string    // the kinds of calendar entries that the server knows
	Now     func() time.Time
}

// Args are the arguments of a check.
type Args struct {
	Deep   bool // read all files and compare their digests
	Repair bool
}

// cursor is the checkpoint of a check.
type cursor struct {
	Step  int    // the steps that are done
	After string // position within the step
	Seq   int    // number of the last stored State
	State string // its key; "" before the first
}

// check is an attempt at a check.
type check struct {
	*Checker
	Args
	attempt *task.Attempt
	at      cursor
	state   *State
	old     string // key of the State that the cursor named before
}

// save stores the state, then the cursor that names it. It ends a slice that is over.
func (k *check) save(ctx context.Context) error {
	k.old = k.at.State
	k.at.Seq++
	k.at.State = fmt.Sprintf("private/tasks/%d/check-%d-%d", k.attempt.ID(), k.attempt.Token(), k.at.Seq)
	if err := k.state.store(ctx, k.Blobs, k.at.State); err != nil {
		return err
	}
	if err := k.attempt.Save(ctx, k.at); err != nil {
		return err
	}
	if k.old != "" {
		if err := k.Blobs.Delete(ctx, k.old); err != nil {
			return err
		}
	}
	if k.attempt.SliceOver() {
		return task.ErrContinue
	}
	return nil
}

// pause saves at a position if the slice is over.
func (k *check) pause(ctx context.Context, after string) error {
	if !k.attempt.SliceOver() {
		return nil
	}
	k.at.After = after
	return k.save(ctx)
}

// found reports a finding, and prints it.
func (k *check) found(f Finding) {
	k.state.Report.found(f)
	text := string(f.Kind) + ": " + f.Object
	if f.Of != "" {
		text += " of " + f.Of
	}
	if f.Repaired {
		text += " (repaired)"
	}
	k.attempt.Printf("%s\n", text)
}

// is reports whether a row exists now.
func (k *check) is(ctx context.Context, key driver.Key) (driver.Row, bool, error) {
	row, err := k.Table.Get(ctx, key)
	if errors.Is(err, driver.ErrNotFound) {
		return row, false, nil
	}
	return row, err == nil, err
}

// put writes a row that is absent, if the check repairs, and reports whether it has.
func (k *check) put(ctx context.Context, key driver.Key, data string) (bool, error) {
	if !k.Repair {
		return false, nil
	}
	_, err := k.attempt.Write(ctx, driver.Op{Do: driver.OpPut, Key: key, If: driver.Absent, Data: []byte(data)})
	if errors.Is(err, driver.ErrConflict) {
		return false, nil // another task has written it
	}
	return err == nil, err
}

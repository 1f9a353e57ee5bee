package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// DeletionsPart is the partition of the rows about deletions under way. There is one for
// each prefix, <storage>:<prefix>, while objects of the prefix are deleted.
//
// The write before a deletion enters the keys, and the write after it removes them. An
// attempt that dies or stands still in between leaves them. The next attempt notes when
// the calls of the former one have ended. Until then nothing is published under one of
// these keys: a reader would lose it. Example: an attempt stands still before it deletes
// an index, and is overtaken. The next one deletes it. Then a list comes back that has
// this index. Its publication waits, for at most recheckAfter.
const DeletionsPart = "deletions"

// deletions is the row of a prefix.
type deletions struct{ Of []deletion }

// deletion is a call, or several in sequence.
type deletion struct {
	Number int64     // unique in the row
	ID     string    // of the publication whose task deletes
	Keys   []byte    `json:",omitempty"` // sumSize bytes of the SHA-256 of each key
	All    bool      `json:",omitempty"` // Keys has no room for them: it may be any key of the prefix
	Until  time.Time `json:",omitzero"`  // the call has ended by then; zero while its attempt may live
	Failed bool      `json:",omitempty"` // its attempt has gone on with an error: the call ends within failedCall
}

// failedCall is longer than a call may have its effect after its caller has got an error.
const failedCall = 2 * time.Minute

// Bounds of the row. A deletion has up to some 10,000 keys.
const (
	sumSize      = 6       // bytes of a key's digest: two of a million keys are alike in one of 500 rows
	maxDeletions = 200_000 // bytes of all Keys of a row
)

func deletionsKey(d paths.Dist) driver.Key {
	return driver.Key{Part: DeletionsPart, Sort: d.StoragePrefix()}
}

// sumOfKey returns the digest of a key.
func sumOfKey(key string) (sum [sumSize]byte) {
	whole := sha256.Sum256([]byte(key))
	copy(sum[:], whole[:])
	return sum
}

// public returns the keys that readers may ask for.
func public(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return strings.HasPrefix(key, paths.PrivatePrefix) })
}

// add adds a deletion, and returns its number.
func (ds *deletions) add(id string, keys []string) int64 {
	next := deletion{Number: 1, ID: id}
	size := 0
	for _, other := range ds.Of {
		next.Number, size = max(next.Number, other.Number+1), size+len(other.Keys)
	}
	if next.All = size+len(keys)*sumSize > maxDeletions; !next.All {
		for _, key := range keys {
			sum := sumOfKey(key)
			next.Keys = append(next.Keys, sum[:]...)
		}
	}
	ds.Of = append(ds.Of, next)
	return next.Number
}

// leave notes that attempts have left the deletions of a publication. It reports whether
// there were any.
func (ds *deletions) leave(id string, until time.Time) bool {
	left := false
	for i := range ds.Of {
		if ds.Of[i].ID == id && ds.Of[i].Until.IsZero() {
			ds.Of[i].Until, left = until.UTC(), true
		}
	}
	return left
}

// failed notes that the attempt of a deletion has got an error.
func (ds *deletions) failed(number int64) {
	for i := range ds.Of {
		if ds.Of[i].Number == number {
			ds.Of[i].Failed = true
		}
	}
}

// remove removes those deletions for which gone reports true.
func (ds *deletions) remove(gone func(deletion) bool) { ds.Of = slices.DeleteFunc(ds.Of, gone) }

// of reports whether the deletion is one of a key of the set.
func (x *deletion) of(keys map[[sumSize]byte]bool) bool {
	if x.All {
		return true
	}
	for sum := range slices.Chunk(x.Keys, sumSize) {
		if len(sum) == sumSize && keys[[sumSize]byte(sum)] {
			return true
		}
	}
	return false
}

// op is the write of the row, which has a version. A row without deletions is removed.
func (ds *deletions) op(d paths.Dist, version string) (driver.Op, error) {
	if len(ds.Of) == 0 && version == driver.Absent {
		return driver.Op{Do: driver.OpCheck, Key: deletionsKey(d)}, nil
	}
	if len(ds.Of) == 0 {
		return driver.Op{Do: driver.OpDelete, Key: deletionsKey(d), If: version}, nil
	}
	data, err := json.Marshal(ds)
	return driver.Op{Do: driver.OpPut, Key: deletionsKey(d), If: version, Data: data}, err
}

// deletions reads the row of a prefix without the calls that have ended, and its version.
func (s *Store) deletions(ctx context.Context, d paths.Dist) (*deletions, string, error) {
	ds := &deletions{}
	row, err := s.Table.Get(ctx, deletionsKey(d))
	if errors.Is(err, driver.ErrNotFound) {
		return ds, driver.Absent, nil
	}
	if err == nil {
		err = json.Unmarshal(row.Data, ds)
	}
	now := s.Now()
	ds.remove(func(x deletion) bool { return !x.Until.IsZero() && x.Until.Before(now) })
	return ds, row.Version, err
}

// leaveDeletions returns the writes which note that attempts have left the deletions of
// publications.
func (s *Store) leaveDeletions(ctx context.Context, of []paths.Dist, until time.Time) (ops []driver.Op, err error) {
	for i, d := range of {
		alike := func(other paths.Dist) bool { return other.StoragePrefix() == d.StoragePrefix() }
		if s.Alone || slices.IndexFunc(of, alike) < i {
			continue
		}
		ds, version, err := s.deletions(ctx, d)
		if err != nil {
			return nil, err
		}
		left := false
		for _, other := range of {
			left = ds.leave(other.ID(), until) || left
		}
		if !left {
			continue
		}
		op, err := ds.op(d, version)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// fence is the two fenced writes around a deletion of an attempt.
type fence struct {
	*Store
	attempt *task.Attempt
	dist    paths.Dist // of the publication whose lock the task has
	keys    []string   // public ones
	row     *deletions // after begin
	version string
	number  int64

	asks   bool      // begin finds mayPut
	mayPut time.Time // after begin
}

// removeFenced calls remove, which deletes keys. An attempt that was overtaken before
// deletes none. If it is overtaken meanwhile, it calls putBack. d is the publication whose
// lock the task has.
func (s *Store) removeFenced(ctx context.Context, a *task.Attempt, d paths.Dist, keys []string, remove, putBack func(context.Context) error) error {
	f := &fence{Store: s, attempt: a, dist: d, keys: public(keys)}
	return f.around(ctx, remove, putBack)
}

// around is removeFenced for the keys of the fence.
func (f *fence) around(ctx context.Context, remove, putBack func(context.Context) error) error {
	if err := f.begin(ctx); err != nil {
		return err
	}
	err := remove(ctx)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	ended := f.end(after, err == nil)
	if errors.Is(ended, task.ErrLost) {
		return errors.Join(ended, putBack(after))
	}
	return cmp.Or(err, ended)
}

// endWithin bounds the time of the write after a deletion, and how long an attempt that was
// overtaken puts back files.
const endWithin = 30 * time.Second

// begin enters the keys. On one machine a process has the database for itself, and no call
// outlives it.
func (f *fence) begin(ctx context.Context) error {
	if f.Alone || len(f.keys) == 0 {
		_, err := f.attempt.Write(ctx)
		return err
	}
	ds, version := &deletions{}, driver.Absent
	for {
		f.number = ds.add(f.dist.ID(), f.keys)
		op, err := ds.op(f.dist, version)
		if err != nil {
			return err
		}
		f.row = ds
		ops := []driver.Op{op}
		if f.asks { // no request more, as long as there is no recheck
			ops = append(ops, driver.Op{Do: driver.OpCheck, Key: calendar.Key(recheckName(f.dist.ID())), If: driver.Absent})
		}
		if f.version, err = f.attempt.Write(ctx, ops...); !errors.Is(err, driver.ErrConflict) {
			return err
		}
		if f.asks {
			if f.mayPut, err = f.Store.mayPut(ctx, f.dist.ID()); err != nil {
				return err
			}
			f.asks = false
		}
		if ds, version, err = f.deletions(ctx, f.dist); err != nil {
			return err
		}
		ds.leave(f.dist.ID(), f.Now().Add(recheckAfter)) // an earlier call of the task has failed
	}
}

// end removes the keys. If the deletion has failed, they stay until its call has ended.
func (f *fence) end(ctx context.Context, deleted bool) error {
	if f.row == nil {
		_, err := f.attempt.Write(ctx)
		return err
	}
	ds, version := f.row, f.version
	for {
		if deleted {
			ds.remove(func(x deletion) bool { return x.Number == f.number })
		} else {
			ds.failed(f.number)
			ds.leave(f.dist.ID(), f.Now().Add(recheckAfter))
		}
		op, err := ds.op(f.dist, version)
		if err != nil {
			return err
		}
		if _, err = f.attempt.Write(ctx, op); !errors.Is(err, driver.ErrConflict) {
			return err
		}
		if ds, version, err = f.deletions(ctx, f.dist); err != nil {
			return err
		}
	}
}

// pending are the deletions that were under way when an attempt began to stage.
type pending struct {
	row     *deletions
	version string
}

// none reports that no deletion was under way.
func (late pending) none() bool { return late.row == nil || len(late.row.Of) == 0 }

// of returns the deletions of one of some keys.
func (late pending) of(keys []string) (found []*deletion) {
	sums := map[[sumSize]byte]bool{}
	for _, key := range keys {
		sums[sumOfKey(key)] = true
	}
	for i := range late.row.Of {
		if late.row.Of[i].of(sums) {
			found = append(found, &late.row.Of[i])
		}
	}
	return found
}

// await waits until the calls have ended that may delete one of some keys, or returns a
// wait for the task. waited says that there was such a call. It notes the time of a call
// whose attempt has left no other note.
func (s *Store) await(ctx context.Context, a *task.Attempt, d paths.Dist, late pending, keys []string) (wait time.Duration, waited bool, err error) {
	found := late.of(keys)
	if len(found) == 0 {
		return 0, false, nil
	}
	now, noted := s.Now(), false
	for _, x := range found {
		if x.Until.IsZero() {
			x.Until, noted = now.Add(recheckAfter).UTC(), true
		}
		if !x.Failed {
			wait = max(wait, x.Until.Sub(now)+time.Second)
		}
	}
	if wait == 0 { // clocks may differ, so the attempt waits itself
		if err := s.Sleep(ctx, failedCall); err != nil {
			return 0, true, err
		}
		var ended []int64
		for _, x := range found {
			ended = append(ended, x.Number)
		}
		late.row.remove(func(x deletion) bool { return slices.Contains(ended, x.Number) })
		noted = true
	}
	if !noted {
		return wait, true, nil
	}
	op, err := late.row.op(d, late.version)
	if err == nil {
		_, err = a.Write(ctx, op)
	}
	if errors.Is(err, driver.ErrConflict) { // look again
		return time.Second, true, nil
	}
	return wait, true, err
}

// filesOf is the store of package files for a task. d is the publication whose lock the
// task has.
func (s *Store) filesOf(a *task.Attempt, d paths.Dist) *files.Store {
	f := s.files()
	f.Write = a.Write
	f.Remove = func(ctx context.Context, keys []string, putBack func(context.Context) error) error {
		return s.removeFenced(ctx, a, d, keys, func(ctx context.Context) error { return s.Blobs.Delete(ctx, keys...) }, putBack)
	}
	return f
}

// inventory is the inventories of the package files of a prefix, for a task.
func (s *Store) inventory(a *task.Attempt, d paths.Dist) *files.Inventory {
	return &files.Inventory{Store: s.filesOf(a, d), Dist: d, Tx: a}
}

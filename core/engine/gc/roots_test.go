package gc

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// TestEveryAttemptReadsTheEpoch runs a task during a collection in a process that
// has not seen the epoch. The task moves a list.
func TestEveryAttemptReadsTheEpoch(t *testing.T) {
	env := drivertest.NewEnv()
	w, other := newWorld(t, env), newWorld(t, env)
	w.things(t, "a")
	w.head(t, "late", "x", w.list(t, "a"))
	w.hooks.scan = func(part string) {
		if part != "late" {
			return
		}
		w.hooks.scan = nil
		w.move(t, "late", "head")
		for range 10 {
			if _, err := w.Memory.Queue.Step(t.Context(), other.dispatcher.Handle); err != nil {
				t.Error(err)
			}
		}
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "a")
	if _, there := w.Memory.Rows("head")["head/x"]; !there || !other.collector.Epoch.Seen().Collecting {
		t.Errorf("the list has moved: %v; the other process has seen %v", there, other.collector.Epoch.Seen())
	}
}

// TestHeadWhoseObjectIsGoneIsReadAgain changes a head between the reads of its
// row and of an object of the row. The needs of the new head stay.
func TestHeadWhoseObjectIsGoneIsReadAgain(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a", "b")
	w.head(t, "head", "x", w.list(t, "a"))
	now, roots, changed := w.list(t, "b"), w.collector.Sources[0].Roots, false
	w.collector.Sources[0].Roots = func(ctx context.Context, data []byte) (Roots, error) {
		if !changed {
			changed = true
			w.head(t, "head", "x", now)
			return Roots{}, driver.ErrNotFound
		}
		return roots(ctx, data)
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "b")
}

// TestReplacedHeadNeedsWhatItsRowNames removes an object of a replaced head. The
// list that the head's row names stays for its readers.
func TestReplacedHeadNeedsWhatItsRowNames(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	w.head(t, "late", "x", w.list(t, "a"))
	dropped := false
	w.collector.Sources[1].Roots = func(_ context.Context, data []byte) (Roots, error) {
		var r head
		err := json.Unmarshal(data, &r)
		if err == nil && dropped {
			err = driver.ErrNotFound
		}
		return Roots{Packages: []lists.Ref{r.List}}, err
	}
	w.hooks.scan = func(part string) {
		if part != "head" {
			return
		}
		w.hooks.scan, dropped = nil, true
		w.move(t, "late", "")
		for range 10 {
			if _, err := w.Memory.Queue.Step(t.Context(), w.dispatcher.Handle); err != nil {
				t.Error(err)
			}
		}
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "a")
}

// TestFilesAndListsOfRootsStay has heads with files outside of package lists, and
// lists whose records need nothing.
func TestFilesAndListsOfRootsStay(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "file", "record")
	plain := w.list(t, "record")
	w.head(t, "head", "x", w.list(t, "none"))
	roots := w.collector.Sources[0].Roots
	w.collector.Sources[0].Roots = func(ctx context.Context, data []byte) (Roots, error) {
		r, err := roots(ctx, data)
		r.Files, r.Lists = []string{"file"}, []lists.Ref{plain}
		return r, err
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "file")
	if _, err := w.collector.Lists.Open(t.Context(), plain); err != nil {
		t.Error(err)
	}
}

// TestUndoOfACollectionIsPaidByTheTick fails the storage for longer than the Undo
// is tried. The tick ends the collection within an hour after that. Until then
// tasks write pins.
func TestUndoOfACollectionIsPaidByTheTick(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	w.head(t, "head", "x", w.list(t, "b"))
	fails := true
	w.hooks.remove = func(keys []string) error {
		if fails && strings.HasPrefix(keys[0], "private/") {
			return errBroken
		}
		return nil
	}
	w.hooks.write = func(ops []driver.Op) error {
		if fails && ops[0].Key == stateKey() && ops[0].Do == driver.OpPut && strings.Contains(string(ops[0].Data), "false") {
			return errBroken
		}
		return nil
	}
	id := w.admit(t)
	ok(t, w.Drain(t.Context(), w.dispatcher.Handle))
	got := must[task.Task](t)(w.collector.Tasks.Get(t.Context(), id))
	if got.State != task.Failed || len(got.Debts)+len(w.Memory.Rows("calendar")) == 0 {
		t.Fatalf("state %v %s, debts %q", got.State, got.Error, got.Debts)
	}
	if ok(t, w.collector.Epoch.Observe(t.Context())); !w.collector.Epoch.Seen().Collecting {
		t.Fatal("the collection has ended although its Undo has failed")
	}
	tick := func(n int) {
		for range n {
			w.Clock.Advance(time.Minute)
			ok(t, w.collector.Tasks.Due(t.Context(), nil))
			ok(t, w.Drain(t.Context(), w.dispatcher.Handle))
		}
	}
	tick(300)
	fails = false
	tick(61)
	w.ended(t, id)
	for key := range w.Memory.Rows("calendar") {
		if strings.Contains(key, "undo") {
			t.Errorf("%s is left", key)
		}
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t)
}

// TestPinIsRenewedInALaterEpoch: a pin that an earlier collection has left keeps a
// thing from later ones only if a task pins it again.
func TestPinIsRenewedInALaterEpoch(t *testing.T) {
	e, table := epochs(1)
	for epoch := range int64(3) {
		must[State](t)(e[0].begin(t.Context()))
		ok(t, e[0].Pin(t.Context(), "x"))
		if tombstone(t.Context(), table, epoch+1, "x") {
			t.Fatalf("in epoch %d a pinned thing is being deleted", epoch+1)
		}
	}
}

// TestCollectionThatIsOverDeletesNothing has the State move on while a collection is
// sweeping, and between two of its slices: it fails, and everything stays.
func TestCollectionThatIsOverDeletesNothing(t *testing.T) {
	for _, when := range []string{"while it sweeps", "between slices"} {
		t.Run(when, func(t *testing.T) {
			w := newWorld(t, drivertest.NewEnv())
			w.things(t, "a", "b")
			moved := false
			move := func() {
				if !moved {
					moved = true
					must[State](t)((&Epoch{Table: w.Memory.Table}).begin(t.Context()))
				}
			}
			if when == "between slices" {
				w.dispatcher.Slice = time.Nanosecond
				w.hooks.scan = func(string) { w.Clock.Advance(time.Second) }
			} else {
				w.hooks.write = func(ops []driver.Op) error {
					if len(ops) > 1 && ops[0].Key == stateKey() {
						move()
					}
					return nil
				}
			}
			id := w.admit(t)
			ok(t, w.Drain(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
				got := must[task.Task](t)(w.collector.Tasks.Get(ctx, id))
				if when == "between slices" && strings.Contains(string(got.Cursor), `"Marked":true`) {
					move()
				}
				return w.dispatcher.Handle(ctx, m)
			}))
			got := must[task.Task](t)(w.collector.Tasks.Get(t.Context(), id))
			if !moved || got.State != task.Failed || !strings.Contains(got.Error, errOver.Error()) {
				t.Errorf("state %v, error %q", got.State, got.Error)
			}
			w.wantLeft(t, "a", "b")
		})
	}
}

// TestDeletionIsGivenUpAfterAMinute has the storage hang: after deleteWithin the
// request is given up, so a tombstone outlasts it.
func TestDeletionIsGivenUpAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := drivertest.NewMemory(time.Now)
		w := newWorld(t, &drivertest.Env{Memory: memory, Blobs: memory.Blobs, Table: memory.Table, Queue: memory.Queue, Clock: &drivertest.Clock{}})
		w.things(t, "a")
		w.collector.Now, w.collector.Tasks.Now, w.hooks.hangs = time.Now, time.Now, true
		id := w.admit(t)
		began := time.Now()
		if _, err := memory.Queue.Step(t.Context(), w.dispatcher.Handle); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != deleteWithin {
			t.Errorf("%v after %v, want the end of the context after %v", err, time.Since(began), deleteWithin)
		}
		w.hooks.hangs = false
		for range 100 {
			time.Sleep(10 * time.Second)
			_, err := memory.Queue.Step(t.Context(), w.dispatcher.Handle)
			ok(t, err)
		}
		w.succeeded(t, id)
		w.wantLeft(t)
	})
}

// TestObjectWhoseRowHasComeStays has a task store the row of a thing after the thing
// was listed as one without a row.
func TestObjectWhoseRowHasComeStays(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a", "b")
	key := func(name string) driver.Key { return driver.Key{Part: "digest", Sort: name} }
	items := w.collector.Areas[1].Items
	w.collector.Areas[1].Items = func(ctx context.Context, s *Sweep, after string) iter.Seq2[Item, error] {
		return func(yield func(Item, error) bool) {
			for item, err := range items(ctx, s, after) {
				item.Row = key(strings.TrimPrefix(item.Name, "thing/"))
				if !yield(item, err) {
					return
				}
			}
		}
	}
	stored := false
	w.hooks.write = func(ops []driver.Op) error {
		if len(ops) > 1 && ops[1].Key.Part == pinPart && ops[1].Do == driver.OpPut && !stored {
			stored = true
			return w.Memory.Table.Put(t.Context(), driver.Row{Key: key("b"), Data: []byte("d")})
		}
		return nil
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "b*")
}

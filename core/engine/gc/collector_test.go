package gc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

func TestCollectionKeepsWhatHeadsNeed(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a", "b", "c", "d")
	w.head(t, "head", "x", w.list(t, "a", "b"))
	w.head(t, "late", "y", w.list(t, "b", "c"))
	lost := w.list(t, "d")
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "a", "b", "c")
	if _, err := w.collector.Lists.Open(t.Context(), lost); err == nil {
		t.Error("the list of no head is there")
	}
	if n := len(w.Memory.Objects("private/chunks/")); n == 0 {
		t.Error("the lists of heads are gone")
	}
}

func TestObjectsOfListsOfTheEpochStay(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	old := w.list(t, "old")
	began := false
	w.hooks.scan = func(part string) {
		if part == "head" && !began { // after the beginning of the epoch
			began = true
			w.list(t, "new")
		}
	}
	w.succeeded(t, w.collect(t).ID)
	objects := w.Memory.Objects("private/chunks/")
	if len(objects) != 2 {
		t.Errorf("%d objects are left, want root and chunk of the list of the epoch", len(objects))
	}
	for key := range objects {
		if !strings.HasPrefix(key, "private/chunks/1/") {
			t.Errorf("%s is left, of %v", key, old)
		}
	}
}

// TestListThatMovesIsMarked moves a list from an unread head to one in a
// partition that was already read.
func TestListThatMovesIsMarked(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	w.head(t, "late", "x", w.list(t, "a"))
	moved := false
	w.hooks.scan = func(part string) {
		if part != "late" || moved {
			return
		}
		moved = true
		w.move(t, "late", "head")
		for range 10 { // delivers the other group's message during the collector's delivery
			if _, err := w.Memory.Queue.Step(t.Context(), w.dispatcher.Handle); err != nil {
				t.Error(err)
			}
		}
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "a")
	if _, there := w.Memory.Rows("head")["head/x"]; !there || !moved {
		t.Error("the list did not move")
	}
}

func TestListOfADroppedHeadStaysForItsReaders(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	ref := w.list(t, "a")
	w.head(t, "late", "x", ref)
	w.hooks.scan = func(part string) {
		if part == "head" {
			w.hooks.scan = nil
			w.move(t, "late", "")
			for range 10 {
				if _, err := w.Memory.Queue.Step(t.Context(), w.dispatcher.Handle); err != nil {
					t.Error(err)
				}
			}
		}
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "a")
	if _, err := w.collector.Lists.Open(t.Context(), ref); err != nil {
		t.Error(err)
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t)
}

// TestThingPinnedWhileItIsListedStays pins a thing after the collector has found
// it dead and before its removal.
func TestThingPinnedWhileItIsListedStays(t *testing.T) {
	for _, area := range []string{"rows", "things"} {
		t.Run(area, func(t *testing.T) {
			w := newWorld(t, drivertest.NewEnv())
			w.things(t, "a", "b", "c")
			pinned := false
			w.hooks.write = func(ops []driver.Op) error {
				deletes := slices.ContainsFunc(ops, func(op driver.Op) bool {
					return area == "rows" && op.Key.Part == "row" || area == "things" && op.Key.Part == pinPart && op.Do == driver.OpPut
				})
				if deletes && !pinned {
					pinned = true
					return w.collector.Epoch.Pin(t.Context(), "thing/b")
				}
				return nil
			}
			w.succeeded(t, w.collect(t).ID)
			if area == "rows" {
				w.wantLeft(t, "b")
			} else {
				w.wantLeft(t, "b*")
			}
		})
	}
}

func TestWhatAPinnedThingNeedsStays(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a", "b")
	w.collector.Areas[0].Needs = nil
	w.collector.Areas[0].Items = w.rowItems
	needs := func(name string) []string { return []string{name, "thing/b"} }
	w.collector.Areas[0].Needs = func(_ context.Context, name string) ([]string, error) { return needs(name), nil }
	w.hooks.scan = func(part string) {
		if part == "head" {
			ok(t, w.collector.Epoch.Pin(t.Context(), "thing/a"))
			w.hooks.scan = nil
		}
	}
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t, "a", "b*") // the same batch removed the row of b
}

func TestTasksOfBeforeTheEpochAreWaitedFor(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	w.head(t, "late", "x", w.list(t, "a"))
	// The task is open and has not seen the epoch: its attempt read the row
	// before.
	before := must[task.Task](t)(w.collector.Tasks.Admit(t.Context(),
		task.Spec{Kind: "test.move", Name: "move", Locks: []lock.Want{{Resource: "move"}}, Args: moveArgs{"late", "head"}}, false))
	id := w.admit(t)
	handle := func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		if m.Body != "1" || w.Clock.Now().Sub(before.Created) > 3*time.Hour {
			return w.dispatcher.Handle(ctx, m)
		}
		return driver.Outcome{Retry: time.Minute}, nil // it still runs elsewhere
	}
	deliveries := 0
	ok(t, w.Drain(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		if m.Body == "2" {
			deliveries++
			began := w.Clock.Now()
			defer func() {
				if took := w.Clock.Now().Sub(began); took > 0 {
					t.Errorf("a delivery slept for %v", took)
				}
			}()
			if w.Clock.Now().Sub(before.Created) < 3*time.Hour {
				for range replaced(t.Context(), w.Memory.Table, 0, "") {
					t.Error("a head was replaced")
				}
				w.wantLeft(t, "a")
			}
		}
		return handle(ctx, m)
	}))
	w.succeeded(t, id)
	w.wantLeft(t, "a")
	if deliveries > 100 {
		t.Errorf("%d deliveries in 3 hours of waiting", deliveries)
	}
}

// TestCollectionGivesWayToATaskBehindIt: a task of before the epoch waits for the lock of
// the collection, which would wait for the task.
func TestCollectionGivesWayToATaskBehindIt(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a", "b")
	w.head(t, "late", "x", w.list(t, "a"))
	ids := []int64{w.admit(t)}
	behind := must[task.Task](t)(w.collector.Tasks.Admit(t.Context(),
		task.Spec{Kind: "test.move", Name: "move", Locks: []lock.Want{Lock(), {Resource: "move"}}, Args: moveArgs{"late", "head"}}, false))
	ids = append(ids, behind.ID, w.admit(t))
	ok(t, w.Drain(t.Context(), w.dispatcher.Handle))
	for _, id := range ids {
		w.succeeded(t, id)
	}
	w.wantLeft(t, "a")
}

func TestForeignObjectsAreCountedAndStay(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	foreign := []string{"private/things/.nfs0001", "private/chunks/backup.tar", "private/chunks/0/ab/abcd"}
	for _, key := range foreign {
		_, err := w.Memory.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{})
		ok(t, err)
	}
	id := w.admit(t)
	ok(t, w.Drain(t.Context(), w.dispatcher.Handle))
	got := must[task.Task](t)(w.collector.Tasks.Get(t.Context(), id))
	out := must[string](t)(w.collector.Tasks.Output(t.Context(), got))
	if got.State != task.Succeeded || !strings.Contains(out, "(3)") {
		t.Errorf("state %v, error %q, output %s", got.State, got.Error, out)
	}
	for _, key := range foreign {
		if w.Memory.Objects(key)[key] != "x" {
			t.Errorf("%s is gone", key)
		}
		if !strings.Contains(out, key) {
			t.Errorf("%s is not in the output: %s", key, out)
		}
	}
	w.wantLeft(t, ".nfs0001*")
}

func TestDamagedListIsNamedAndEndsTheCollection(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a", "b")
	w.head(t, "head", "x", w.list(t, "a"))
	for key := range w.Memory.Objects("private/chunks/") {
		ok(t, w.Memory.Blobs.Delete(t.Context(), key))
	}
	got := w.ended(t, w.collect(t).ID)
	if got.State != task.Failed || !strings.Contains(got.Error+got.Refusal, "head/x") {
		t.Errorf("state %v, error %q", got.State, got.Error)
	}
	w.wantLeft(t, "a", "b")
}

func TestCollectionThatIsGivenUpIsEnded(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	w.head(t, "head", "x", w.list(t, "b"))
	w.hooks.remove = func(keys []string) error {
		if strings.HasPrefix(keys[0], "private/things/") {
			return errBroken
		}
		return nil
	}
	w.hooks.scan = func(part string) {
		if part == "late" { // tasks have pins and replaced heads in the meantime
			ok(t, w.collector.Epoch.Pin(t.Context(), "thing/other"))
			must[string](t)(w.Memory.Table.Write(t.Context(), w.collector.Epoch.Keep("1", []driver.Row{{Key: driver.Key{Part: "head", Sort: "y"}, Data: []byte("{}")}})...))
			w.hooks.scan = nil
		}
	}
	got := w.ended(t, w.collect(t).ID)
	if got.State != task.Failed || !strings.Contains(got.Error, errBroken.Error()) {
		t.Errorf("state %v, error %q", got.State, got.Error)
	}
	w.hooks.remove = nil
	w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t)
}

// TestStalledDeletionDeletesNothing stalls the process for two minutes between
// tombstones and deletion.
func TestStalledDeletionDeletesNothing(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.things(t, "a")
	stalls, deleted := 0, time.Time{}
	w.hooks.wrote = func(ops []driver.Op, err error) {
		if err == nil && len(ops) > 1 && ops[0].Key == stateKey() && ops[1].Key.Part == pinPart && ops[1].Do == driver.OpPut && stalls == 0 {
			stalls++
			w.Clock.Advance(2 * time.Minute)
		}
	}
	w.hooks.remove = func(keys []string) error {
		if keys[0] == "private/things/a" {
			deleted = w.Clock.Now()
		}
		return nil
	}
	stalled := w.Clock.Now()
	w.succeeded(t, w.collect(t).ID)
	if stalls != 1 || deleted.Sub(stalled) <= outlasts { // the stalled attempt would do it at once
		t.Errorf("%d stalls, deleted %v after the first tombstone", stalls, deleted.Sub(stalled))
	}
	w.wantLeft(t)
}

// TestTombstonesOfADeadAttemptAreWaitedFor kills an attempt after its tombstones.
// Its deletion may still arrive, so tasks are refused until that is impossible.
func TestTombstonesOfADeadAttemptAreWaitedFor(t *testing.T) {
	for name, before := range map[string]func(w *world){
		"in its first attempt": func(*world) {},
		"after slices that ended in order": func(w *world) {
			w.dispatcher.Slice = time.Nanosecond
			w.hooks.scan = func(string) { w.Clock.Advance(time.Second) }
		},
		"after it has saved": func(w *world) { w.hooks.scan = func(string) { w.Clock.Advance(saveEvery) } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, drivertest.NewEnv())
			w.things(t, "a")
			w.head(t, "head", "x", w.list(t, "x"))
			before(w)
			tombstoneOfADeadAttempt(t, w)
		})
	}
}

// tombstoneOfADeadAttempt has the attempt die that is about to delete the thing a.
func tombstoneOfADeadAttempt(t *testing.T, w *world) {
	died, pinned := time.Time{}, 0
	w.hooks.remove = func(keys []string) error {
		if keys[0] == "private/things/a" && died.IsZero() {
			died, w.hooks.scan = w.Clock.Now(), nil
			return errBroken
		}
		return nil
	}
	id := w.admit(t)
	ok(t, w.Drain(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		out, err := w.dispatcher.Handle(ctx, m)
		since := w.Clock.Now().Sub(died)
		if died.IsZero() || since >= outlasts {
			return out, err
		}
		if err := w.collector.Epoch.Pin(ctx, "thing/a"); !errors.Is(err, ErrDeleting) {
			t.Errorf("%v after the death a task pins the thing: %v", since, err)
		}
		pinned++
		return out, err
	}))
	if pinned == 0 {
		t.Errorf("nobody tried to pin the thing after the death at %v; it is %v", died, w.Clock.Now())
	}
	w.succeeded(t, id)
}

// TestOvertakenAttemptDeletesNothing overtakes an attempt that has listed dead
// things.
func TestOvertakenAttemptDeletesNothing(t *testing.T) {
	for _, area := range []string{"rows", "things"} {
		w := newWorld(t, drivertest.NewEnv())
		w.things(t, "a")
		id := w.admit(t)
		overtaken := false
		w.hooks.write = func(ops []driver.Op) error {
			if len(ops) == 1 || ops[0].Key != stateKey() || overtaken || area == "things" && ops[1].Key.Part == "row" {
				return nil
			}
			overtaken = true
			row := must[driver.Row](t)(w.Memory.Table.Get(t.Context(), task.Key(id)))
			data := strings.Replace(string(row.Data), `"Attempt":1`, `"Attempt":2`, 1)
			must[string](t)(w.Memory.Table.Write(t.Context(), driver.Op{Do: driver.OpPut, Key: row.Key, If: row.Version, Data: []byte(data)}))
			return nil
		}
		if _, err := w.Memory.Queue.Step(t.Context(), w.dispatcher.Handle); err != nil {
			t.Error(err)
		}
		if !overtaken {
			t.Fatalf("%s: the attempt was not overtaken", area)
		}
		if n := len(w.Memory.Rows(pinPart)); n > 0 {
			t.Errorf("%s: %d tombstones", area, n)
		}
		if area == "rows" {
			w.wantLeft(t, "a")
		} else {
			w.wantLeft(t, "a*")
		}
	}
}

func TestDamagedMarksDeleteNothing(t *testing.T) {
	for _, damage := range []func(data string) string{
		func(string) string { return "" },
		func(data string) string { return strings.Repeat("\x00", len(data)) },
	} {
		damagedMarks(t, damage)
	}
}

// damagedMarks has a collection go on from marks that are damaged.
func damagedMarks(t *testing.T, damage func(data string) string) {
	t.Helper()
	w := newWorld(t, drivertest.NewEnv())
	w.dispatcher.Slice = time.Nanosecond
	w.things(t, "a")
	w.head(t, "head", "x", w.list(t, "a"))
	w.head(t, "head", "y", w.list(t, "a"))
	w.hooks.scan = func(string) { w.Clock.Advance(time.Second) }
	id := w.admit(t)
	damaged := false
	ok(t, w.Drain(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		for key, data := range w.Memory.Objects("private/tasks/") {
			if strings.Contains(key, "/marks-") && !damaged {
				damaged = true
				_, err := w.Memory.Blobs.Put(ctx, key, strings.NewReader(damage(data)), driver.PutOptions{})
				ok(t, err)
			}
		}
		return w.dispatcher.Handle(ctx, m)
	}))
	if got := w.ended(t, id); got.State != task.Failed || !damaged {
		t.Errorf("state %v, damaged %v", got.State, damaged)
	}
	w.wantLeft(t, "a")
}

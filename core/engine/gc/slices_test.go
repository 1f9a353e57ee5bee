package gc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// far is a storage with slow calls.
type far struct {
	driver.Blobs
	driver.Table
	took  time.Duration
	reads atomic.Int64 // of objects
}

func (f *far) Open(ctx context.Context, key string, r *driver.Range) (io.ReadCloser, driver.Info, error) {
	f.reads.Add(1)
	time.Sleep(f.took)
	return f.Blobs.Open(ctx, key, r)
}

func (f *far) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	time.Sleep(f.took)
	return f.Table.Get(ctx, key)
}

func (f *far) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	time.Sleep(f.took)
	return f.Table.Write(ctx, ops...)
}

func (f *far) Delete(ctx context.Context, keys ...string) error {
	time.Sleep(f.took)
	return f.Blobs.Delete(ctx, keys...)
}

func (f *far) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		n := 0
		for row, err := range f.Table.Scan(ctx, part, after) {
			if n++; n%1000 == 1 { // per page
				time.Sleep(f.took)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// Put is ambiguous between the two ports.
type farBlobs struct{ *far }

func (f farBlobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	time.Sleep(f.took)
	return f.Blobs.Put(ctx, key, r, opt)
}

type farTable struct{ *far }

func (f farTable) Put(ctx context.Context, rows ...driver.Row) error {
	return f.Table.Put(ctx, rows...)
}

// TestTenThousandSnapshotsAreCollectedInSlices collects with 10,000 heads that
// share most chunks. Storage calls take 40 ms, and a function lives 20 s. Reading
// the roots serially would take 400 s.
func TestTenThousandSnapshotsAreCollectedInSlices(t *testing.T) {
	heads := 10_000
	if testing.Short() {
		heads = 1_000
	}
	slice := 20 * time.Second * time.Duration(heads) / 10_000
	synctest.Test(t, func(t *testing.T) {
		memory := drivertest.NewMemory(time.Now)
		w := newWorld(t, &drivertest.Env{Memory: memory, Blobs: memory.Blobs, Table: memory.Table, Queue: memory.Queue, Clock: &drivertest.Clock{}})
		var want []string
		for i := range heads {
			list := []string{"a", "b", "c", fmt.Sprintf("own-%05d", i)}
			w.head(t, "head", fmt.Sprintf("%05d", i), w.list(t, list...))
			want = append(want, list[3])
		}
		w.things(t, append(slices.Clone(want), "a", "b", "c")...)
		w.things(t, names("dead", 1000)...)
		f := &far{Blobs: memory.Blobs, Table: memory.Table, took: 40 * time.Millisecond}
		c := w.collector
		c.Table, c.Blobs, c.Now = farTable{f}, farBlobs{f}, time.Now
		c.Lists = &lists.Store{Blobs: farBlobs{f}, Epoch: c.Epoch.Number}
		c.Epoch.Table = farTable{f}
		c.Tasks = &task.Store{Table: farTable{f}, Blobs: farBlobs{f}, Queue: memory.Queue, Now: time.Now, Log: slog.New(slog.DiscardHandler), Epoch: c.Epoch}
		d := must[*task.Dispatcher](t)(task.NewDispatcher(c.Tasks, c.Kinds()))
		d.Slice = slice
		id := must[task.Task](t)(c.Tasks.Admit(t.Context(), c.Check(), false)).ID
		deliveries, longest := 0, time.Duration(0)
		began := time.Now()
		for {
			if due, any := memory.Queue.Due(); !any {
				break
			} else if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			}
			from := time.Now()
			delivered, err := memory.Queue.Step(t.Context(), d.Handle)
			ok(t, err)
			if !delivered {
				continue
			}
			deliveries++
			longest = max(longest, time.Since(from))
		}
		w.succeeded(t, id)
		w.wantLeft(t, append([]string{"a", "b", "c"}, want...)...)
		t.Logf("%d heads: %d deliveries of %v at most, %v in all, %d objects read", heads, deliveries, longest, time.Since(began), f.reads.Load())
		if deliveries < 2 {
			t.Error("everything was done in one slice")
		}
		if longest > slice+5*time.Second {
			t.Errorf("a delivery took %v", longest)
		}
		if most := time.Duration(heads) * 40 * time.Millisecond / 4; time.Since(began) > most {
			t.Errorf("the collection took %v, want less than %v", time.Since(began), most)
		}
		if n := f.reads.Load(); n > int64(heads)*2+200 { // a root and a chunk of each, and the shared ones
			t.Errorf("%d objects are read for %d lists", n, heads)
		}
	})
}

// TestEverySliceMakesProgress has slices that are over at once.
func TestEverySliceMakesProgress(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.dispatcher.Slice = time.Nanosecond
	const heads, dead = 30, 400
	live := names("live", heads)
	for _, name := range live {
		w.head(t, "head", name, w.list(t, name))
	}
	w.things(t, live...)
	w.things(t, names("dead", dead)...)
	w.collector.Tasks.Now = func() time.Time { // ends the slice at each look
		w.Clock.Advance(time.Second)
		return w.Clock.Now()
	}
	deliveries := 0
	id := w.admit(t)
	ok(t, w.Drain(t.Context(), func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		deliveries++
		return w.dispatcher.Handle(ctx, m)
	}))
	w.succeeded(t, id)
	w.wantLeft(t, live...)
	if most := heads + 2*dead/rowBatch + 40; deliveries > most {
		t.Errorf("%d deliveries, want %d at most", deliveries, most)
	}
}

// TestRequestsOfACollection counts the requests of a collection with many dead
// things.
func TestRequestsOfACollection(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	const dead = 2000
	w.things(t, names("dead", dead)...)
	got := w.succeeded(t, w.collect(t).ID)
	sum := int64(0)
	for _, n := range got.Requests {
		sum += n
	}
	t.Logf("%d rows and %d objects: %v", dead, dead, got.Requests)
	if sum > dead/5 {
		t.Errorf("%d requests for %d rows and %d objects", sum, dead, dead)
	}
	w.wantLeft(t)
}

// TestMoreDeadThingsThanAreHeld has more dead things than a listing holds. The
// next listing continues after them.
func TestMoreDeadThingsThanAreHeld(t *testing.T) {
	w := newWorld(t, drivertest.NewEnv())
	w.collector.held = 150
	const dead = 400
	w.things(t, names("dead", dead)...)
	got := w.succeeded(t, w.collect(t).ID)
	w.wantLeft(t)
	var progress detail
	ok(t, json.Unmarshal(got.Detail, &progress))
	if progress.TotalNumberOfPackagesToDelete != dead || progress.RemainingNumberOfPackagesToDelete != 0 {
		t.Errorf("progress at the end: %+v", progress)
	}
	if out := must[string](t)(w.collector.Tasks.Output(t.Context(), got)); strings.Count(out, "Deleting 400 rows...") != 1 {
		t.Errorf("output: %s", out)
	}
}

func TestMarksAreTheSameAfterTheyWereStored(t *testing.T) {
	m := newMarks()
	all := names("n", minFresh+1000)
	for i, name := range all {
		if !m.add(name) || m.add(all[i/2]) {
			t.Fatalf("%s was marked before, or %s was not", name, all[i/2])
		}
	}
	data := m.encode()
	stored := decodeMarks(data)
	if len(data) != 8*len(all) || !slices.IsSorted(stored.sorted) {
		t.Errorf("%d bytes for %d marks", len(data), len(all))
	}
	for _, name := range all {
		if !stored.has(name) || !m.has(name) || stored.has(name+"x") {
			t.Fatalf("%s: marks differ", name)
		}
	}
}

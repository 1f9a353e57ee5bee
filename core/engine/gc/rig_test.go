package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// world is a small storage with heads and things. A head is a row of the
// partition head or late, and names a list. A record needs the thing of its key,
// which has an object and a row.
type world struct {
	*drivertest.Env
	collector  *Collector
	dispatcher *task.Dispatcher
	hooks      *hooks
}

type head struct{ List lists.Ref }

// hooks run before calls of the collector's drivers; each may be nil.
type hooks struct {
	scan   func(part string)
	write  func(ops []driver.Op) error
	wrote  func(ops []driver.Op, err error)
	remove func(keys []string) error
	hangs  bool // deletions of things hang until their context ends
}

type hookedTable struct {
	driver.Table
	*hooks
}

func (t hookedTable) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	if t.scan != nil {
		t.scan(part)
	}
	return t.Table.Scan(ctx, part, after)
}

func (t hookedTable) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	if t.write != nil {
		if err := t.write(ops); err != nil {
			return "", err
		}
	}
	version, err := t.Table.Write(ctx, ops...)
	if t.wrote != nil {
		t.wrote(ops, err)
	}
	return version, err
}

type hookedBlobs struct {
	driver.Blobs
	*hooks
}

func (b hookedBlobs) Delete(ctx context.Context, keys ...string) error {
	if b.remove != nil {
		if err := b.remove(keys); err != nil {
			return err
		}
	}
	if b.hangs && strings.HasPrefix(keys[0], "private/things/") {
		<-ctx.Done()
		return ctx.Err()
	}
	return b.Blobs.Delete(ctx, keys...)
}

// newWorld returns a world whose collector runs on env.
func newWorld(t *testing.T, env *drivertest.Env) *world {
	t.Helper()
	h := &hooks{}
	table, blobs := hookedTable{env.Table, h}, hookedBlobs{env.Blobs, h}
	epoch := &Epoch{Table: table, Heads: []string{"head", "late"}}
	store := &lists.Store{Blobs: blobs, Epoch: epoch.Number, Parallel: 1}
	tasks := &task.Store{Table: table, Blobs: blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler), Epoch: epoch}
	roots := func(_ context.Context, data []byte) (Roots, error) {
		var r head
		err := json.Unmarshal(data, &r)
		return Roots{Packages: []lists.Ref{r.List}}, err
	}
	w := &world{Env: env, hooks: h, collector: &Collector{
		Table: table, Blobs: blobs, Lists: store, Tasks: tasks, Epoch: epoch, Now: env.Clock.Now,
		Sources:  []Source{{"head", roots}, {"late", roots}},
		Refs:     func(r lists.Record) ([]string, error) { return []string{"thing/" + string(r.Key)}, nil },
		FileName: func(sha256 string) string { return "thing/" + sha256 },
	}}
	w.collector.Areas = []Area{
		{Name: "rows", Pinned: true, Items: w.rowItems, Deleting: "Deleting %d rows..."},
		{Name: "things", Pinned: true, Items: w.objectItems, Shown: true},
		ListArea(store),
	}
	var err error
	if w.dispatcher, err = task.NewDispatcher(tasks, append(w.collector.Kinds(), moveKind(w))); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) rowItems(ctx context.Context, _ *Sweep, after string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for row, err := range w.collector.Table.Scan(ctx, "row", after) {
			if !yield(Item{At: row.Sort, Name: "thing/" + row.Sort, Row: row.Key, Version: row.Version}, err) {
				return
			}
		}
	}
}

func (w *world) objectItems(ctx context.Context, s *Sweep, after string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for info, err := range w.collector.Blobs.List(ctx, "private/things/", after) {
			name := strings.TrimPrefix(info.Key, "private/things/")
			item := Item{At: info.Key, Name: "thing/" + name, Object: info.Key, Size: info.Size, Live: strings.HasPrefix(name, ".")}
			if item.Live {
				s.Foreign(info.Key)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// moveArgs are the arguments of a task that moves the list of a head to another
// one, or drops it if To is "".
type moveArgs struct{ From, To string }

func moveKind(w *world) task.Kind {
	return task.Define("test.move", func(ctx context.Context, a *task.Attempt, args moveArgs) (task.Result, error) {
		from := driver.Key{Part: args.From, Sort: "x"}
		data, err := a.Get(ctx, from)
		if err != nil {
			return task.Result{}, err
		}
		if args.To != "" {
			a.Put(driver.Key{Part: args.To, Sort: "x"}, data)
		}
		a.Drop(from)
		return task.Result{NoValue: true}, nil
	})
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// list stores a list of records in the world's epoch.
func (w *world) list(t *testing.T, names ...string) lists.Ref {
	t.Helper()
	l, err := w.collector.Lists.Build(t.Context(), lists.Schema{Target: 4}, func(yield func(lists.Record, error) bool) {
		for _, name := range names {
			if !yield(lists.Record{Key: []byte(name), Val: []byte("v")}, nil) {
				return
			}
		}
	})
	ok(t, err)
	return l.Ref()
}

// head writes a head with a list.
func (w *world) head(t *testing.T, part, name string, ref lists.Ref) {
	t.Helper()
	data, err := json.Marshal(head{ref})
	ok(t, err)
	ok(t, w.Memory.Table.Put(t.Context(), driver.Row{Key: driver.Key{Part: part, Sort: name}, Data: data}))
}

// things stores the rows and objects of things.
func (w *world) things(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		ok(t, w.Memory.Table.Put(t.Context(), driver.Row{Key: driver.Key{Part: "row", Sort: name}, Data: []byte("r")}))
		_, err := w.Memory.Blobs.Put(t.Context(), "private/things/"+name, strings.NewReader(name), driver.PutOptions{})
		ok(t, err)
	}
}

// left returns the names of the things with an object. A star means that the row
// is gone. A name in parentheses has a row only.
func (w *world) left() (names []string) {
	rows := w.Memory.Rows("row")
	for key := range w.Memory.Objects("private/things/") {
		name := strings.TrimPrefix(key, "private/things/")
		if _, ok := rows["row/"+name]; !ok {
			name += "*"
		}
		delete(rows, "row/"+name)
		names = append(names, name)
	}
	for key := range rows {
		names = append(names, "("+strings.TrimPrefix(key, "row/")+")")
	}
	slices.Sort(names)
	return names
}

func (w *world) wantLeft(t *testing.T, names ...string) {
	t.Helper()
	if got := w.left(); !slices.Equal(got, names) {
		t.Errorf("left are %q, want %q", got, names)
	}
}

// admit admits a collection and returns its number.
func (w *world) admit(t *testing.T) int64 {
	t.Helper()
	admitted, err := w.collector.Tasks.Admit(t.Context(), w.collector.Check(), false)
	ok(t, err)
	return admitted.ID
}

// collect runs a collection to its end.
func (w *world) collect(t *testing.T) task.Task {
	t.Helper()
	id := w.admit(t)
	ok(t, w.Drain(t.Context(), w.dispatcher.Handle))
	return w.ended(t, id)
}

// ended returns an ended task. It checks that no collection is in progress or has
// left a row or object.
func (w *world) ended(t *testing.T, id int64) task.Task {
	t.Helper()
	got := must[task.Task](t)(w.collector.Tasks.Get(t.Context(), id))
	if !got.State.Ended() {
		t.Fatalf("task %d has state %v: %s", id, got.State, got.Error)
	}
	ok(t, w.collector.Epoch.Observe(t.Context()))
	if w.collector.Epoch.Seen().Collecting {
		t.Error("a collection is still under way")
	}
	for _, part := range []string{replacedPart, pinPart} {
		for key := range w.Memory.Rows(part) {
			t.Errorf("%s is left", key)
		}
	}
	for key := range w.Memory.Objects("private/tasks/") {
		t.Errorf("%s is left", key)
	}
	return got
}

// succeeded is ended for a task that must succeed.
func (w *world) succeeded(t *testing.T, id int64) task.Task {
	t.Helper()
	got := w.ended(t, id)
	if got.State != task.Succeeded {
		t.Errorf("task %d failed: %s", id, got.Error)
	}
	return got
}

// move runs a task that moves or drops a head.
func (w *world) move(t *testing.T, from, to string) {
	t.Helper()
	_, err := w.collector.Tasks.Admit(t.Context(), task.Spec{Kind: "test.move", Name: "move", Locks: []lock.Want{{Resource: "move"}}, Args: moveArgs{from, to}}, false)
	ok(t, err)
}

// names returns n names in ascending order.
func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%06d", prefix, i)
	}
	return list
}

var errBroken = errors.New("storage is broken")

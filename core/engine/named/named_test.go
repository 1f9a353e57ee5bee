package named_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// thing is the stored type of these tests.
type thing struct{ UUID, Name, Text string }

// world is a process with tasks that create, rename, drop and use things.
type world struct {
	*testing.T
	env        *drivertest.Env
	rows       named.Rows[thing]
	tasks      *task.Store
	dispatcher *task.Dispatcher
	order      []string // finished tasks, as "<kind> <name>"
}

type args struct{ UUID, Name, To, By string }

func newWorld(t *testing.T) *world {
	env := drivertest.NewEnv()
	w := &world{T: t, env: env, rows: named.Rows[thing]{Table: env.Table, Part: "thing", Noun: "small thing", Title: "thing",
		Fields: func(v *thing) (uuid, name *string) { return &v.UUID, &v.Name }}}
	w.tasks = &task.Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	kind := func(name string, run func(context.Context, *task.Attempt, args) error) task.Kind {
		return task.Define(name, func(ctx context.Context, a *task.Attempt, args args) (task.Result, error) {
			w.order = append(w.order, name+" "+args.Name)
			err := run(ctx, a, args)
			err = named.Refuse[*named.Taken](err, 409, "%w")
			return task.Result{}, named.Refuse[*named.NotFound](err, 404, "%w")
		})
	}
	var err error
	w.dispatcher, err = task.NewDispatcher(w.tasks, []task.Kind{
		kind("create", func(ctx context.Context, a *task.Attempt, args args) error {
			return w.rows.Create(ctx, a, &thing{Name: args.Name})
		}),
		kind("rename", w.rename), kind("drop", w.drop), kind("use", w.use),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) rename(ctx context.Context, a *task.Attempt, args args) error {
	v, err := w.rows.ByUUID(ctx, a.GetJSON, args.UUID, args.Name)
	if err == nil {
		err = w.rows.Rename(ctx, a, &v, args.To)
	}
	if err != nil {
		return err
	}
	return w.rows.Save(a, &v)
}

func (w *world) drop(ctx context.Context, a *task.Attempt, args args) error {
	v, err := w.rows.ByUUID(ctx, a.GetJSON, args.UUID, args.Name)
	if err != nil {
		return err
	}
	by, err := w.rows.Referrer(ctx, v.UUID)
	if err == nil && by != "" {
		err = task.Fail(409, "used by %s", by)
	}
	if err != nil {
		return err
	}
	return w.rows.Drop(ctx, a, &v)
}

// use adds a reference to a thing.
func (w *world) use(ctx context.Context, a *task.Attempt, args args) error {
	if _, err := w.rows.ByUUID(ctx, a.GetJSON, args.UUID, args.Name); err != nil {
		return err
	}
	a.Put(named.RefKey(w.rows.Part, args.UUID, args.By), []byte("{}"))
	return nil
}

// admit admits a task of a kind for the thing with a name.
func (w *world) admit(kind string, args args) int64 {
	w.Helper()
	mode := lock.Exclusive
	if kind == "use" {
		mode = lock.Shared
	}
	locks := []lock.Want{w.rows.NameLock(args.Name)}
	if kind == "create" && args.UUID != "" {
		locks = append(locks, w.rows.Lock(args.UUID, lock.Exclusive)) // waits for tasks of that thing
	}
	if kind != "create" {
		v, err := w.rows.ByName(w.Context(), args.Name)
		if err != nil {
			w.Fatal(err)
		}
		args.UUID = v.UUID
		locks = []lock.Want{w.rows.Lock(v.UUID, mode)}
	}
	t, err := w.tasks.Admit(w.Context(), task.Spec{Kind: kind, Name: kind, Locks: locks, Args: args}, false)
	if err != nil {
		w.Fatal(err)
	}
	return t.ID
}

// ends runs all tasks and checks their results: "" is success.
func (w *world) ends(want map[int64]string) {
	w.Helper()
	if err := w.env.Drain(w.Context(), w.dispatcher.Handle); err != nil {
		w.Fatal(err)
	}
	for id, text := range want {
		if t, err := w.tasks.Get(w.Context(), id); err != nil || !t.State.Ended() || t.Error != text {
			w.Errorf("task %d: state %d, %q, %v; want %q", id, t.State, t.Error, err, text)
		}
	}
}

// are checks the names, and that each has its thing and the reverse.
func (w *world) are(want ...string) {
	w.Helper()
	all, err := w.rows.All(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for _, v := range all {
		names = append(names, v.Name)
		if found, err := w.rows.ByName(w.Context(), v.Name); err != nil || found != v {
			w.Errorf("%s is %+v, %v; want %+v", v.Name, found, err, v)
		}
	}
	slices.Sort(names)
	if rows := w.env.Memory.Rows("thing-name"); !slices.Equal(names, want) || len(rows) != len(names) {
		w.Errorf("names %q and rows %q, want %q", names, slices.Collect(maps.Keys(rows)), want)
	}
}

func (w *world) add(names ...string) {
	w.Helper()
	for _, name := range names {
		if err := w.rows.Add(w.Context(), &thing{Name: name}); err != nil {
			w.Fatal(err)
		}
	}
}

func TestNameIsNeverTakenTwice(t *testing.T) {
	w := newWorld(t)
	var once sync.WaitGroup
	results := make([]error, 20)
	for i := range results {
		once.Go(func() { results[i] = w.rows.Add(t.Context(), &thing{Name: "n"}) })
	}
	once.Wait()
	won := 0
	for _, err := range results {
		if taken := (*named.Taken)(nil); err == nil {
			won++
		} else if !errors.As(err, &taken) || err.Error() != "small thing with name n already exists" {
			t.Error(err)
		}
	}
	if w.are("n"); won != 1 {
		t.Errorf("%d writers got the name", won)
	}
	const taken = "small thing with name n already exists"
	if err := w.rows.Free(t.Context(), "n"); err == nil || err.Error() != taken {
		t.Error(err)
	}
	w.add("m")
	w.ends(map[int64]string{w.admit("create", args{Name: "n"}): taken, w.admit("rename", args{Name: "m", To: "n"}): taken,
		w.admit("create", args{Name: "o"}): ""})
	w.are("m", "n", "o")
}

// TestNameTakenMeanwhile creates a thing outside of tasks after a task has found
// the name free, and before its commit.
func TestNameTakenMeanwhile(t *testing.T) {
	w := newWorld(t)
	first := lock.NewTx(w.env.Table)
	if err := w.rows.Create(t.Context(), first, &thing{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	w.add("n")
	ops, err := first.Ops()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.env.Table.Write(t.Context(), ops...); !errors.Is(err, driver.ErrConflict) {
		t.Errorf("%v, want a conflict", err)
	}
	w.are("n")
}

func TestDropWaitsForReaders(t *testing.T) {
	w := newWorld(t)
	w.add("n")
	first, second := w.admit("use", args{Name: "n", By: "snapshot/1"}), w.admit("use", args{Name: "n", By: "publish/2"})
	drop := w.admit("drop", args{Name: "n"})
	w.ends(map[int64]string{first: "", second: "", drop: "used by publish/2"})
	w.are("n")
	if want := []string{"use n", "use n", "drop n"}; !slices.Equal(w.order, want) {
		t.Errorf("%q, want %q", w.order, want)
	}
}

// TestReaderAfterADropFindsNothing holds that tasks name a thing by UUID. A new
// thing with the same name does not replace it.
func TestReaderAfterADropFindsNothing(t *testing.T) {
	w := newWorld(t)
	w.add("n")
	v, err := w.rows.ByName(t.Context(), "n")
	if err != nil {
		t.Fatal(err)
	}
	drop, again := w.admit("drop", args{Name: "n"}), w.admit("create", args{UUID: v.UUID, Name: "n"})
	use, rename := w.admit("use", args{Name: "n", By: "x"}), w.admit("rename", args{Name: "n", To: "m"})
	gone := "small thing with name n not found"
	w.ends(map[int64]string{drop: "", use: gone, rename: gone, again: ""})
	w.are("n")
	if rows := w.env.Memory.Rows("ref/"); len(rows) != 0 {
		t.Errorf("references %v", rows)
	}
}

// TestDropAfterRename renames a thing while its drop waits. The drop removes the
// thing and frees both names.
func TestDropAfterRename(t *testing.T) {
	w := newWorld(t)
	w.add("n")
	w.ends(map[int64]string{w.admit("rename", args{Name: "n", To: "m"}): "", w.admit("drop", args{Name: "n"}): ""})
	w.are()
	w.add("m", "n")
	w.are("m", "n")
}

func TestEditBeginsAgain(t *testing.T) {
	w := newWorld(t)
	w.add("n")
	others := 3
	v, err := w.rows.Edit(t.Context(), "n", func(v *thing) ([]driver.Op, error) {
		if others--; others >= 0 {
			if _, err := w.rows.Edit(t.Context(), "n", func(v *thing) ([]driver.Op, error) { v.Text += "x"; return nil, nil }); err != nil {
				t.Fatal(err)
			}
		}
		v.Text += "y"
		return nil, nil
	})
	if err != nil || v.Text != "xxxy" {
		t.Errorf("%+v, %v", v, err)
	}
	_, err = w.rows.Edit(t.Context(), "n", func(v *thing) ([]driver.Op, error) {
		w.ends(map[int64]string{w.admit("drop", args{Name: "n"}): ""})
		return nil, nil
	})
	if err == nil || err.Error() != "small thing with name n not found" {
		t.Errorf("edit of what was dropped meanwhile: %v", err)
	}
	w.are()
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"", strings.Repeat("x", named.MaxName+1), "\xff"} {
		var failure *task.Error
		if err := w.rows.CheckName(name); !errors.As(err, &failure) || failure.Code != 400 || !strings.HasPrefix(err.Error(), "invalid thing name ") {
			t.Errorf("%.10q: %v", name, err)
		}
	}
	if err := w.rows.CheckName(strings.Repeat("x", named.MaxName)); err != nil {
		t.Error(err)
	}
	large := thing{Name: "n", Text: strings.Repeat("x", driver.MaxRowSize)}
	for name, err := range map[string]error{
		"add": w.rows.Add(t.Context(), &large), "create": w.rows.Create(t.Context(), lock.NewTx(w.env.Table), &large), "save": w.rows.Save(nil, &large),
	} {
		if is := (*named.TooLarge)(nil); !errors.As(err, &is) || is.Size < driver.MaxRowSize {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"n", "", strings.Repeat("x", 5000), "\x00"} {
		if _, err := w.rows.ByName(t.Context(), name); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%.10q: %v", name, err)
		}
	}
	w.are()
}

func TestUUIDs(t *testing.T) {
	seen := map[string]bool{}
	for i := range 100 {
		for version, uuid := range map[byte]string{'4': named.NewUUID(), '8': named.UUIDOf(fmt.Sprint(i))} {
			if len(uuid) != 36 || uuid[14] != version || !strings.Contains("89ab", uuid[19:20]) || seen[uuid] {
				t.Errorf("%c: %s", version, uuid)
			}
			seen[uuid] = true
		}
	}
	if first, again := named.UUIDOf("a"), named.UUIDOf("a"); first != again {
		t.Errorf("a name has two UUIDs: %s and %s", first, again)
	}
}

// TestCreationSurvivesEveryFault breaks each storage call of a creation outside of tasks, before
// and after its effect.
func TestCreationSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	rows := func(env *drivertest.Env) named.Rows[thing] {
		return named.Rows[thing]{Table: env.Table, Part: "thing", Noun: "small thing", Title: "thing",
			Fields: func(v *thing) (uuid, name *string) { return &v.UUID, &v.Name }}
	}
	drivertest.Sweep(t, drivertest.Journey{
		Run: func(ctx context.Context, env *drivertest.Env) error { return rows(env).Add(ctx, &thing{Name: "n"}) },
		Verify: func(env *drivertest.Env, ran error) error {
			names, all := env.Memory.Rows("thing-name"), env.Memory.Rows("thing")
			if 2*len(names) != len(all) || len(names) > 1 || ran == nil && len(names) == 0 {
				return fmt.Errorf("%d names among %d rows after %v", len(names), len(all), ran)
			}
			return nil
		},
	})
}

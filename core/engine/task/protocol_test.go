package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

// shop is a world whose kind follows the protocol of publishing. It stages an
// object, commits a row with a debt, and applies the row to a tree.
type shop struct {
	env      *drivertest.Env
	store    *Store
	d        *Dispatcher
	applying func() error // returns the error of an apply
	undoing  func() error // returns the error of an Undo
	undone   []int64      // the numbers passed to Undo
	settling func() error // in place of the apply of a task that pays a debt; may be nil
}

type publishArgs struct {
	Text   string
	Refuse bool // after staging
	AtOnce bool // leaves the apply to the task of its debt, which is admitted at once
}

const debtName = "publish/dist"

var (
	headKey   = driver.Key{Part: "head", Sort: "dist"}
	shopLocks = []lock.Want{{Resource: "dist"}}
)

func newShop(t testing.TB, env *drivertest.Env) *shop {
	w := &shop{env: env}
	w.store = &Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	d, err := NewDispatcher(w.store, []Kind{
		Define("p.publish", w.publish, WithUndo(w.undo)),
		Define("p.settle", func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
			if w.settling != nil {
				return Result{}, w.settling()
			}
			return Result{}, w.apply(ctx, a)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.d = d
	return w
}

func (w *shop) put(ctx context.Context, key, text string) error {
	_, err := w.env.Blobs.Put(ctx, key, strings.NewReader(text), driver.PutOptions{})
	return err
}

func (w *shop) publish(ctx context.Context, a *Attempt, args publishArgs) (Result, error) {
	var at string
	ok, err := a.Cursor(&at)
	if err != nil {
		return Result{}, err
	}
	if !ok {
		if err := w.put(ctx, fmt.Sprintf("public/by-hash/%s", args.Text), args.Text); err != nil {
			return Result{}, err
		}
		if args.Refuse {
			return Result{}, Fail(409, "conflict in %s", args.Text)
		}
		if _, err := a.Get(ctx, headKey); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return Result{}, err
		}
		a.Put(headKey, []byte(args.Text))
		a.Answer(Result{Code: 201, Value: "committed"})
		debt := Debt{Name: debtName, Spec: Spec{Kind: "p.settle", Name: "settle", Locks: shopLocks, Args: struct{}{}}, AtOnce: args.AtOnce}
		if err := a.Commit(ctx, "committed", debt); err != nil {
			return Result{}, err
		}
	}
	if args.AtOnce {
		return Result{Code: 201, Value: "committed"}, nil
	}
	if err := w.apply(ctx, a); err != nil {
		return Result{}, err
	}
	return Result{Code: 201, Value: "applied"}, nil
}

// apply makes the tree follow the row.
func (w *shop) apply(ctx context.Context, a *Attempt) error {
	if w.applying != nil {
		if err := w.applying(); err != nil {
			return err
		}
	}
	row, err := w.env.Table.Get(ctx, headKey)
	if err != nil {
		return err
	}
	if err := w.put(ctx, "public/dist", string(row.Data)); err != nil {
		return err
	}
	a.Pay(debtName)
	return nil
}

func (w *shop) undo(ctx context.Context, a *Attempt, args publishArgs) error {
	w.undone = append(w.undone, a.ID())
	if w.undoing != nil {
		if err := w.undoing(); err != nil {
			return err
		}
	}
	return w.env.Blobs.Delete(ctx, "public/by-hash/"+args.Text)
}

func (w *shop) admit(t testing.TB, args publishArgs) int64 {
	t.Helper()
	return admit(t, w.store, Spec{Kind: "p.publish", Name: "publish " + args.Text, Args: args, Locks: shopLocks}).ID
}

func (w *shop) task(t testing.TB, id int64) Task {
	t.Helper()
	got, err := w.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (w *shop) debt(t testing.TB, name string) (calendar.Entry, bool) {
	t.Helper()
	e, err := calendar.Get(t.Context(), w.env.Memory.Table, name)
	if errors.Is(err, driver.ErrNotFound) {
		return e, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return e, true
}

func (w *shop) tree() string { return w.env.Memory.Objects("public/dist")["public/dist"] }

// clean checks that no debt and no lock is left.
func (w *shop) clean() error {
	for _, part := range []string{"lock", "calendar"} {
		rows := w.env.Memory.Rows(part)
		delete(rows, "calendar/"+retainName)
		if len(rows) > 0 {
			return fmt.Errorf("%s has %v", part, rows)
		}
	}
	return nil
}

// TestCommittedTaskNeverFails fails the apply of a committed publication for
// hours, by storage errors, refusals and panics. The client learns that it is
// committed. The tick applies it in the end.
func TestCommittedTaskNeverFails(t *testing.T) {
	for name, fail := range map[string]func() error{
		"storage": func() error { return errors.New("no space left") },
		"refusal": func() error { return Fail(400, "key has expired") },
		"panic":   func() error { panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newShop(t, drivertest.NewEnv())
			w.applying = fail
			id := w.admit(t, publishArgs{Text: "one"})
			began := w.env.Clock.Now()
			drain(t, w.env, w.d)
			if took := w.env.Clock.Now().Sub(began); took < patience || took > 3*patience {
				t.Errorf("the task was tried for %v", took)
			}
			got := w.task(t, id)
			if got.State != Succeeded || got.Code != 201 || string(got.Value) != `"committed"` || len(got.Warnings) != 1 || len(got.Debts) != 1 || !got.Unfinished {
				t.Errorf("state %d, code %d, value %s, warnings %q, debts %q", got.State, got.Code, got.Value, got.Warnings, got.Debts)
			}
			if e, ok := w.debt(t, debtName); !ok || e.Reason == "" || !strings.Contains(got.Warnings[0], e.Reason) {
				t.Errorf("debt %+v, warnings %q", e, got.Warnings)
			}
			for range 6 * 60 {
				w.env.Clock.Advance(time.Minute)
				if err := w.store.Due(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				drain(t, w.env, w.d)
			}
			e, ok := w.debt(t, debtName)
			if !ok || e.Tries < 6 || e.Tries > 20 || e.Since.Sub(began) > time.Minute {
				t.Errorf("after hours: %+v", e)
			}
			w.applying = nil
			w.env.Clock.Advance(time.Hour)
			if err := w.store.Due(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			drain(t, w.env, w.d)
			if w.tree() != "one" {
				t.Errorf("the tree has %q", w.tree())
			}
			if err := w.clean(); err != nil {
				t.Error(err)
			}
			for got, err := range w.store.All(t.Context()) {
				if err != nil || got.State != Succeeded {
					t.Errorf("task %d is in state %d: %s, %v", got.ID, got.State, got.Error, err)
				}
			}
		})
	}
}

// settled delivers all messages and pays all debts.
func (w *shop) settled(ctx context.Context) error {
	if err := w.d.Resend(ctx, true); err != nil {
		return err
	}
	for range 3 {
		if err := w.env.Drain(ctx, w.d.Handle); err != nil {
			return err
		}
		w.env.Clock.Advance(2 * time.Hour)
		if err := errors.Join(w.store.Due(ctx, nil), w.d.Resend(ctx, false)); err != nil {
			return err
		}
	}
	return w.env.Drain(ctx, w.d.Handle)
}

// sweepShop breaks each storage call of two tasks once.
func sweepShop(t *testing.T, set func(*shop), verify func(w *shop, tasks []Task) error, args ...publishArgs) {
	drivertest.Sweep(t, drivertest.Journey{
		Run: func(ctx context.Context, env *drivertest.Env) error {
			w := newShop(t, env)
			if set != nil {
				set(w)
			}
			for _, a := range args {
				if _, err := w.store.Admit(ctx, Spec{Kind: "p.publish", Name: "publish", Args: a, Locks: shopLocks}, false); err != nil {
					return err
				}
			}
			return w.settled(ctx)
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error { return newShop(t, env).settled(ctx) },
		Verify: func(env *drivertest.Env, ran error) error {
			w := newShop(t, env)
			if err := w.clean(); err != nil {
				return err
			}
			var tasks []Task
			for got, err := range w.store.All(context.Background()) {
				if err != nil {
					return err
				}
				if !got.State.Ended() {
					return fmt.Errorf("task %d has not ended", got.ID)
				}
				if got.Kind == "p.publish" {
					tasks = append(tasks, got)
				}
			}
			if ran == nil && len(tasks) != len(args) {
				return fmt.Errorf("%d tasks of %d", len(tasks), len(args))
			}
			return verify(w, tasks)
		},
	})
}

// TestCommitSurvivesEveryFault breaks each storage call of two publications once. Every
// committed state is applied.
func TestCommitSurvivesEveryFault(t *testing.T) {
	sweepShop(t, nil, func(w *shop, tasks []Task) error {
		head, want := w.env.Memory.Rows("head")["head/dist"], ""
		for _, got := range tasks {
			if got.State != Succeeded || len(got.Warnings) > 0 {
				return fmt.Errorf("task %d is in state %d, warnings %q", got.ID, got.State, got.Warnings)
			}
			want = strings.TrimPrefix(strings.Split(string(got.Args), `"`)[3], "")
		}
		if w.tree() != want || head != want {
			return fmt.Errorf("the tree has %q, the row %q, want %q", w.tree(), head, want)
		}
		return nil
	}, publishArgs{Text: "one"}, publishArgs{Text: "two"})
}

// TestDebtSurvivesEveryFault fails the apply of a publication while its process lives. The tick
// of the next process applies it.
func TestDebtSurvivesEveryFault(t *testing.T) {
	broken := errors.New("broken")
	set := func(w *shop) {
		until := w.env.Clock.Now().Add(3 * time.Hour)
		w.applying = func() error {
			if w.env.Clock.Now().Before(until) {
				return broken
			}
			return nil
		}
	}
	sweepShop(t, set, func(w *shop, tasks []Task) error {
		for _, got := range tasks {
			if got.State != Succeeded || w.tree() != "one" {
				return fmt.Errorf("task %d is in state %d, the tree has %q", got.ID, got.State, w.tree())
			}
		}
		return nil
	}, publishArgs{Text: "one"})
}

// TestDebtAtOnceIsPaidAfterItsTask breaks each storage call of a task that leaves its
// apply to another one. The end of the task admits the other one. If its process dies
// before that, the tick does.
func TestDebtAtOnceIsPaidAfterItsTask(t *testing.T) {
	w := newShop(t, drivertest.NewEnv())
	id := w.admit(t, publishArgs{Text: "one", AtOnce: true})
	if err := w.env.Drain(t.Context(), w.d.Handle); err != nil {
		t.Fatal(err)
	}
	if got, err := w.store.Get(t.Context(), id+1); err != nil || got.Kind != "p.settle" || got.State != Succeeded || w.tree() != "one" {
		t.Errorf("without faults: %+v, %v, the tree has %q", got, err, w.tree())
	}
	sweepShop(t, nil, func(w *shop, tasks []Task) error {
		for _, got := range tasks {
			if got.State != Succeeded || w.tree() != "one" {
				return fmt.Errorf("task %d is in state %d, the tree has %q", got.ID, got.State, w.tree())
			}
		}
		return nil
	}, publishArgs{Text: "one", AtOnce: true})
}

// TestUndoSurvivesEveryFault refuses a task after staging and breaks each storage call once.
// Nothing staged is left, and the error is the refusal.
func TestUndoSurvivesEveryFault(t *testing.T) {
	sweepShop(t, nil, func(w *shop, tasks []Task) error {
		if left := w.env.Memory.Objects("public/by-hash/"); len(left) > 0 {
			return fmt.Errorf("objects are left: %v", left)
		}
		for _, got := range tasks {
			if got.State != Failed || got.Code != 409 || got.Error != "conflict in one" {
				return fmt.Errorf("state %d, code %d, %q", got.State, got.Code, got.Error)
			}
		}
		return nil
	}, publishArgs{Text: "one", Refuse: true})
}

// TestUndoBecomesDebt fails an Undo beyond the task's budget. The client gets the
// refusal, and the tick finishes the Undo.
func TestUndoBecomesDebt(t *testing.T) {
	for _, large := range []bool{false, true} {
		w := newShop(t, drivertest.NewEnv())
		args := publishArgs{Text: "one", Refuse: true}
		if large {
			args.Text = strings.Repeat("n/", 200) + "one"
			spec := Spec{Kind: "p.publish", Name: "publish", Args: map[string]any{"Text": args.Text, "Refuse": true, "More": strings.Repeat("x", maxInline)}, Locks: shopLocks}
			admit(t, w.store, spec)
		} else {
			w.admit(t, args)
		}
		w.undoing = func() error { return errors.New("out of reach") }
		drain(t, w.env, w.d)
		got := w.task(t, 1)
		if got.State != Failed || got.Code != 409 || !strings.HasPrefix(got.Error, "conflict in") || len(got.Warnings) != 1 {
			t.Fatalf("state %d, code %d, %q, warnings %q", got.State, got.Code, got.Error, got.Warnings)
		}
		if _, err := w.store.Delete(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if len(w.env.Memory.Objects("public/by-hash/")) != 1 {
			t.Fatal("nothing was staged")
		}
		for range 3 {
			w.env.Clock.Advance(2 * time.Hour)
			if err := w.store.Due(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			drain(t, w.env, w.d)
		}
		w.undoing = nil
		w.env.Clock.Advance(2 * time.Hour)
		if err := w.store.Due(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		drain(t, w.env, w.d)
		if left := w.env.Memory.Objects("public/by-hash/"); len(left) > 0 {
			t.Errorf("objects are left: %v", left)
		}
		for _, id := range w.undone {
			if id != 1 {
				t.Errorf("Undo of task %d, want 1", id)
			}
		}
		if err := w.clean(); err != nil {
			t.Error(err)
		}
	}
}

// TestDebtIsClaimedOnce runs two ticks concurrently, and a tick before the paying
// task has ended.
func TestDebtIsClaimedOnce(t *testing.T) {
	w := newShop(t, drivertest.NewEnv())
	w.applying = func() error { return errors.New("broken") }
	w.admit(t, publishArgs{Text: "one"})
	drain(t, w.env, w.d)
	w.env.Clock.Advance(time.Hour)
	e, ok := w.debt(t, debtName)
	if !ok {
		t.Fatal("nothing is owed")
	}
	for range 2 { // both have read the entry before a claim
		if err := w.store.claim(t.Context(), e, w.store.planDebt); err != nil {
			t.Fatal(err)
		}
	}
	w.env.Clock.Advance(2 * time.Hour)
	if err := w.store.Due(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	open, err := lock.Open(t.Context(), w.env.Table)
	if err != nil || len(open) != 1 {
		t.Errorf("%d tasks pay the debt, %v", len(open), err)
	}
}

// TestLaterCommitReplacesDebt commits twice. The debt of the second publication
// replaces the unpaid one and keeps its Since.
func TestLaterCommitReplacesDebt(t *testing.T) {
	w := newShop(t, drivertest.NewEnv())
	w.applying = func() error { return errors.New("broken") }
	w.admit(t, publishArgs{Text: "one"})
	drain(t, w.env, w.d)
	first, _ := w.debt(t, debtName)
	w.admit(t, publishArgs{Text: "two"})
	drain(t, w.env, w.d)
	second, ok := w.debt(t, debtName)
	if !ok || !second.Since.Equal(first.Since) || second.Task == first.Task || second.Tries != 0 {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if sum, err := w.store.Owed(t.Context()); err != nil || sum.Count != 1 || !sum.Oldest.Equal(first.Since) {
		t.Errorf("%+v, %v", sum, err)
	}
	w.applying = nil
	w.admit(t, publishArgs{Text: "three"})
	drain(t, w.env, w.d)
	if err := w.clean(); err != nil || w.tree() != "three" {
		t.Errorf("the tree has %q, %v", w.tree(), err)
	}
}

// TestTaskOfAReplacedDebtPaysNoOther admits the task of a debt while a publication waits.
// That one commits, and replaces the debt. Then the task finds nothing of its own to do.
// The debt of the publication stays.
func TestTaskOfAReplacedDebtPaysNoOther(t *testing.T) {
	w := newShop(t, drivertest.NewEnv())
	w.applying = func() error { return errors.New("broken") }
	w.admit(t, publishArgs{Text: "one"})
	drain(t, w.env, w.d)
	first, _ := w.debt(t, debtName)
	two := w.admit(t, publishArgs{Text: "two"})
	if err := w.store.claim(t.Context(), first, w.store.planDebt); err != nil {
		t.Fatal(err)
	}
	w.settling = func() error { return nil }
	drain(t, w.env, w.d)
	if open, err := lock.Open(t.Context(), w.env.Table); err != nil || len(open) > 0 {
		t.Fatalf("%d tasks have not ended, %v", len(open), err)
	}
	if e, ok := w.debt(t, debtName); !ok || e.Task != two {
		t.Errorf("%+v is owed: %t, want the debt of task %d", e, ok, two)
	}
	w.applying, w.settling = nil, nil
	w.env.Clock.Advance(2 * time.Hour)
	if err := w.store.Due(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	drain(t, w.env, w.d)
	if err := w.clean(); err != nil || w.tree() != "two" {
		t.Errorf("the tree has %q, %v", w.tree(), err)
	}
}

// TestEntryOfUnknownKindKeepsNoOther holds that a tick continues after an entry
// without a planner.
func TestEntryOfUnknownKindKeepsNoOther(t *testing.T) {
	w := newShop(t, drivertest.NewEnv())
	ctx := t.Context()
	for i, e := range []calendar.Entry{{Name: "a", Kind: "nobody's"}, {Name: "b", Kind: "known"}, {Name: "c", Kind: "gone"}, {Name: "later", Kind: "known", Due: w.env.Clock.Now().Add(time.Hour)}} {
		if e.Due.IsZero() {
			e.Due = w.env.Clock.Now().Add(time.Duration(i-10) * time.Minute)
		}
		if _, err := w.env.Table.Write(ctx, e.PutOp()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.env.Memory.Table.Put(ctx, driver.Row{Key: calendar.Key("damaged"), Data: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	next := w.env.Clock.Now().Add(24 * time.Hour)
	var planned []string
	err := w.store.Due(ctx, map[string]Planner{
		"known": func(_ context.Context, e calendar.Entry) (Plan, error) {
			planned = append(planned, e.Name)
			return Plan{Spec: Spec{Kind: "p.settle", Name: "x", Locks: shopLocks, Args: struct{}{}}, Next: next, Anew: true}, nil
		},
		"gone": func(context.Context, calendar.Entry) (Plan, error) { return Plan{}, nil },
	})
	if err == nil || !strings.Contains(err.Error(), "nobody's") || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("the tick says %v", err)
	}
	if fmt.Sprint(planned) != "[b]" {
		t.Errorf("planned %q", planned)
	}
	if e, ok := w.debt(t, "b"); !ok || !e.Due.Equal(next) || e.Task != 1 || e.Tries != 1 || !e.Since.Equal(next) {
		t.Errorf("claimed %+v", e)
	}
	if _, ok := w.debt(t, "c"); ok {
		t.Error("an entry whose subject is gone is left")
	}
}

package task

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

// bad takes six bytes of a row's JSON per byte.
var bad = strings.Repeat("\x01\xff", 40<<10)

// TestTextsFromOutsideFitIntoRow has all texts of a task long and full of escapes
// at once.
func TestTextsFromOutsideFitIntoRow(t *testing.T) {
	for _, fail := range []bool{false, true} {
		env := drivertest.NewEnv()
		s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
			if ok, err := a.Cursor(new(string)); err != nil || ok {
				return Result{}, err
			}
			for i := range 100 {
				a.Warn("%d %s", i, bad)
			}
			a.Printf("%s", bad)
			a.Detail(map[string]string{"x": bad})
			a.Put(driver.Key{Part: "effect", Sort: "x"}, []byte("done"))
			if err := a.Save(ctx, strings.Repeat("x", maxCursor-2)); err != nil {
				return Result{}, err
			}
			a.Printf("%s", bad)
			a.Put(driver.Key{Part: "effect", Sort: "y"}, []byte("done"))
			if fail {
				return Result{}, Fail(400, "%s", bad)
			}
			return Result{Value: bad}, nil
		})
		sp := Spec{Kind: "t.x", Name: bad, Args: struct{}{}, Locks: one, Resources: []string{bad, "second"}}
		for i := range 90 {
			sp.Locks = append(sp.Locks, lock.Want{Resource: fmt.Sprint(strings.Repeat("&", 800), i)})
			sp.Resources = append(sp.Resources, strings.Repeat("&", 800))
		}
		id := admit(t, s, sp).ID
		drain(t, env, d)
		got := get(t, s, id)
		if fail && (got.State != Failed || got.Code != 400 || !strings.HasSuffix(got.Error, "bytes are cut]")) ||
			!fail && got.State != Succeeded || len(env.Memory.Rows("effect")) == 0 {
			t.Errorf("state %d, code %d, error %.80q, effect %v", got.State, got.Code, got.Error, env.Memory.Rows("effect"))
		}
		if out, err := s.Output(t.Context(), got); err != nil || !strings.HasPrefix(out, bad+bad+"Task ") {
			t.Errorf("output of %d bytes, %v", len(out), err)
		}
		for key, row := range env.Memory.Rows("task") {
			if len(row) > driver.MaxRowSize {
				t.Errorf("%s has %d bytes", key, len(row))
			}
		}
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"short", 100, "short"},
		{strings.Repeat("a", 100), 100, strings.Repeat("a", 100)},
		{strings.Repeat("a", 101), 100, strings.Repeat("a", 60) + " […41 bytes are cut]"},
		{strings.Repeat("é", 51), 100, strings.Repeat("é", 30) + " […42 bytes are cut]"},
		{strings.Repeat("&<>", 33), 100, strings.Repeat("&<>", 33)},
		{strings.Repeat("\n", 51), 100, strings.Repeat("\n", 30) + " […21 bytes are cut]"},
		{strings.Repeat("\xff", 17), 100, strings.Repeat("\xff", 10) + " […7 bytes are cut]"},
	} {
		if got := clip(c.text, c.limit); got != c.want {
			t.Errorf("%.20q to %d: %q, want %q", c.text, c.limit, got, c.want)
		}
		data, err := encode(clip(c.text, c.limit))
		if err != nil || len(data) > c.limit+2 {
			t.Errorf("%.20q to %d: %d bytes, %v", c.text, c.limit, len(data), err)
		}
	}
	if got := tail("aaé\x01", 8); got != "é\x01" {
		t.Errorf("tail %q", got)
	}
	if got := clipAll([]string{strings.Repeat("a", 50), strings.Repeat("b", 50), "c"}, 50, 150); len(got) != 2 || got[1] != "[… 2 more are cut]" {
		t.Errorf("list %q", got)
	}
}

// TestOutputIsWrittenOnce saves after each of many lines. No object is written
// twice, and no two objects overlap.
func TestOutputIsWrittenOnce(t *testing.T) {
	env := drivertest.NewEnv()
	const lines = 300
	line := strings.Repeat("x", 1023) + "\n"
	s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
		for i := range lines {
			a.Printf("%s", line)
			if err := a.Save(ctx, i); err != nil {
				return Result{}, err
			}
		}
		return Result{}, nil
	})
	id := admit(t, s, x()).ID
	drain(t, env, d)
	got, size := get(t, s, id), 0
	for _, data := range env.Memory.Objects("private/tasks/") {
		size += len(data)
	}
	if puts := env.Memory.Counts()["Blobs.Put"]; size > lines*1024 || puts > lines/16 || puts != len(got.OutputBlobs) {
		t.Errorf("%d bytes in %d objects, %d are named", size, puts, len(got.OutputBlobs))
	}
	if out, err := s.Output(t.Context(), got); err != nil || out != strings.Repeat(line, lines)+"Task succeeded" {
		t.Errorf("output of %d bytes, %v", len(out), err)
	}
	if _, err := s.Delete(t.Context(), id); err != nil || len(env.Memory.Objects("private/tasks/")) > 0 {
		t.Errorf("after its deletion: %v, %v", err, env.Memory.Objects("private/tasks/"))
	}
}

// TestOutputIsBounded prints more than the bounds, at once and over many saves.
func TestOutputIsBounded(t *testing.T) {
	for _, save := range []bool{false, true} {
		env := drivertest.NewEnv()
		s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
			for i := range 40 {
				a.Printf("%s\n", strings.Repeat("x", maxUnsaved/2-1))
				if save {
					if err := a.Save(ctx, i); err != nil {
						return Result{}, err
					}
				}
			}
			return Result{}, nil
		})
		id := admit(t, s, x()).ID
		drain(t, env, d)
		got := get(t, s, id)
		out, err := s.Output(t.Context(), got)
		if err != nil || got.State != Succeeded || len(out) > maxOutput+maxUnsaved || strings.Count(out, "cut]") != 1 || !strings.HasSuffix(out, "cut]\nTask succeeded") {
			t.Errorf("save %v: output of %d bytes, ends with %q, %v", save, len(out), out[max(0, len(out)-60):], err)
		}
	}
}

// TestConflictRewindsLargeOutput refuses the write of a large output three times.
// The output has no rolled-back line.
func TestConflictRewindsLargeOutput(t *testing.T) {
	env, tries := drivertest.NewEnv(), 0
	key := driver.Key{Part: "other", Sort: "x"}
	s, d := single(t, env, func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
		if ok, _ := a.Cursor(new(int)); !ok {
			a.Printf("%s\n", strings.Repeat("x", 70<<10))
			if err := a.Save(ctx, 1); err != nil {
				return Result{}, err
			}
		}
		if _, err := a.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return Result{}, err
		}
		a.Printf("once\n%s\n", strings.Repeat("y", 70<<10))
		if tries++; tries <= 3 {
			return Result{Value: strings.Repeat("z", 70<<10)}, env.Memory.Table.Put(ctx, driver.Row{Key: key, Data: []byte{byte(tries)}})
		}
		return Result{Value: strings.Repeat("z", 70<<10)}, nil
	})
	id := admit(t, s, x()).ID
	drain(t, env, d)
	got := get(t, s, id)
	out, err := s.Output(t.Context(), got)
	if err != nil || got.State != Succeeded || strings.Count(out, "once\n") != 1 {
		t.Errorf("state %d, %d times, %v", got.State, strings.Count(out, "once\n"), err)
	}
	// Retention removes the objects of the refused writes and keeps the record.
	env.Clock.Advance(2 * orphanFor)
	if err := s.Due(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	left := env.Memory.Objects("private/tasks/")
	for _, key := range got.objects() {
		delete(left, key)
	}
	if len(left) > 0 || len(got.OutputBlobs) != 2 {
		t.Errorf("left are %v, named %v", maps.Keys(left), got.objects())
	}
	if again, err := s.Output(t.Context(), get(t, s, id)); err != nil || again != out {
		t.Errorf("after a day the output has %d bytes of %d, %v", len(again), len(out), err)
	}
}

// TestOldTasksAreRemoved runs tasks during a year.
func TestOldTasksAreRemoved(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) {
		return Result{Value: strings.Repeat("z", 70<<10)}, nil
	})
	stuck := admit(t, s, Spec{Kind: "t.x", Name: "stuck", Args: strings.Repeat("x", 70<<10), Locks: []lock.Want{{Resource: "b"}}}).ID
	part := fmt.Sprintf("private/tasks/%d/part", stuck) // of its cursor, say
	if _, err := env.Blobs.Put(t.Context(), part, strings.NewReader("x"), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, m := range env.Memory.Queue.Pending() {
		_, _ = env.Memory.Queue.Step(t.Context(), func(context.Context, driver.Message) (driver.Outcome, error) {
			return driver.Outcome{Retry: 1000 * time.Hour}, nil
		})
		_ = m
	}
	for range 365 {
		id := admit(t, s, x()).ID
		if _, err := d.Handle(t.Context(), driver.Message{Group: "g", ID: "i", Body: fmt.Sprint(id), Receipt: "r"}); err != nil {
			t.Fatal(err)
		}
		if _, err := env.Blobs.Put(t.Context(), fmt.Sprintf("private/tasks/%d/args", id+10000), strings.NewReader("x"), driver.PutOptions{}); err != nil {
			t.Fatal(err) // as after a dead admission
		}
		env.Clock.Advance(24 * time.Hour)
		if err := s.Due(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if rows, objects := len(env.Memory.Rows("task")), len(env.Memory.Objects("private/tasks/")); rows > 10 || objects > 12 {
		t.Errorf("%d records and %d objects are left", rows, objects)
	}
	if got := get(t, s, stuck); got.State != Idle {
		t.Errorf("the task that waits is in state %d", got.State)
	}
	if _, err := env.Blobs.Stat(t.Context(), part); err != nil {
		t.Errorf("the object of a task that waits: %v", err)
	}
}

// TestObjectsOfAnAdmissionAreKeptForADay: an admission stores large arguments before
// the row that names them.
func TestObjectsOfAnAdmissionAreKeptForADay(t *testing.T) {
	env := drivertest.NewEnv()
	s, _ := single(t, env, nil)
	const key = "private/tasks/7/args"
	if _, err := env.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, hours := range []int{0, 2, 21, 24} {
		env.Clock.Advance(time.Duration(hours) * time.Hour)
		if err := s.Due(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, there := env.Memory.Objects(key)[key]; there != (hours < 24) {
			t.Errorf("after %d hours more the object is there: %v", hours, there)
		}
	}
}

// TestArgumentsOfADebtAreKept has a debt with large arguments stay for longer than
// the record of the task that made it.
func TestArgumentsOfADebtAreKept(t *testing.T) {
	env := drivertest.NewEnv()
	s, _ := single(t, env, nil)
	broken, paid, big := true, "", strings.Repeat("x", 70<<10)
	fails := func() (Result, error) {
		if broken {
			return Result{}, errors.New("broken")
		}
		return Result{}, nil
	}
	d, err := NewDispatcher(s, []Kind{
		Define("t.owe", func(ctx context.Context, a *Attempt, _ struct{}) (Result, error) {
			if a.Committed() {
				return fails()
			}
			return Result{}, a.Commit(ctx, 1, Debt{Name: "debt", Spec: Spec{Kind: "t.pay", Name: "pay", Locks: one, Args: big}})
		}),
		Define("t.pay", func(_ context.Context, _ *Attempt, args string) (Result, error) {
			paid = args
			return fails()
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	id := admit(t, s, Spec{Kind: "t.owe", Name: "owe", Locks: one, Args: struct{}{}}).ID
	days := func(n int) {
		t.Helper()
		for range n {
			if err := s.Due(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			drain(t, env, d)
			env.Clock.Advance(24 * time.Hour)
		}
	}
	days(10)
	if _, err := s.Get(t.Context(), id); !errors.Is(err, ErrUnknown) {
		t.Errorf("the record of the task that made the debt: %v", err)
	}
	if kept, err := s.Kept(t.Context()); err != nil || !kept[id] {
		t.Errorf("the collector may remove what the debt needs: %v, %v", kept, err)
	}
	broken, paid = false, ""
	days(3)
	if paid != big {
		t.Errorf("the debt was paid with %d bytes of arguments, want %d", len(paid), len(big))
	}
	days(10)
	if rows, objects := env.Memory.Rows("calendar"), env.Memory.Objects("private/tasks/"); len(rows) > 1 || len(objects) > 0 {
		t.Errorf("left are %d entries and %d objects", len(rows), len(objects))
	}
}

// TestTickReadsRowsOnce counts the reads of a tick with thousands of waiting
// tasks.
func TestTickReadsRowsOnce(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := single(t, env, nil)
	s.Queue = unsent{}
	const resources, each = 5, 200
	for range each {
		for r := range resources {
			admit(t, s, x(lock.Want{Resource: fmt.Sprint("r", r)}))
		}
	}
	s.Queue = env.Queue
	env.Clock.Advance(time.Hour)
	before := env.Memory.Counts()
	if err := errors.Join(s.Due(t.Context(), nil), d.Resend(t.Context(), false)); err != nil {
		t.Fatal(err)
	}
	after := env.Memory.Counts()
	if gets, sent := after["Table.Get"]-before["Table.Get"], len(env.Memory.Queue.Pending()); gets > resources || sent != resources {
		t.Errorf("%d rows were read one by one, %d messages sent, for %d resources", gets, sent, resources)
	}
	for range 30 { // the messages exist and no process takes them
		env.Clock.Advance(time.Minute)
		if err := d.Resend(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if sends := env.Memory.Counts()["Queue.Send"] - before["Queue.Send"]; sends > 6*resources {
		t.Errorf("%d messages were sent for %d tasks in half an hour", sends, resources)
	}
}

// TestQueueIsBounded refuses admissions to a full queue, and admits again once it
// is shorter.
func TestQueueIsBounded(t *testing.T) {
	env := drivertest.NewEnv()
	s, d := single(t, env, func(context.Context, *Attempt, struct{}) (Result, error) { return Result{}, nil })
	for range 1000 {
		admit(t, s, x())
	}
	if _, err := s.Admit(t.Context(), x(), false); !errors.Is(err, lock.ErrTooMany) {
		t.Errorf("task 1001: %v", err)
	}
	if _, err := env.Memory.Queue.Step(t.Context(), d.Handle); err != nil {
		t.Fatal(err)
	}
	admit(t, s, x())
}

// TestMessageOutlivesItsRequest cancels the request between the write of the row
// and the message.
func TestMessageOutlivesItsRequest(t *testing.T) {
	env := drivertest.NewEnv()
	s, _ := single(t, env, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	s.Table = after{env.Table, hangUp}
	if _, err := s.Admit(ctx, x(), true); err != nil {
		t.Fatal(err)
	}
	if n := len(env.Memory.Queue.Pending()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// after calls a function after each Write.
type after struct {
	driver.Table
	then func()
}

func (a after) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	version, err := a.Table.Write(ctx, ops...)
	a.then()
	return version, err
}

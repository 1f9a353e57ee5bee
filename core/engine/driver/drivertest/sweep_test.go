package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// The journey of these tests publishes a text: first an object, then the row that
// names it.
const published = "text of some length"

var head = driver.Key{Part: "head", Sort: "current"}

func stage(ctx context.Context, e *Env) error {
	_, err := e.Blobs.Put(ctx, "private/staged", strings.NewReader(published), driver.PutOptions{})
	return err
}

func commit(ctx context.Context, e *Env) error {
	version := driver.Absent
	row, err := e.Table.Get(ctx, head)
	if err == nil {
		version = row.Version
	} else if !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	_, err = e.Table.Write(ctx, driver.Op{Key: head, If: version, Data: []byte("private/staged")})
	return err
}

// readable checks the client's view: no text or the whole text, and the whole text if
// Run returned nil.
func readable(e *Env, ran error) error {
	row, err := e.Table.Get(context.Background(), head)
	if errors.Is(err, driver.ErrNotFound) && ran != nil {
		return nil
	}
	if err != nil {
		return err
	}
	r, _, err := e.Blobs.Open(context.Background(), string(row.Data), nil)
	if err != nil {
		return err
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || string(b) != published {
		return fmt.Errorf("read %q, %w", b, err)
	}
	return nil
}

// sequence calls the steps in order until one fails.
func sequence(steps ...func(context.Context, *Env) error) func(context.Context, *Env) error {
	return func(ctx context.Context, e *Env) error {
		for _, step := range steps {
			if err := step(ctx, e); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestSweep(t *testing.T) {
	Sweep(t, Journey{Run: sequence(stage, commit), Verify: readable})
	Sweep(t, Journey{
		Run:     sequence(stage, commit),
		Recover: sequence(stage, commit),
		Verify:  func(e *Env, _ error) error { return readable(e, nil) },
	})
}

// TestSweepFinds sweeps journeys with one fault each.
func TestSweepFinds(t *testing.T) {
	ignore := func(step func(context.Context, *Env) error) func(context.Context, *Env) error {
		return func(ctx context.Context, e *Env) error {
			_ = step(ctx, e)
			return nil
		}
	}
	count := func(ctx context.Context, e *Env) error {
		_, err := e.Table.Add(ctx, head, 1)
		return err
	}
	pair := func(ctx context.Context, e *Env) error {
		return e.Table.Put(ctx,
			driver.Row{Key: driver.Key{Part: "p", Sort: "a"}, Data: []byte("1")},
			driver.Row{Key: driver.Key{Part: "p", Sort: "b"}, Data: []byte("1")})
	}
	undo := func(ctx context.Context, e *Env) error {
		if err := stage(ctx, e); err != nil {
			return errors.Join(err, e.Blobs.Delete(ctx, "private/staged"))
		}
		return nil
	}
	for name, tc := range map[string]struct {
		journey Journey
		want    string // part of the first failure
	}{
		"wrong order": {Journey{Run: sequence(commit, stage), Verify: readable},
			"call 2 fails after its effect (Table.Write head/current): verify: open private/staged: not found"},
		"ignores an error": {Journey{Run: sequence(ignore(stage), commit), Verify: readable},
			"call 1 fails before its effect (Blobs.Put private/staged): verify"},
		"promises too much": {Journey{Run: sequence(stage, ignore(commit)), Verify: readable},
			"call 2 fails before its effect (Table.Get head/current): verify"},
		"does it twice": {Journey{Run: count, Recover: count, Verify: func(e *Env, _ error) error {
			if n := e.Memory.Counters()[head.String()]; n > 2 {
				return fmt.Errorf("counted %d", n)
			}
			return nil
		}, Setup: count}, "without faults: verify: counted 3"},
		"takes many for atomic": {Journey{Run: pair, Verify: func(e *Env, _ error) error {
			if n := len(e.Memory.Rows("p")); n == 1 {
				return errors.New("one of two")
			}
			return nil
		}}, "call 1 fails midway through its effect (Table.Put p/a): verify: one of two"},
		"cleans up only while alive": {Journey{Run: undo, Verify: func(e *Env, ran error) error {
			if ran != nil && len(e.Memory.Objects("")) > 0 {
				return errors.New("left behind")
			}
			return nil
		}}, "call 1 fails after its effect and the process dies (Blobs.Put private/staged): verify: left behind"},
		"cannot recover": {Journey{Run: commit, Verify: readable, Setup: stage, Recover: func(ctx context.Context, e *Env) error {
			_, err := e.Table.Write(ctx, driver.Op{Key: driver.Key{Part: "p", Sort: "started"}})
			_, again := e.Table.Get(ctx, head)
			return errors.Join(err, again)
		}}, "call 1 fails before its effect (Table.Get head/current): recover"},
		"fails without faults": {Journey{Run: func(context.Context, *Env) error { return errors.New("no") }, Verify: readable}, "without faults: no"},
		"fails to set up":      {Journey{Setup: func(context.Context, *Env) error { return errors.New("no") }}, "setup: no"},
		"calls nothing": {Journey{Run: func(context.Context, *Env) error { return nil },
			Verify: func(*Env, error) error { return nil }}, "makes no calls"},
	} {
		for _, copies := range []bool{false, true} {
			_, failures := sweep(t.Context(), tc.journey, faultsOf, copies)
			if len(failures) == 0 || !strings.Contains(failures[0].Error(), tc.want) {
				t.Errorf("%s: found %v, want %q; with copies: %t", name, failures, tc.want, copies)
			}
		}
	}
}

// TestSweepRuns counts the runs: Put and Table.Put can fail Midway, and only the
// first call has a death before its effect.
func TestSweepRuns(t *testing.T) {
	for _, copies := range []bool{false, true} {
		runs, failures := sweep(t.Context(), Journey{Run: sequence(stage, commit), Verify: readable}, faultsOf, copies)
		if want := 1 + (3 + 1 + 2) + 3 + 3; runs != want || failures != nil {
			t.Errorf("%d runs, want %d; failures: %v", runs, want, failures)
		}
	}
}

// TestSweepCopies holds that a copy equals the state after a death. A run that ends
// in death leaves the same rows, objects and messages at the same time.
func TestSweepCopies(t *testing.T) {
	journey := func(ctx context.Context, e *Env) error {
		if err := sequence(stage, commit)(ctx, e); err != nil {
			return err
		}
		if err := e.Queue.Send(ctx, driver.Message{Group: "g", ID: "1", Body: "b"}); err != nil {
			return err
		}
		return e.Drain(ctx, func(ctx context.Context, _ driver.Message) (driver.Outcome, error) {
			e.Clock.Advance(time.Second)
			_, err := e.Table.Get(ctx, head)
			return driver.Outcome{}, errors.Join(err, e.Blobs.Delete(ctx, "private/staged"))
		})
	}
	world := func(e *Env) string {
		s := fmt.Sprint(e.Memory.Objects(""), e.Memory.Rows(""), e.Clock.Now())
		for _, m := range e.Memory.Queue.Pending() {
			s += " " + m.Body
		}
		return s
	}
	peace := NewEnv()
	left := peace.keep()
	must(t, journey(t.Context(), peace))
	calls, worlds := peace.Faults.Calls(), map[*Env]bool{}
	for i, call := range calls {
		dying := NewEnv(Fault{i + 1, After, true})
		ctx, cancel := dying.Faults.Context(t.Context())
		if err := journey(ctx, dying); err == nil {
			t.Errorf("%s: the dead go on", call)
		}
		cancel()
		if got, want := world(left[i+1]), world(dying.Restart()); got != want {
			t.Errorf("after %s there is %s, want %s", call, got, want)
		}
		worlds[left[i+1]] = true
	}
	if len(calls) != 6 || len(worlds) != 5 { // the read of the row before the write changes nothing
		t.Errorf("%d worlds after %q", len(worlds), calls)
	}
}

// TestDrain handles messages to their end by its own clock, through failures and
// delays. It handles none for a dead process.
func TestDrain(t *testing.T) {
	e := NewEnv()
	s := suite{Set: Set{Queue: e.Queue}, id: "x"}
	s.send(t, s.message("a", 1), s.message("a", 2), s.message("b", 1))
	start, turns := e.Clock.Now(), map[string]int{}
	must(t, e.Drain(t.Context(), func(_ context.Context, m driver.Message) (driver.Outcome, error) {
		switch turns[m.Body]++; turns[m.Body] {
		case 1:
			return driver.Outcome{}, errors.New("no")
		case 2:
			return driver.Outcome{Retry: time.Minute}, nil
		}
		return driver.Outcome{}, nil
	}))
	// Both groups wait at the same time; the second message of a waits after its first.
	if got, passed := fmt.Sprint(turns), e.Clock.Now().Sub(start); got != "map[a 1:3 a 2:3 b 1:3]" || passed != 2*time.Minute {
		t.Errorf("deliveries were %s, in %v", got, passed)
	}
	s.send(t, s.message("c", 1))
	no := errors.New("no")
	if err := e.Drain(t.Context(), func(context.Context, driver.Message) (driver.Outcome, error) { return driver.Outcome{}, no }); !errors.Is(err, no) {
		t.Errorf("Drain of a message that always fails: %v", err)
	}
	e = e.Restart(Fault{Call: 1, Die: true})
	ctx, cancel := e.Faults.Context(t.Context())
	defer cancel()
	err := e.Drain(ctx, func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
		_, err := e.Table.Get(ctx, head)
		return driver.Outcome{}, err
	})
	if !errors.Is(err, ErrFault) || !errors.Is(err, context.Canceled) || len(e.Memory.Queue.Pending()) != 1 {
		t.Errorf("Drain of a dead process: %v", err)
	}
}

// TestSomeFaults holds that with -short the process dies after every call, and that
// every other fault is tried on some call.
func TestSomeFaults(t *testing.T) {
	seen := map[Fault]bool{}
	for n := 1; n <= 12; n++ {
		died := false
		for _, f := range someFaultsOf(n, "Blobs.Put x") {
			died = died || f == Fault{n, After, true}
			f.Call = 0
			seen[f] = true
		}
		if !died {
			t.Errorf("the process does not die after call %d", n)
		}
	}
	for _, f := range faultsOf(1, "Blobs.Put x") {
		if f.Call = 0; !seen[f] {
			t.Errorf("never: %v", f)
		}
	}
}

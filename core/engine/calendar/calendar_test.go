package calendar

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
)

// TestEntryIsWrittenWithTransaction schedules, replaces and removes an entry.
func TestEntryIsWrittenWithTransaction(t *testing.T) {
	env := drivertest.NewEnv()
	now := env.Clock.Now()
	change := func(f func(*lock.Tx) error) {
		t.Helper()
		tx := lock.NewTx(env.Table)
		if err := f(tx); err != nil {
			t.Fatal(err)
		}
		ops, err := tx.Ops()
		if err == nil {
			_, err = env.Table.Write(t.Context(), ops...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *lock.Tx) error {
		return Schedule(t.Context(), tx, Entry{Name: "n", Kind: "k", Due: now.Add(time.Hour)})
	})
	first, err := Get(t.Context(), env.Table, "n")
	if err != nil || !first.Due.Equal(now.Add(time.Hour)) || !first.Since.Equal(first.Due) {
		t.Errorf("%+v, %v", first, err)
	}
	change(func(tx *lock.Tx) error {
		return Schedule(t.Context(), tx, Entry{Name: "n", Kind: "k", Due: now.Add(2 * time.Hour), Since: now.Add(2 * time.Hour)})
	})
	if second, err := Get(t.Context(), env.Table, "n"); err != nil || !second.Due.Equal(now.Add(2*time.Hour)) || !second.Since.Equal(first.Since) {
		t.Errorf("replaced: %+v, %v", second, err)
	}
	if _, err := env.Table.Write(t.Context(), first.DeleteOp()); !errors.Is(err, driver.ErrConflict) {
		t.Errorf("removing what was replaced: %v", err)
	}
	for range 2 { // the second one finds nothing
		change(func(tx *lock.Tx) error { return Remove(t.Context(), tx, "n") })
	}
	none, err := Get(t.Context(), env.Table, "n")
	if !errors.Is(err, driver.ErrNotFound) || none.Exists() || none.Name != "n" {
		t.Errorf("removed: %+v, %v", none, err)
	}
	none.Kind, none.Due = "k", now
	if _, err := env.Table.Write(t.Context(), none.PutOp()); err != nil {
		t.Errorf("created over what was not there: %v", err)
	}
}

// TestReadIsInOrderOfDue has an order of due times that differs from that of
// names, and a damaged entry.
func TestReadIsInOrderOfDue(t *testing.T) {
	env := drivertest.NewEnv()
	for i, name := range []string{"c", "a", "b"} {
		e := Entry{Name: name, Kind: "k", Due: env.Clock.Now().Add(time.Duration(i) * time.Minute), Reason: strings.Repeat("é\xff", maxReason)}
		if _, err := env.Table.Write(t.Context(), e.PutOp()); err != nil {
			t.Fatal(err)
		}
	}
	if err := env.Table.Put(t.Context(), driver.Row{Key: Key("aa"), Data: []byte("no entry")}); err != nil {
		t.Fatal(err)
	}
	entries, err := Read(t.Context(), env.Table)
	if err == nil || !strings.Contains(err.Error(), "aa") {
		t.Errorf("of the damaged entry: %v", err)
	}
	names := ""
	for _, e := range entries {
		names += e.Name
		if len(e.Reason) > 2*maxReason {
			t.Errorf("a reason of %d bytes", len(e.Reason))
		}
	}
	if names != "cab" {
		t.Errorf("in the order %s", names)
	}
}

// TestMoveLosesToOtherWriter moves an entry after another writer has moved it.
func TestMoveLosesToOtherWriter(t *testing.T) {
	env := drivertest.NewEnv()
	if _, err := env.Table.Write(t.Context(), Entry{Name: "n", Kind: "k", Due: env.Clock.Now()}.PutOp()); err != nil {
		t.Fatal(err)
	}
	e, err := Get(t.Context(), env.Table, "n")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := Move(t.Context(), env.Table, e, env.Clock.Now().Add(time.Duration(i+1)*time.Hour)); err != nil {
			t.Error(err)
		}
	}
	if err := Drop(t.Context(), env.Table, e); err != nil {
		t.Error(err)
	}
	if now, err := Get(t.Context(), env.Table, "n"); err != nil || !now.Due.Equal(env.Clock.Now().Add(time.Hour)) || now.Tries != 0 {
		t.Errorf("%+v, %v", now, err)
	}
}

func TestPauses(t *testing.T) {
	got := ""
	for tries := range 9 {
		got += fmt.Sprint(Pause(tries), " ")
	}
	if want := "1m0s 1m0s 2m0s 4m0s 8m0s 16m0s 32m0s 1h0m0s 1h0m0s "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	now := time.Unix(0, 0)
	for within, want := range map[time.Duration]time.Duration{time.Hour: 7*time.Minute + 30*time.Second, 24 * time.Hour: time.Hour, time.Minute: time.Minute} {
		if got := Until(now, within).Sub(now); got != want {
			t.Errorf("within %v: %v, want %v", within, got, want)
		}
	}
}

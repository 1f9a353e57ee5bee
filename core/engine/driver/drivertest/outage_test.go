package drivertest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/engine/driver"
)

// suffering returns drivers on a Memory with the object private/a, under the outage o.
func suffering(t *testing.T, o *Outage) (*Memory, *Faults) {
	t.Helper()
	m := NewMemory(time.Now)
	if _, err := m.Blobs.Put(t.Context(), "private/a", strings.NewReader("aaaa"), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	f := NewFaults(m.Blobs, m.Table, m.Queue)
	f.Suffer(o)
	return m, f
}

// TestOutageBeginsWithItsCallAndEndsWithItsTime holds that calls before the outage,
// calls after it, and calls that do not match have their effect.
func TestOutageBeginsWithItsCallAndEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &Outage{Match: TableCalls, From: 3, For: time.Minute}
		_, f := suffering(t, o)
		add := func() error {
			_, err := f.Table.Add(t.Context(), rowKey("n"), 1)
			return err
		}
		if err := errors.Join(add(), add()); err != nil {
			t.Fatal(err)
		}
		if _, begun := o.Begun(); begun {
			t.Fatal("the outage has begun before its call")
		}
		if _, err := f.Blobs.Stat(t.Context(), "private/a"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 60 {
			if err := add(); !errors.Is(err, ErrFault) {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			time.Sleep(time.Second)
		}
		if n, err := f.Table.Add(t.Context(), rowKey("n"), 1); n != 3 || err != nil {
			t.Errorf("after the outage: %d, %v", n, err)
		}
		if at, begun := o.Begun(); !begun || !at.Equal(start) || o.Met() != 60 {
			t.Errorf("begun at %v (%v), met by %d calls", at, begun, o.Met())
		}
	})
}

// TestOutageGoesOnWhenAProcessDies holds that a process that starts during an outage
// suffers the rest of it.
func TestOutageGoesOnWhenAProcessDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &Outage{From: 1, For: time.Minute}
		m, f := suffering(t, o)
		ctx, cancel := f.Context(t.Context())
		defer cancel()
		if _, err := f.Blobs.Stat(ctx, "private/a"); !errors.Is(err, ErrFault) {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		f.Kill()
		if ctx.Err() == nil || !f.Dead() {
			t.Error("the context of a dead process has not ended")
		}
		next := NewFaults(m.Blobs, m.Table, m.Queue)
		next.Suffer(o)
		if _, err := next.Blobs.Stat(t.Context(), "private/a"); !errors.Is(err, ErrFault) {
			t.Errorf("during the outage: %v", err)
		}
		time.Sleep(30 * time.Second)
		if _, err := next.Blobs.Stat(t.Context(), "private/a"); err != nil {
			t.Errorf("after it: %v", err)
		}
		if _, err := f.Blobs.Stat(t.Context(), "private/a"); !errors.Is(err, ErrFault) {
			t.Errorf("a call of the dead process: %v", err)
		}
	})
}

// TestOutageHow checks a Put under each kind of outage: its effect, its error, and
// its duration.
func TestOutageHow(t *testing.T) {
	for _, tc := range []struct {
		how           How
		limit         time.Duration // of the context; 0 means none
		effect, fails bool
		takes         time.Duration
	}{
		{Refused, 0, false, true, 0},
		{Lost, 0, true, true, 0},
		{Hanging, 0, false, true, time.Minute},
		{Hanging, 10 * time.Second, false, true, 10 * time.Second},
		{Slow, 0, true, false, 5 * time.Second},
		{Slow, time.Second, false, true, time.Second},
	} {
		t.Run(tc.how.String()+" "+tc.limit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, f := suffering(t, &Outage{Match: BlobCalls, From: 1, For: time.Minute, How: tc.how, Delay: 5 * time.Second})
				ctx := t.Context()
				if tc.limit > 0 {
					limited, cancel := context.WithTimeout(ctx, tc.limit)
					defer cancel()
					ctx = limited
				}
				start := time.Now()
				_, err := f.Blobs.Put(ctx, "private/b", strings.NewReader("b"), driver.PutOptions{})
				if errors.Is(err, ErrFault) != tc.fails || (err != nil) != tc.fails {
					t.Errorf("the call returned %v", err)
				}
				if limited := tc.fails && tc.limit > 0; errors.Is(err, context.DeadlineExceeded) != limited {
					t.Errorf("the call returned %v", err)
				}
				if _, there := m.Objects("private/b")["private/b"]; there != tc.effect {
					t.Errorf("the object is there: %v", there)
				}
				if took := time.Since(start); took != tc.takes {
					t.Errorf("the call took %v, want %v", took, tc.takes)
				}
			})
		})
	}
}

// TestOutageBreaksOpenBodies holds that an outage breaks reads of an object that was
// opened before it.
func TestOutageBreaksOpenBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, f := suffering(t, &Outage{From: 2, For: time.Minute})
		r, _, err := f.Blobs.Open(t.Context(), "private/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.ReadFull(r, make([]byte, 2)); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		if err := f.Call(t.Context(), "Signer.Sign"); !errors.Is(err, ErrFault) {
			t.Error(err)
		}
		if rest, err := io.ReadAll(r); len(rest) > 0 || !errors.Is(err, ErrFault) {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

// TestMatchersOfOutages checks which calls each matcher accepts.
func TestMatchersOfOutages(t *testing.T) {
	public, private := ObjectCalls("public/"), ObjectCalls("private/")
	for _, tc := range []struct{ call, by string }{
		{"Table.Write task/1", "table"},
		{"Table.Scan publish", "table"},
		{"Queue.Send g 1", "queue"},
		{"Blobs.Put public/dists/s/Release", "blobs public"},
		{"Blobs.Delete private/chunks/x", "blobs private"},
		{"Blobs.Copy private/pool/x public/pool/x", "blobs public private"},
		{"Blobs.List public/dists/", "blobs public"},
		{"Signer.Sign", ""},
	} {
		var by []string
		for _, m := range []struct {
			name  string
			match func(string) bool
		}{{"table", TableCalls}, {"queue", QueueCalls}, {"blobs", BlobCalls}, {"public", public}, {"private", private}} {
			if m.match(tc.call) {
				by = append(by, m.name)
			}
		}
		if got := strings.Join(by, " "); got != tc.by {
			t.Errorf("%s is taken by %q, want %q", tc.call, got, tc.by)
		}
	}
}

package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// TestFaultsConform runs the suite through a Faults without planned faults.
func TestFaultsConform(t *testing.T) {
	Run(t, func(*testing.T) Set {
		m := NewMemory(time.Now)
		f := NewFaults(m.Blobs, m.Table, m.Queue)
		set := memorySet(m)
		set.Blobs, set.Table, set.Queue = f.Blobs, f.Table, f.Queue
		return set
	})
}

// state is the whole content of a Memory.
func state(m *Memory) string {
	var pending []string
	for _, msg := range m.Queue.Pending() {
		pending = append(pending, msg.ID)
	}
	return fmt.Sprint(m.Objects(""), m.Rows(""), m.Counters(), pending)
}

// drain reads all results of a List or Scan.
func drain[T any](seq func(func(T, error) bool)) (n int, err error) {
	for _, err := range seq {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// faultyCall is a call made in the state beforeCall.
type faultyCall struct {
	name          string
	call          func(ctx context.Context, e *Env) (seen int, err error)
	after, midway string // state after a failure After or Midway
	seen          [3]int // results seen before the error, by When
}

const beforeCall = "map[a:aaaa b:b] map[p/r:r p/s:s] map[] []"

func rowKey(sort string) driver.Key { return driver.Key{Part: "p", Sort: sort} }

func faultyCalls() []faultyCall {
	return []faultyCall{
		{"Blobs.Put a", func(ctx context.Context, e *Env) (int, error) {
			_, err := e.Blobs.Put(ctx, "a", strings.NewReader("new!"), driver.PutOptions{})
			return 0, err
		}, "map[a:new! b:b] map[p/r:r p/s:s] map[] []", beforeCall, [3]int{}},
		{"Blobs.Open a", func(ctx context.Context, e *Env) (int, error) {
			r, _, err := e.Blobs.Open(ctx, "a", nil)
			if err != nil {
				return 0, err
			}
			b, err := io.ReadAll(r)
			return len(b), errors.Join(err, r.Close())
		}, beforeCall, beforeCall, [3]int{0, 0, 2}},
		{"Blobs.Stat a", func(ctx context.Context, e *Env) (int, error) {
			info, err := e.Blobs.Stat(ctx, "a")
			return int(info.Size), err
		}, beforeCall, beforeCall, [3]int{}},
		{"Blobs.Copy a c", func(ctx context.Context, e *Env) (int, error) {
			_, err := e.Blobs.Copy(ctx, "c", "a", driver.PutOptions{})
			return 0, err
		}, "map[a:aaaa b:b c:aaaa] map[p/r:r p/s:s] map[] []", beforeCall, [3]int{}},
		{"Blobs.List", func(ctx context.Context, e *Env) (int, error) {
			return drain(e.Blobs.List(ctx, "", ""))
		}, beforeCall, beforeCall, [3]int{0, 2, 1}},
		{"Blobs.Delete a", func(ctx context.Context, e *Env) (int, error) {
			return 0, e.Blobs.Delete(ctx, "a", "b")
		}, "map[] map[p/r:r p/s:s] map[] []", "map[b:b] map[p/r:r p/s:s] map[] []", [3]int{}},
		{"Table.Get p/r", func(ctx context.Context, e *Env) (int, error) {
			row, err := e.Table.Get(ctx, rowKey("r"))
			return len(row.Data), err
		}, beforeCall, beforeCall, [3]int{}},
		{"Table.Scan p", func(ctx context.Context, e *Env) (int, error) {
			return drain(e.Table.Scan(ctx, "p", ""))
		}, beforeCall, beforeCall, [3]int{0, 2, 1}},
		{"Table.Write p/x", func(ctx context.Context, e *Env) (int, error) {
			version, err := e.Table.Write(ctx, driver.Op{Key: rowKey("x")}, driver.Op{Key: rowKey("y")})
			return len(version), err
		}, "map[a:aaaa b:b] map[p/r:r p/s:s p/x: p/y:] map[] []", beforeCall, [3]int{}},
		{"Table.Put p/x", func(ctx context.Context, e *Env) (int, error) {
			return 0, e.Table.Put(ctx, driver.Row{Key: rowKey("x")}, driver.Row{Key: rowKey("y")})
		}, "map[a:aaaa b:b] map[p/r:r p/s:s p/x: p/y:] map[] []", "map[a:aaaa b:b] map[p/r:r p/s:s p/x:] map[] []", [3]int{}},
		{"Table.Add p/n", func(ctx context.Context, e *Env) (int, error) {
			n, err := e.Table.Add(ctx, rowKey("n"), 7)
			return int(n), err
		}, "map[a:aaaa b:b] map[p/r:r p/s:s] map[p/n:7] []", beforeCall, [3]int{}},
		{"Queue.Send g i", func(ctx context.Context, e *Env) (int, error) {
			return 0, e.Queue.Send(ctx, driver.Message{Group: "g", ID: "i", Body: "b"})
		}, "map[a:aaaa b:b] map[p/r:r p/s:s] map[] [i]", beforeCall, [3]int{}},
	}
}

func TestFaultEffects(t *testing.T) {
	for _, tc := range faultyCalls() {
		start := NewEnv()
		s := suite{Set: memorySet(start.Memory)}
		s.put(t, "a", "aaaa")
		s.put(t, "b", "b")
		must(t, start.Table.Put(t.Context(), driver.Row{Key: rowKey("r"), Data: []byte("r")}, driver.Row{Key: rowKey("s"), Data: []byte("s")}))
		for when, want := range map[When]string{Before: beforeCall, After: tc.after, Midway: tc.midway} {
			for _, die := range []bool{false, true} {
				fault := Fault{Call: 2, When: when, Die: die}
				e := start.Restart(fault)
				ctx, cancel := e.Faults.Context(t.Context())
				_, err := e.Blobs.Stat(ctx, "b")
				must(t, err)
				seen, err := tc.call(ctx, e)
				if !errors.Is(err, ErrFault) || seen != tc.seen[when] {
					t.Errorf("%s: %s: %d, %v; want %d and ErrFault", tc.name, fault, seen, err, tc.seen[when])
				}
				for _, sentinel := range []error{driver.ErrNotFound, driver.ErrExists, driver.ErrConflict, driver.ErrDigest, driver.ErrInvalid} {
					if errors.Is(err, sentinel) {
						t.Errorf("%s: %s: %v is %v", tc.name, fault, err, sentinel)
					}
				}
				if got := state(e.Memory); got != want {
					t.Errorf("%s: %s: left %s, want %s", tc.name, fault, got, want)
				}
				// A dead process stays dead, and one that survived goes on.
				_, err = tc.call(t.Context(), e)
				if die != errors.Is(err, ErrFault) || die != e.Faults.Dead() || die != (ctx.Err() != nil) {
					t.Errorf("%s: %s: called again: %v", tc.name, fault, err)
				}
				calls := []string{"Blobs.Stat b", tc.name, tc.name}
				if die {
					calls = calls[:2]
					if got := state(e.Memory); got != want {
						t.Errorf("%s: %s: called again left %s, want %s", tc.name, fault, got, want)
					}
				}
				if got := e.Faults.Calls(); !slices.Equal(got, calls) {
					t.Errorf("%s: %s: calls are %q, want %q", tc.name, fault, got, calls)
				}
				cancel()
			}
		}
	}
}

// TestDeadReader continues to read an object and to range over a list after another
// call has killed the process.
func TestDeadReader(t *testing.T) {
	e := NewEnv(Fault{Call: 5, When: Before, Die: true})
	for _, key := range []string{"a", "b"} {
		_, err := e.Blobs.Put(t.Context(), key, strings.NewReader("content"), driver.PutOptions{})
		must(t, err)
	}
	r, _, err := e.Blobs.Open(t.Context(), "a", nil)
	must(t, err)
	n := 0
	for _, err := range e.Blobs.List(t.Context(), "", "") {
		if n++; n == 1 {
			must(t, err)
			if err := e.Queue.Wake(t.Context(), driver.Message{}); !errors.Is(err, ErrFault) {
				t.Errorf("the fault: %v", err)
			}
		} else if !errors.Is(err, ErrFault) {
			t.Errorf("List goes on after death: %v", err)
		}
	}
	if _, err := r.Read(make([]byte, 1)); n != 2 || !errors.Is(err, ErrFault) {
		t.Errorf("%d yielded; Read after death: %v", n, err)
	}
}

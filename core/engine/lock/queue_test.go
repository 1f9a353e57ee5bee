package lock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

func table() driver.Table { return drivertest.NewMemory(time.Now).Table }

func ex(resource string) Want { return Want{Resource: resource} }
func sh(resource string) Want { return Want{Resource: resource, Mode: Shared} }

// move changes the queues and returns the tasks that may hold their locks then.
func move(tb rapid.TB, t driver.Table, task int64, from, to []Want) []int64 {
	tb.Helper()
	ops, next, err := Change(context.Background(), t, task, from, to)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := t.Write(context.Background(), ops...); err != nil {
		tb.Fatal(err)
	}
	return next
}

func ahead(tb rapid.TB, t driver.Table, task int64, wants []Want) []int64 {
	tb.Helper()
	tasks, err := Ahead(context.Background(), t, task, wants)
	if err != nil {
		tb.Fatal(err)
	}
	return tasks
}

func TestMerge(t *testing.T) {
	got := Merge([]Want{sh("b"), ex("a"), sh("b"), sh("c"), ex("c"), ex("d"), sh("d")})
	if want := []Want{ex("a"), sh("b"), ex("c"), ex("d")}; !slices.Equal(got, want) {
		t.Errorf("Merge is %v, want %v", got, want)
	}
}

func TestTasksWaitForEarlierConflicts(t *testing.T) {
	tab := table()
	wants := map[int64][]Want{1: {sh("a")}, 2: {sh("a"), ex("b")}, 3: {ex("a")}, 4: {sh("a")}, 5: {sh("b")}}
	for id := int64(1); id <= 5; id++ {
		move(t, tab, id, nil, wants[id])
	}
	check := func(id int64, want ...int64) {
		t.Helper()
		if got := ahead(t, tab, id, wants[id]); !slices.Equal(got, want) {
			t.Errorf("ahead of %d is %v, want %v", id, got, want)
		}
	}
	check(1)
	check(2)
	check(3, 1, 2)
	check(4, 3) // it may share with 1 and 2, but not overtake 3
	check(5, 2)
	if next := move(t, tab, 2, wants[2], nil); !slices.Equal(next, []int64{3, 5}) {
		t.Errorf("the end of 2 frees %v", next)
	}
	check(3, 1)
	check(5)
	move(t, tab, 1, wants[1], nil)
	if next := move(t, tab, 3, wants[3], nil); !slices.Equal(next, []int64{4}) {
		t.Errorf("the end of 3 frees %v", next)
	}
	check(4)
}

// TestEmptyQueueHasNoRow holds that an empty queue has no row.
func TestEmptyQueueHasNoRow(t *testing.T) {
	tab := table()
	w := []Want{ex("a"), sh("b")}
	move(t, tab, 1, nil, w)
	move(t, tab, 1, w, nil)
	for row, err := range tab.Scan(t.Context(), partition, "") {
		t.Errorf("left: %v %v", row, err)
	}
}

func TestChangeOfAStranger(t *testing.T) {
	tab := table()
	move(t, tab, 1, nil, []Want{ex("a")})
	if _, _, err := Change(t.Context(), tab, 2, []Want{ex("a")}, nil); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a task that is not in the queue leaves it: %v", err)
	}
	if _, err := Ahead(t.Context(), tab, 2, []Want{ex("a")}); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("a task that is not in the queue has a turn: %v", err)
	}
}

// TestOneOfTwoChangesFails computes two changes from the same queues. One of them fails.
func TestOneOfTwoChangesFails(t *testing.T) {
	tab := table()
	one, _, err := Change(t.Context(), tab, 1, nil, []Want{ex("a")})
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := Change(t.Context(), tab, 2, nil, []Want{ex("a")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Write(t.Context(), one...); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Write(t.Context(), two...); !errors.Is(err, driver.ErrConflict) {
		t.Errorf("both were admitted at the same place: %v", err)
	}
}

func TestFullQueueRefusesTasks(t *testing.T) {
	tab := table()
	queue := make([]entry, maxQueue)
	for i := range queue {
		queue[i] = entry{Task: int64(i) + 1<<40, Mode: Shared}
	}
	op := put("a", queue, driver.Absent)
	if len(op.Data) > driver.MaxRowSize {
		t.Errorf("a full queue has %d bytes, a row at most %d", len(op.Data), driver.MaxRowSize)
	}
	if _, err := tab.Write(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Change(t.Context(), tab, 1, nil, []Want{ex("a")}); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more was let in: %v", err)
	}
}

// TestQueuesFollowThePlainRule moves tasks at random and compares with the plain rule. A task waits
// for each earlier one that conflicts with it on a resource.
func TestQueuesFollowThePlainRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := table()
		type member struct {
			id    int64
			wants []Want
		}
		var members []member // in order of admission
		resources := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Want {
			return Want{fmt.Sprint("r", rapid.IntRange(0, 3).Draw(t, "resource")), rapid.SampledFrom([]Mode{Exclusive, Shared}).Draw(t, "mode")}
		}), 1, 3, func(w Want) string { return w.Resource })
		rule := func(m member, before []member) []int64 {
			var tasks []int64
			for _, b := range before {
				for _, w := range m.wants {
					if i := slices.IndexFunc(b.wants, func(v Want) bool { return v.Resource == w.Resource }); i >= 0 && conflict(w.Mode, b.wants[i].Mode) {
						tasks = append(tasks, b.id)
						break
					}
				}
			}
			slices.Sort(tasks)
			return tasks
		}
		turns := func() map[int64]bool {
			now := map[int64]bool{}
			for i, m := range members {
				got := ahead(t, tab, m.id, m.wants)
				slices.Sort(got)
				if want := rule(m, members[:i]); !slices.Equal(got, want) {
					t.Fatalf("ahead of %d is %v, want %v", m.id, got, want)
				}
				now[m.id] = len(got) == 0
			}
			return now
		}
		for id := range int64(rapid.IntRange(1, 14).Draw(t, "tasks")) {
			m := member{id, resources.Draw(t, "wants")}
			move(t, tab, id, nil, m.wants)
			members = append(members, m)
			was := turns()
			if len(members) == 0 || rapid.Bool().Draw(t, "only comes") {
				continue
			}
			at := rapid.IntRange(0, len(members)-1).Draw(t, "who")
			gone := members[at]
			members = slices.Delete(members, at, at+1)
			var to []Want
			if rapid.Bool().Draw(t, "moves") {
				to = resources.Draw(t, "to")
				members = append(members, member{gone.id, to})
			}
			next := move(t, tab, gone.id, gone.wants, to)
			for id, turn := range turns() {
				if turn && !was[id] && id != gone.id && !slices.Contains(next, id) {
					t.Fatalf("it is the turn of %d now, but only %v are told", id, next)
				}
			}
			open, err := Open(context.Background(), tab)
			if err != nil {
				t.Fatal(err)
			}
			var want []int64
			for _, m := range members {
				want = append(want, m.id)
			}
			slices.Sort(want)
			if !slices.Equal(open, want) {
				t.Fatalf("open are %v, want %v", open, want)
			}
		}
	})
}

// TestHeadsWaitForNoTask finds the waiting tasks with one scan.
func TestHeadsWaitForNoTask(t *testing.T) {
	env := drivertest.NewEnv()
	for id, wants := range [][]Want{
		{},
		{{Resource: "a"}, {Resource: "b"}}, // 1: first of both
		{{Resource: "b"}, {Resource: "c"}}, // 2: waits for 1 on b
		{{Resource: "c", Mode: Shared}, {Resource: "d", Mode: Shared}}, // 3: waits for 2 on c
		{{Resource: "d", Mode: Shared}, {Resource: "e", Mode: Shared}}, // 4: shares d with 3
		{{Resource: "e"}}, // 5: waits for 4
	} {
		if len(wants) == 0 {
			continue
		}
		ops, _, err := Change(t.Context(), env.Table, int64(id), nil, wants)
		if err == nil {
			_, err = env.Table.Write(t.Context(), ops...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	before := env.Memory.Counts()["Table.Get"]
	heads, err := Heads(t.Context(), env.Table)
	if err != nil || !slices.Equal(heads, []int64{1, 4}) || env.Memory.Counts()["Table.Get"] != before {
		t.Errorf("%v, %v", heads, err)
	}
}

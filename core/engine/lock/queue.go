package lock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"aptless/core/engine/driver"
)

// Mode says whether other tasks may hold a resource at the same time.
type Mode int

const (
	Exclusive Mode = iota // no other task
	Shared                // other tasks that share it
)

// Want names a resource that a task needs.
type Want struct {
	Resource string `json:"r"`
	Mode     Mode   `json:"m,omitempty"`
}

// partition of the queue rows.
const partition = "lock"

// maxQueue bounds the tasks that wait for one resource. Every admission and every
// end rewrites the row of the queue: 1,000 entries are 25 KB.
const maxQueue = 1000

// ErrTooMany says that a queue is full.
var ErrTooMany = errors.New("too many tasks are waiting for the same resource")

// entry is a task's place in a queue.
type entry struct {
	Task int64 `json:"t"`
	Mode Mode  `json:"m,omitempty"`
}

func conflict(a, b Mode) bool { return a == Exclusive || b == Exclusive }

// Merge sorts wants by resource. Wants of the same resource become one, which is
// exclusive if one of them is.
func Merge(wants []Want) []Want {
	byName := map[string]Mode{}
	for _, w := range wants {
		if m, ok := byName[w.Resource]; !ok || m == Shared {
			byName[w.Resource] = w.Mode
		}
	}
	merged := make([]Want, 0, len(byName))
	for r, m := range byName {
		merged = append(merged, Want{r, m})
	}
	slices.SortFunc(merged, func(a, b Want) int {
		if a.Resource < b.Resource {
			return -1
		}
		return 1
	})
	return merged
}

// Key returns the key of the queue row of a resource.
func Key(resource string) driver.Key { return driver.Key{Part: partition, Sort: resource} }

func load(ctx context.Context, t driver.Table, resource string) (queue []entry, version string, err error) {
	row, err := t.Get(ctx, Key(resource))
	if errors.Is(err, driver.ErrNotFound) {
		return nil, driver.Absent, nil
	}
	if err != nil {
		return nil, "", err
	}
	queue, err = decode(row)
	return queue, row.Version, err
}

func decode(row driver.Row) ([]entry, error) {
	var queue []entry
	if err := json.Unmarshal(row.Data, &queue); err != nil {
		return nil, fmt.Errorf("queue of %s: %w", row.Sort, err)
	}
	return queue, nil
}

// Change returns the operations that remove the task from the queues of from and
// append it to those of to. They require the queues to be as read. next are the
// tasks that may hold their locks after that.
func Change(ctx context.Context, t driver.Table, task int64, from, to []Want) (ops []driver.Op, next []int64, err error) {
	for _, w := range Merge(slices.Concat(from, to)) {
		queue, version, err := load(ctx, t, w.Resource)
		if err != nil {
			return nil, nil, err
		}
		if names(from, w.Resource) {
			at := place(queue, task)
			if at < 0 {
				return nil, nil, absent(task, w.Resource)
			}
			for _, e := range freed(queue, at) {
				if !slices.Contains(next, e) {
					next = append(next, e)
				}
			}
			queue = slices.Delete(queue, at, at+1)
		}
		for _, n := range Merge(to) {
			if n.Resource != w.Resource {
				continue
			}
			if len(queue) >= maxQueue {
				return nil, nil, fmt.Errorf("%s: %w", w.Resource, ErrTooMany)
			}
			queue = append(queue, entry{task, n.Mode})
		}
		ops = append(ops, put(w.Resource, queue, version))
	}
	return ops, next, nil
}

// freed returns the tasks that waited for the entry at an index.
func freed(queue []entry, at int) []int64 {
	var next []int64
	for _, e := range queue[at+1:] {
		if conflict(queue[at].Mode, e.Mode) {
			next = append(next, e.Task)
		}
		if e.Mode == Exclusive {
			break // later entries wait for this one
		}
	}
	return next
}

func names(wants []Want, resource string) bool {
	return slices.ContainsFunc(wants, func(w Want) bool { return w.Resource == resource })
}

func place(queue []entry, task int64) int {
	return slices.IndexFunc(queue, func(e entry) bool { return e.Task == task })
}

func absent(task int64, resource string) error {
	return fmt.Errorf("task %d is not in the queue of %s: %w", task, resource, driver.ErrNotFound)
}

// Ahead returns the tasks for which the task has to wait, in queue order. Without
// any, it holds its locks.
func Ahead(ctx context.Context, t driver.Table, task int64, wants []Want) ([]int64, error) {
	var ahead []int64
	for _, w := range Merge(wants) {
		queue, _, err := load(ctx, t, w.Resource)
		if err != nil {
			return nil, err
		}
		at := place(queue, task)
		if at < 0 {
			return nil, absent(task, w.Resource)
		}
		for _, e := range queue[:at] {
			if conflict(e.Mode, w.Mode) && !slices.Contains(ahead, e.Task) {
				ahead = append(ahead, e.Task)
			}
		}
	}
	return ahead, nil
}

// Queue returns the tasks that hold a resource or wait for it, in queue order.
func Queue(ctx context.Context, t driver.Table, resource string) ([]int64, error) {
	queue, _, err := load(ctx, t, resource)
	var all []int64
	for _, e := range queue {
		all = append(all, e.Task)
	}
	return all, err
}

func put(resource string, queue []entry, version string) driver.Op {
	if len(queue) == 0 {
		return driver.Op{Do: driver.OpDelete, Key: Key(resource), If: version}
	}
	data, err := json.Marshal(queue)
	if err != nil {
		panic(err) // entries are two integers
	}
	return driver.Op{Do: driver.OpPut, Key: Key(resource), If: version, Data: data}
}

// Open returns the tasks in all queues, ascending: the tasks that have not ended.
func Open(ctx context.Context, t driver.Table) ([]int64, error) {
	blocked, err := scan(ctx, t)
	return slices.Sorted(maps.Keys(blocked)), err
}

// Heads returns the tasks that wait for no other task, ascending. It reads every
// queue once. The scan is not a snapshot: it may miss a task that moves during
// it, and may return a task that has to wait.
func Heads(ctx context.Context, t driver.Table) ([]int64, error) {
	blocked, err := scan(ctx, t)
	maps.DeleteFunc(blocked, func(_ int64, b bool) bool { return b })
	return slices.Sorted(maps.Keys(blocked)), err
}

// scan reads every queue. For each task in one it reports whether the task has to
// wait.
func scan(ctx context.Context, t driver.Table) (blocked map[int64]bool, err error) {
	blocked = map[int64]bool{}
	for row, err := range t.Scan(ctx, partition, "") {
		if err != nil {
			return nil, err
		}
		queue, err := decode(row)
		if err != nil {
			return nil, err
		}
		exclusive := false // an earlier entry is exclusive
		for i, e := range queue {
			blocked[e.Task] = blocked[e.Task] || exclusive || e.Mode == Exclusive && i > 0
			exclusive = exclusive || e.Mode == Exclusive
		}
	}
	return blocked, nil
}

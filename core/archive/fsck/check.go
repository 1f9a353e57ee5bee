package fsck

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// kindName is in the class of publications: only tasks of that class may write published
// files.
const kindName = "publish.check-all"

// usageKey is the row with the Usage of the last check.
func usageKey() driver.Key { return driver.Key{Part: "check", Sort: "last"} }

// Kinds returns the task of a check.
func (c *Checker) Kinds() []task.Kind {
	return []task.Kind{task.Define(kindName, c.run, task.WithUndo(c.undo))}
}

// Check makes the task of a check. The value of its result is a Report.
func (c *Checker) Check(args Args) task.Spec {
	return task.Spec{Kind: kindName, Name: "Check the storage", Resources: []string{"__all__"},
		Locks: []lock.Want{gc.Lock(), {Resource: "repair"}}, Args: args}
}

func (c *Checker) run(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	k := &check{Checker: c, Args: args, attempt: a, state: newState()}
	if _, err := a.Cursor(&k.at); err != nil {
		return task.Result{}, err
	}
	if k.at.State != "" {
		var err error
		k.state, err = load(ctx, c.Blobs, k.at.State)
		if errors.Is(err, driver.ErrNotFound) { // the attempt before ended the check, and its last write failed
			k.at, k.state, err = cursor{Seq: k.at.Seq}, newState(), nil
		}
		if err != nil {
			return task.Result{}, err
		}
	}
	k.state.Report.Deep = args.Deep
	steps := []func(context.Context) error{k.rows, k.lists, k.pool, k.published, k.upkeep}
	for k.at.Step < len(steps) {
		a.Detail(map[string]any{"Phase": []string{"rows", "lists", "pool", "published files", "tasks"}[k.at.Step]})
		if err := steps[k.at.Step](ctx); err != nil {
			return task.Result{}, k.relock(err)
		}
		k.at.Step, k.at.After = k.at.Step+1, ""
		if k.at.Step < len(steps) {
			if err := k.save(ctx); err != nil {
				return task.Result{}, err
			}
		}
	}
	return k.end(ctx)
}

// relock keeps the lock of collections among the locks that a step asks for.
func (k *check) relock(err error) error {
	var more *task.Relock
	if errors.As(err, &more) {
		more.Locks = lock.Merge(append(slices.Clone(more.Locks), gc.Lock()))
	}
	return err
}

// end stores the usage and returns the report.
func (k *check) end(ctx context.Context) (task.Result, error) {
	r := &k.state.Report
	r.end()
	data, err := k.usage().encode()
	if err != nil {
		return task.Result{}, err
	}
	if _, err := k.attempt.Get(ctx, usageKey()); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return task.Result{}, err
	}
	k.attempt.Put(usageKey(), data)
	if k.at.State != "" {
		if err := k.Blobs.Delete(ctx, k.at.State); err != nil {
			return task.Result{}, err
		}
	}
	if r.Findings == nil {
		r.Findings, r.Number = []Finding{}, map[Kind]int{}
	}
	k.attempt.Printf("%s\n", r)
	return task.Result{Value: r}, nil
}

// undo removes the state of a failed check.
func (c *Checker) undo(ctx context.Context, a *task.Attempt, _ Args) error {
	var at cursor
	if _, err := a.Cursor(&at); err != nil || at.State == "" {
		return err
	}
	return c.Blobs.Delete(ctx, at.State)
}

// Usage returns the storage that objects take, by the last check. The error is
// driver.ErrNotFound if there was none.
func (c *Checker) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	row, err := c.Table.Get(ctx, usageKey())
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(row.Data, &u)
}

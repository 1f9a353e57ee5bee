package task

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"aptless/core/engine/parallel"
)

// call runs the kind's function; a panic becomes a failure of the task.
func call(ctx context.Context, kind Kind, a *Attempt) (result Result, err error) {
	defer a.guard(kind, &err)
	args, err := a.store.args(ctx, a.begun)
	if err != nil {
		return Result{}, fmt.Errorf("arguments of %s: %w", kind.Name, err)
	}
	return kind.run(ctx, a, args)
}

// callUndo runs the kind's Undo; a panic becomes an error.
func callUndo(ctx context.Context, kind Kind, a *Attempt) (err error) {
	defer a.guard(kind, &err)
	if kind.undo == nil {
		return nil
	}
	args, err := a.store.args(ctx, a.begun)
	if err != nil {
		return fmt.Errorf("arguments of %s: %w", kind.Name, err)
	}
	return kind.undo(ctx, a, args)
}

// guard turns a panic into a failure of the task. The panic may be in the task's
// goroutine, or in one that package parallel started.
func (a *Attempt) guard(kind Kind, err *error) {
	var value any
	var stack []byte
	var other *parallel.PanicError
	if p := recover(); p != nil {
		value, stack = p, debug.Stack()
	} else if errors.As(*err, &other) {
		value, stack = other.Value, other.Stack
	} else {
		return
	}
	a.store.Log.Error("task panicked", "task", a.begun.ID, "kind", kind.Name, "panic", value, "stack", string(stack))
	*err = Fail(500, "internal error: %v", value)
}

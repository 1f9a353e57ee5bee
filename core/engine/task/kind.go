package task

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Kind is an operation: a function that runs under locks, and its Undo.
type Kind struct {
	Name string
	run  func(context.Context, *Attempt, json.RawMessage) (Result, error)
	undo func(context.Context, *Attempt, json.RawMessage) error // nil if failed attempts leave nothing
}

// Option is an option of Define.
type Option[A any] func(*Kind)

// Define makes a kind of a function from arguments to a result. The function runs
// while the task holds all of its locks. After a crash it runs again, from the
// last saved cursor.
func Define[A any](name string, run func(context.Context, *Attempt, A) (Result, error), options ...Option[A]) Kind {
	k := Kind{Name: name, run: func(ctx context.Context, a *Attempt, data json.RawMessage) (Result, error) {
		args, err := decodeArgs[A](name, data)
		if err != nil {
			return Result{}, err
		}
		return run(ctx, a, args)
	}}
	for _, o := range options {
		o(&k)
	}
	return k
}

// WithUndo gives a kind an Undo. It runs under the task's locks when the task
// fails before its commit. It must remove everything that the attempts have left.
// It is retried, also by other processes, until it returns nil. The end of the
// task writes its puts.
//
// Attempt.Cursor returns the last saved cursor. Attempt.ID returns the number of
// the failed task, even if another task pays the Undo as a debt.
func WithUndo[A any](undo func(context.Context, *Attempt, A) error) Option[A] {
	return func(k *Kind) {
		k.undo = func(ctx context.Context, a *Attempt, data json.RawMessage) error {
			args, err := decodeArgs[A](k.Name, data)
			if err != nil {
				return err
			}
			return undo(ctx, a, args)
		}
	}
}

func decodeArgs[A any](name string, data json.RawMessage) (args A, err error) {
	if err := json.Unmarshal(data, &args); err != nil {
		return args, Fail(500, "arguments of %s: %w", name, err)
	}
	return args, nil
}

// Class returns the class of work of a kind: the part before the dot.
func Class(kind string) string {
	class, _, _ := strings.Cut(kind, ".")
	return class
}

func kinds(list []Kind) (map[string]Kind, error) {
	byName := make(map[string]Kind, len(list))
	for _, k := range list {
		if _, ok := byName[k.Name]; ok {
			return nil, fmt.Errorf("two kinds of task are named %s", k.Name)
		}
		byName[k.Name] = k
	}
	return byName, nil
}

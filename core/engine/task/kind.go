package task

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Kind is an operation: what runs under the locks, and what undoes it.
type Kind struct {
	Name string
	run  func(context.Context, *Attempt, json.RawMessage) (Result, error)
	undo func(context.Context, *Attempt, json.RawMessage) error // nil if nothing has to be undone
}

// Option is an option of Define.
type Option[A any] func(*Kind)

// Define makes a kind of a function from arguments to a result. The function
// runs while the task holds all of its locks. It may run again after any crash,
// from the cursor saved last.
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
// fails before its commit, and must remove what the attempts have left. It is
// tried again, also by other processes, until it returns nil. What it puts is
// written with the end of the task.
//
// Attempt.Cursor returns the cursor saved last. Attempt.ID returns the number
// of the task that failed, also if the Undo has become a debt that another task
// pays.
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

// Class returns the class of work of a kind: what stands before the dot.
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

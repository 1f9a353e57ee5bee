package task

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"aptless/core/engine/lock"
)

// Spec is a task to be admitted: the outcome of an operation's early check.
type Spec struct {
	Kind      string
	Name      string
	Resources []string    // for clients
	Locks     []lock.Want // at least one; the group is that of the first exclusive one
	Args      any         // as JSON: names and parameters, nothing that was loaded
}

// Kind is an operation: what runs under the locks.
type Kind struct {
	Name string
	run  func(context.Context, *Attempt, json.RawMessage) (Result, error)
}

// Define makes a kind of a function from arguments to a result. The function
// runs with its turn on all resources of its task; it may run again after any
// crash, from the cursor saved last.
func Define[A any](name string, run func(context.Context, *Attempt, A) (Result, error)) Kind {
	return Kind{name, func(ctx context.Context, a *Attempt, data json.RawMessage) (Result, error) {
		var args A
		if err := json.Unmarshal(data, &args); err != nil {
			return Result{}, Fail(500, "arguments of %s: %w", name, err)
		}
		return run(ctx, a, args)
	}}
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

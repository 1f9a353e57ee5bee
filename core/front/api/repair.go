package api

import (
	"context"
	"encoding/json"

	"aptless/core/archive/pool"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Repairer checks and repairs one part of the storage.
type Repairer struct {
	Name string // the key of its report in the answer
	// Repair continues from cursor, the last argument of save; null in the first
	// attempt. It returns a report that is marshalled as JSON. It calls save
	// regularly and returns save's error at once. With dryRun it changes nothing.
	Repair func(ctx context.Context, a *task.Attempt, dryRun bool, cursor json.RawMessage, save func(context.Context, any) error) (report any, err error)
}

// Repairs are the parts of a repair of the whole storage, in the order of their runs.
type Repairs []Repairer

// repairKind is the kind of the task. Its class is that of publications, because
// only tasks of that class may write published files.
const repairKind = "publish.repair-all"

type repairArgs struct{ DryRun bool }

// repairCursor is the checkpoint of a repair.
type repairCursor struct {
	Reports map[string]json.RawMessage // reports of finished parts, by name
	At      json.RawMessage            // the cursor of the part in progress
}

// Kind returns the kind of the task.
func (rs Repairs) Kind() task.Kind { return task.Define(repairKind, rs.run) }

func (rs Repairs) check(dryRun bool) task.Spec {
	return task.Spec{Kind: repairKind, Name: "Repair db", Resources: []string{"__all__"},
		Locks: []lock.Want{{Resource: "repair"}}, Args: repairArgs{dryRun}}
}

func (rs Repairs) run(ctx context.Context, a *task.Attempt, args repairArgs) (task.Result, error) {
	at := repairCursor{Reports: map[string]json.RawMessage{}}
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	for _, r := range rs {
		if _, done := at.Reports[r.Name]; done {
			continue
		}
		report, err := r.Repair(ctx, a, args.DryRun, at.At, func(ctx context.Context, cursor any) (err error) {
			if at.At, err = json.Marshal(cursor); err != nil {
				return err
			}
			return a.Checkpoint(ctx, at)
		})
		if err != nil {
			return task.Result{}, err
		}
		if at.Reports[r.Name], err = json.Marshal(report); err != nil {
			return task.Result{}, err
		}
		at.At = nil
		if err := a.Checkpoint(ctx, at); err != nil {
			return task.Result{}, err
		}
	}
	return task.Result{Value: at.Reports}, nil
}

// PoolRepairer compares the records of packages with the files of the pool. It
// restores nothing: a reported file has to be imported or mirrored again.
func PoolRepairer(store *pool.Store) Repairer {
	return Repairer{Name: "Pool", Repair: func(ctx context.Context, a *task.Attempt, _ bool, cursor json.RawMessage, save func(context.Context, any) error) (any, error) {
		at := pool.NewChecking()
		if cursor != nil {
			if err := json.Unmarshal(cursor, &at); err != nil {
				return nil, err
			}
		}
		if err := store.Check(ctx, &at, func(ctx context.Context) error { return save(ctx, at) }); err != nil {
			return nil, err
		}
		r := at.Report
		a.Printf("%d packages compared: %d files are missing, %d have another size, %d records are damaged\n",
			r.Records, r.Missing.Number, r.WrongSize.Number, r.Damaged.Number)
		return r, nil
	}}
}

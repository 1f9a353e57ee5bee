package api

import (
	"context"
	"encoding/json"
	"net/http"

	"aptless/core/archive/pool"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Repairer repairs a part of the storage, or only says what it lacks.
type Repairer struct {
	Name string // of its report in the answer
	// Repair goes on from the cursor that save was called with last, null at first, and
	// returns a report that JSON can hold. It calls save regularly, and returns its
	// error. With dryRun it changes nothing.
	Repair func(ctx context.Context, a *task.Attempt, dryRun bool, cursor json.RawMessage, save func(context.Context, any) error) (report any, err error)
}

// Repairs are the parts of a repair of everything, in their order.
type Repairs []Repairer

// repairKind is that of the task. It is of the class of publications, which may
// write what is published.
const repairKind = "publish.repair-all"

type repairArgs struct{ DryRun bool }

// repairCursor says how far a repair has come.
type repairCursor struct {
	Reports map[string]json.RawMessage // of the parts that are done, by name
	At      json.RawMessage            // of the next part
}

// Kind returns the task of a repair.
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

// PoolRepairer compares the records of packages with the files in the pool. It can
// put nothing back: what it names has to be imported or mirrored again.
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

// repair starts a repair of everything.
func (s *Server) repair(w http.ResponseWriter, r *http.Request) error {
	return s.run(w, r, s.Repairs.check(Flag(r, "dryRun")), nil)
}

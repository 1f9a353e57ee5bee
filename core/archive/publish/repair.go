package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// RepairArgs are the arguments of a repair.
type RepairArgs struct {
	Name
	DryRun bool // only report
}

// repairCursor says how far a repair has come.
type repairCursor struct {
	After  string // ID of the last publication that is done
	Tree   bool   // the tree of the next one is done
	Done   int    // packages of the next one whose files are done
	Report *files.Report
}

// maxRepairLocks is how many publications a repair of all locks at once.
const maxRepairLocks = 40

// CheckRepair makes the task that compares a publication with its manifest and
// rows, and puts back missing objects and rows.
func (s *Store) CheckRepair(ctx context.Context, args RepairArgs) (task.Spec, error) {
	p, err := s.mustRead(ctx, s.get, args.Name, "unable to repair", 404)
	if err != nil {
		return task.Spec{}, err
	}
	l := p.lockAll()
	return task.Spec{Kind: "publish.repair", Name: "Repair published repository " + p.Dist().String(), Resources: l.names, Locks: l.locks, Args: args}, nil
}

// lockRepairs returns the locks for the publications after an ID, a part of them
// at a time.
func (s *Store) lockRepairs(ctx context.Context, after string) (*lockSet, error) {
	l := &lockSet{locks: []lock.Want{{Resource: "repair"}}}
	n := 0
	for row, err := range s.Table.Scan(ctx, "publish", after) {
		if err != nil {
			return nil, err
		}
		p, err := decode(row)
		if err != nil {
			return nil, err
		}
		more := p.lockAll()
		l.locks, l.names = append(l.locks, more.locks...), append(l.names, more.names...)
		if n++; n == maxRepairLocks {
			break
		}
	}
	l.locks = lock.Merge(l.locks)
	return l, nil
}

// repair repairs one publication.
func (s *Store) repair(ctx context.Context, a *task.Attempt, args RepairArgs) (task.Result, error) {
	at := repairCursor{Report: files.NewReport(args.DryRun)}
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	p, err := s.mustRead(ctx, a.GetJSON, args.Name, "unable to repair", 404)
	if err != nil {
		return task.Result{}, err
	}
	if err := p.lockAll().held(a); err != nil {
		return task.Result{}, err
	}
	save := func(ctx context.Context, cursor any) error { return a.Checkpoint(ctx, cursor) }
	return task.Result{Value: at.Report}, s.repairOne(ctx, a, p, &at, save)
}

// RepairAll repairs all publications, in the order of their IDs, as a part of a
// task. It takes their locks as it comes to them. cursor is the last that save was
// called with, null at first.
func (s *Store) RepairAll(ctx context.Context, a *task.Attempt, dryRun bool, cursor json.RawMessage, save func(context.Context, any) error) (any, error) {
	at := repairCursor{Report: files.NewReport(dryRun)}
	if cursor != nil {
		if err := json.Unmarshal(cursor, &at); err != nil {
			return nil, err
		}
	}
	for {
		row, err := s.nextPublication(ctx, at.After)
		if errors.Is(err, driver.ErrNotFound) {
			return at.Report, nil
		}
		if err != nil {
			return nil, err
		}
		p, err := decode(row)
		if err != nil {
			return nil, err
		}
		if p.lockAll().held(a) != nil {
			l, err := s.lockRepairs(ctx, at.After)
			if err != nil {
				return nil, err
			}
			return nil, &task.Relock{Locks: l.locks, Resources: l.names}
		}
		if err := s.repairOne(ctx, a, p, &at, save); err != nil {
			return nil, err
		}
		at.After, at.Tree, at.Done = row.Sort, false, 0
		if err := save(ctx, at); err != nil {
			return nil, err
		}
	}
}

// nextPublication returns the first row of a publication after an ID.
func (s *Store) nextPublication(ctx context.Context, after string) (driver.Row, error) {
	for row, err := range s.Table.Scan(ctx, "publish", after) {
		return row, err
	}
	return driver.Row{}, driver.ErrNotFound
}

// repairOne repairs a publication: its tree, then its package files.
func (s *Store) repairOne(ctx context.Context, a *task.Attempt, p Publication, at *repairCursor, save func(context.Context, any) error) error {
	if p.Dropping {
		return nil // its files are being removed
	}
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return err
	}
	if !at.Tree {
		if !p.Applied {
			a.Printf("%s is committed and not applied: its names are not compared\n", p.Dist())
		} else if err := s.repairTree(ctx, s.filesOf(a, p.Dist()), p, m, nil, at.Report); err != nil {
			return err
		}
		at.Tree = true
	}
	return s.repairFiles(ctx, a, p, m, at, save)
}

// repairFiles repairs the package files of a publication.
func (s *Store) repairFiles(ctx context.Context, a *task.Attempt, p Publication, m *tree.Manifest, at *repairCursor, save func(context.Context, any) error) error {
	r := &files.Repairer{Store: s.filesOf(a, p.Dist()), Inventory: s.inventory(a, p.Dist()), Scope: p.scope(), Report: at.Report, OutOfTime: a.SliceOver,
		Pause: func(ctx context.Context, done int) error {
			at.Done = done
			return cmp.Or(save(ctx, at), task.ErrContinue)
		}}
	if err := r.Repair(ctx, m.Lists, at.Done); err != nil {
		return err
	}
	a.Printf("%s: %d files were missing and %d had another size, %d are put back, %d are lost\n", p.Dist(),
		at.Report.Missing.Number, at.Report.WrongSize.Number, at.Report.PutBack.Number, at.Report.Lost.Number)
	return nil
}

package task

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// finish is the end of a task.
type finish struct {
	change func(*Task)
	result *Result
	tx     *lock.Tx
	blame  string // reason for unpaid debts and an unfinished entry; "" if there are none
	undo   bool   // its Undo becomes a debt
	pays   bool   // the debt for which it was admitted is paid
}

// end commits the end of the task: its state, its rows, and its leaving of the
// queues.
func (d *Dispatcher) end(ctx context.Context, a *Attempt, e finish) error {
	var next []int64
	err := a.write(ctx, rowWrite{
		change: func(t *Task) {
			e.change(t)
			a.updateDebts(t, nil)
			t.Cursor, t.Receipt, t.Owner, t.Finished = nil, "", "", d.Store.Now().UTC()
			t.Failures, t.Failing, t.Undoing, t.Refusal, t.Cancelled = 0, time.Time{}, false, "", false
			if e.undo {
				t.ArgsBlob = "" // the debt has it
			}
		},
		settle: true, result: e.result, tx: e.tx, stoppable: e.result != nil,
		more: func(ctx context.Context, again bool) ([]driver.Op, error) {
			ops, n, err := d.endOps(ctx, a, e, again)
			next = n
			return ops, err
		},
	})
	if err != nil {
		return err
	}
	t := a.task
	late := slices.DeleteFunc(slices.Clone(t.Debts), func(name string) bool { _, ok := a.atOnce[name]; return ok })
	d.Store.logEnd(ctx, t, a.requests(), late)
	if d.Store.Ended != nil && t.By != nil {
		d.Store.Ended(ctx, t)
	}
	d.Store.waiting.ended(t.ID)
	d.Store.wake(ctx, next)
	d.Store.claimAtOnce(ctx, a)
	return nil
}

// logEnd logs the end of a task. It is a warning with the reason if the task
// failed or has warnings. late are the debts that the tick is to pay.
func (s *Store) logEnd(ctx context.Context, t Task, requests map[string]int64, late []string) {
	fields := []any{"task", t.ID, "kind", t.Kind, "name", t.Name, "code", t.Code, "attempts", t.Attempt,
		"waited", t.Started.Sub(t.Created), "ran", t.Finished.Sub(t.Started), "requests", requests}
	level, text := slog.LevelInfo, "task succeeded"
	if t.State == Failed {
		level, text = slog.LevelWarn, "task failed"
		fields = append(fields, "error", t.Error)
	}
	if len(t.Warnings) > 0 {
		level, fields = slog.LevelWarn, append(fields, "warnings", t.Warnings)
	}
	if len(late) > 0 {
		level, fields = slog.LevelWarn, append(fields, "goes on later", late)
	}
	s.Log.Log(ctx, level, text, fields...)
}

// endOps returns the further operations of an end, and the tasks that may hold
// their locks after it.
func (d *Dispatcher) endOps(ctx context.Context, a *Attempt, e finish, again bool) (ops []driver.Op, next []int64, err error) {
	if e.tx != nil {
		if ops, err = a.ops(e.tx); err != nil {
			return nil, nil, err
		}
	}
	var debts []owed
	if e.undo {
		o, err := a.undoDebt()
		if err != nil {
			return nil, nil, err
		}
		debts = append(debts, o)
	}
	if ops, err = a.debtOps(ctx, ops, debts, again); err != nil {
		return nil, nil, err
	}
	if e.pays {
		if ops, err = a.payOp(ctx, ops); err != nil {
			return nil, nil, err
		}
	}
	if e.blame != "" {
		names := append([]string{a.begun.Entry}, a.task.Debts...)
		if ops, err = a.blameOps(ctx, ops, names, e.blame); err != nil {
			return nil, nil, err
		}
	}
	locks, next, err := lock.Change(ctx, d.Store.Table, a.begun.ID, a.begun.Locks, nil)
	return append(ops, locks...), next, err
}

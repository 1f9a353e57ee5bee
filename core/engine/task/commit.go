package task

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// Save commits all puts so far, together with the cursor of the next attempt. The
// transaction is empty afterwards, so earlier reads condition nothing any more. A
// cursor with other bytes than the last one is progress and resets both budgets.
//
// driver.ErrConflict means that a row that was read has changed. The caller must
// return it, and the task runs again from its last cursor. ErrLost means that
// another attempt has overtaken this one, ErrCancelled that a client has
// cancelled the task.
func (a *Attempt) Save(ctx context.Context, cursor any) error {
	return a.save(ctx, cursor, func(*Task) {}, nil)
}

// Checkpoint is Save, and then ErrContinue if the slice is over. Every loop that
// can outlast a slice calls it.
func (a *Attempt) Checkpoint(ctx context.Context, cursor any) error {
	over := false
	err := a.save(ctx, cursor, func(t *Task) {
		if over = a.SliceOver(); over {
			t.Owner = "" // no other attempt has to wait for the lease
		}
	}, nil)
	if err != nil {
		return err
	}
	if over || a.SliceOver() {
		return ErrContinue
	}
	return nil
}

// save is Save with a further change of the row, and with debts to write.
func (a *Attempt) save(ctx context.Context, cursor any, change func(*Task), debts []owed) error {
	data, err := encode(cursor)
	if err != nil {
		return fmt.Errorf("cursor of task %d: %w", a.begun.ID, err)
	}
	if len(data) > maxCursor {
		return fmt.Errorf("cursor of task %d has %d bytes: %w", a.begun.ID, len(data), driver.ErrInvalid)
	}
	tx, versions := a.tx, map[string]string{}
	err = a.write(ctx, rowWrite{
		change: func(t *Task) {
			if !bytes.Equal(t.Cursor, data) {
				t.Tries, t.Failures, t.Failing, t.Error = 0, 0, time.Time{}, ""
			}
			t.Cursor = data
			change(t)
			a.updateDebts(t, debts)
		},
		settle: true, stoppable: true, result: a.answer, tx: tx,
		more: func(ctx context.Context, again bool) ([]driver.Op, error) {
			ops, err := a.ops(tx)
			if err != nil {
				return nil, err
			}
			return a.debtOps(ctx, ops, debts, again)
		},
		done: func(version string) {
			for _, d := range debts {
				versions[d.entry.Name] = version
			}
		},
	})
	if err != nil {
		return err
	}
	for name, version := range versions {
		a.debts[name] = version
	}
	for _, d := range debts {
		if d.atOnce {
			a.atOnce[d.entry.Name] = d.entry.At(versions[d.entry.Name])
		}
	}
	a.tx, a.cursor, a.paid, a.answer = lock.NewTx(a.store.Table), data, nil, nil
	return nil
}

// Commit is the last Save that may fail the task. Its transaction also writes the
// debts. After it no error fails the task: even a task.Error is retried with
// back-off. After Dispatcher.Patience without progress the task ends Succeeded,
// with a warning and the result of Answer. The tick then admits the task of each
// unpaid debt until it is paid.
//
// A Commit of a committed task adds debts.
func (a *Attempt) Commit(ctx context.Context, cursor any, debts ...Debt) error {
	var list []owed
	for _, d := range debts {
		o, err := a.debt(ctx, d)
		if err != nil {
			return err
		}
		list = append(list, o)
	}
	return a.save(ctx, cursor, func(t *Task) {
		t.Committed, t.Cancelled = true, false
	}, list)
}

// Refusal returns the error for which the task fails, within its Undo.
func (a *Attempt) Refusal() string { return a.stored().Refusal }

// gaveUp begins the error of a task that was given up, as the storage failed for too long.
const gaveUp = "given up after "

// GaveUp reports, within an Undo, whether the storage failed for too long: the task itself
// was not refused, and another like it may succeed.
func (a *Attempt) GaveUp() bool { return strings.HasPrefix(a.Refusal(), gaveUp) }

// Committed reports whether the task has committed. A task that pays a debt has
// committed from its beginning.
func (a *Attempt) Committed() bool {
	a.writing.Lock()
	defer a.writing.Unlock()
	return a.task.Committed
}

// Pay removes a debt with the attempt's next write, since its work is done. A
// missing debt is not an error.
func (a *Attempt) Pay(name string) {
	if !slices.Contains(a.paid, name) {
		a.paid = append(a.paid, name)
	}
}

// Answer sets the result of a committed task that ends before its own result. The
// next Save or Commit stores it.
func (a *Attempt) Answer(r Result) { a.answer = &r }

package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// Debt is work that a commit makes necessary. Examples: the tree of a publication
// must follow its manifest, imported uploads must be removed. From the commit on
// it is a calendar entry until it is paid.
type Debt struct {
	Name string    // of the entry; a later commit replaces a debt of the same name
	Spec Spec      // the task that pays it if the committed task does not
	Due  time.Time // when Spec is admitted; zero means a minute after the commit

	// AtOnce admits Spec when the committed task ends, and answers its caller before
	// that work. Due is ignored.
	AtOnce bool
}

// DebtKind is the kind of debts' entries in the calendar.
const DebtKind = "debt"

// debtData is the Data of a debt's entry: the task to admit.
type debtData struct {
	Kind      string
	Name      string
	Resources []string `json:",omitempty"`
	Locks     []lock.Want
	Args      json.RawMessage `json:",omitempty"`
	ArgsBlob  string          `json:",omitempty"`
	Origin    int64           // the task that made the debt; its objects stay while the debt exists

	// For an Undo.
	Undo    bool            `json:",omitempty"`
	Cursor  json.RawMessage `json:",omitempty"`
	Attempt int64           `json:",omitempty"` // the last attempt of Origin
}

// owed is a debt in its stored form.
type owed struct {
	entry  calendar.Entry
	atOnce bool
}

// debtOf decodes the Data of a debt.
func debtOf(e calendar.Entry) (debtData, error) {
	var data debtData
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return data, fmt.Errorf("debt %s: %w", e.Name, err)
	}
	return data, nil
}

// debt converts a debt to its stored form.
func (a *Attempt) debt(ctx context.Context, d Debt) (owed, error) {
	if d.Name == "" || len(d.Spec.Locks) == 0 {
		return owed{}, fmt.Errorf("debt %q of task %d names no resource: %w", d.Name, a.begun.ID, driver.ErrInvalid)
	}
	args, err := encode(d.Spec.Args)
	if err != nil {
		return owed{}, fmt.Errorf("debt %s of task %d: %w", d.Name, a.begun.ID, err)
	}
	data := debtData{Kind: d.Spec.Kind, Name: clip(d.Spec.Name, maxName), Resources: d.Spec.Resources, Locks: lock.Merge(d.Spec.Locks),
		Args: args, Origin: a.begun.ID}
	if len(args) > maxInline {
		data.Args = nil
		a.objects++
		name := fmt.Sprintf("debt-%d-%d", a.begun.Attempt, a.objects)
		if data.ArgsBlob, err = a.store.writeBlob(ctx, a.begun.ID, name, args); err != nil {
			return owed{}, err
		}
	}
	due := d.Due
	switch {
	case d.AtOnce:
		due = a.store.Now()
	case due.IsZero():
		due = a.store.Now().Add(calendar.Pause(1))
	}
	o, err := a.entry(d.Name, data, due)
	o.atOnce = d.AtOnce
	return o, err
}

// entry returns the calendar entry for a debt of this task.
func (a *Attempt) entry(name string, data debtData, due time.Time) (owed, error) {
	raw, err := encode(data)
	if err != nil {
		return owed{}, err
	}
	return owed{entry: calendar.Entry{Name: name, Kind: DebtKind, Data: raw, Due: due, Since: a.store.Now(), Task: a.begun.ID}}, nil
}

// undoDebt returns the debt of a failed task whose Undo is not done.
func (a *Attempt) undoDebt() (owed, error) {
	t := a.begun
	return a.entry(fmt.Sprintf("undo/%016d", t.ID), debtData{
		Kind: t.Kind, Name: clip("Undo: "+t.Name, maxName), Resources: t.Resources, Locks: t.Locks, Args: t.Args, ArgsBlob: t.ArgsBlob,
		Origin: t.ID, Undo: true, Cursor: a.task.Cursor, Attempt: t.Attempt,
	}, a.store.Now().Add(calendar.Pause(1)))
}

// updateDebts updates the names of the debts in the row.
func (a *Attempt) updateDebts(t *Task, debts []owed) {
	names := slices.Clone(t.Debts)
	for _, d := range debts {
		if !slices.Contains(names, d.entry.Name) {
			names = append(names, d.entry.Name)
		}
	}
	t.Debts = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(a.paid, n) })
	if len(t.Debts) == 0 {
		t.Debts = nil
	}
}

// debtOps adds the operations that write new debts and remove paid ones. The
// first try assumes that rows are as this attempt wrote them, or absent, which
// saves reads. Further tries read them.
func (a *Attempt) debtOps(ctx context.Context, ops []driver.Op, debts []owed, again bool) ([]driver.Op, error) {
	for _, d := range debts {
		e := d.entry.At(a.debts[d.entry.Name])
		if again {
			was, err := calendar.Get(ctx, a.store.Table, e.Name)
			if err != nil && !errors.Is(err, driver.ErrNotFound) {
				return nil, err
			}
			e = e.Over(was)
		}
		ops = append(ops, e.PutOp())
	}
	for _, name := range a.paid {
		if slices.ContainsFunc(debts, func(d owed) bool { return d.entry.Name == name }) {
			continue
		}
		e := calendar.Entry{Name: name}.At(a.debts[name])
		if again || !e.Exists() {
			was, err := calendar.Get(ctx, a.store.Table, name)
			if errors.Is(err, driver.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			e = was
		}
		ops = append(ops, e.DeleteOp())
	}
	return ops, nil
}

// payOp adds the operation that removes the entry for which the task was admitted. A later
// commit may owe other work under its name, which stays. Example: a task is to finish an
// update, and waits for a drop. The drop commits, and leaves the removal of files.
func (a *Attempt) payOp(ctx context.Context, ops []driver.Op) ([]driver.Op, error) {
	e, err := calendar.Get(ctx, a.store.Table, a.begun.Entry)
	if errors.Is(err, driver.ErrNotFound) || err == nil && e.Task != a.begun.ID {
		return ops, nil
	}
	return append(ops, e.DeleteOp()), err
}

// blameOps adds the operations that note why debts are not paid.
func (a *Attempt) blameOps(ctx context.Context, ops []driver.Op, names []string, reason string) ([]driver.Op, error) {
	for _, name := range names {
		if name == "" || slices.Contains(a.paid, name) {
			continue
		}
		e, err := calendar.Get(ctx, a.store.Table, name)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e.Reason = reason
		ops = append(ops, e.PutOp())
	}
	return ops, nil
}

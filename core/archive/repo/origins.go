package repo

import (
	"context"
	"errors"

	"aptless/core/archive/origin"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Bounds of the origins in the transaction of a commit. It has a row for each repository
// and lock, too, and an operation for each row.
const (
	maxWithCommit  = 16
	maxWithTargets = 4
)

// origins are the origins of the imported files.
type origins struct {
	store   *Store
	attempt *task.Attempt
	by      *origin.By // nil before the first file
	held    []origin.Origin
	pending bool // the task has a row in origin-pending
}

// kept reports whether the task has origins to keep: it has a principal.
func (o *origins) kept() bool {
	by := o.attempt.By()
	return o.store.By != nil && by != nil && by.Owner != ""
}

// add adds the files of an imported package.
func (o *origins) add(ctx context.Context, e entry) error {
	if !o.kept() {
		return nil
	}
	if o.by == nil {
		by, err := o.store.By(ctx, o.attempt.By())
		if err != nil {
			return err
		}
		o.by = &by
	}
	for _, u := range append([]upload.Upload{e.upload}, e.otherFiles...) {
		if u.File.SHA256 == "" {
			continue
		}
		o.held = append(o.held, origin.Origin{SHA256: u.File.SHA256, Package: e.id.key, Repo: e.into.name, UUID: e.into.uuid, Task: o.attempt.ID(),
			At: o.store.Now().UTC(), By: *o.by, Uploaded: origin.Upload{By: u.By, Token: u.Token, At: u.At}, Signers: e.signers})
	}
	return nil
}

// flush stores the origins before the commit, as pending ones.
func (o *origins) flush(ctx context.Context) error {
	if len(o.held) == 0 {
		return nil
	}
	if !o.pending {
		if err := o.store.Origins.Begin(ctx, o.attempt.ID(), o.store.Now()); err != nil {
			return err
		}
		o.pending = true
	}
	err := o.store.Origins.Keep(ctx, o.held)
	if err == nil {
		o.held = nil
	}
	return err
}

// few returns the origins for the transaction of a later commit. Many are stored as
// pending ones.
func (o *origins) few(ctx context.Context) ([]origin.Origin, error) {
	if len(o.held) <= maxWithCommit {
		return o.held, nil
	}
	return nil, o.flush(ctx)
}

// settle has the commit make the origins valid. Few origins are rows of its transaction.
func (o *origins) settle(ctx context.Context, targets int) error {
	if len(o.held) > maxWithCommit || targets > maxWithTargets || o.pending {
		if err := o.flush(ctx); err != nil {
			return err
		}
	}
	seen := map[driver.Key]bool{}
	for i := range o.held {
		if key := o.held[i].Key(); !seen[key] {
			seen[key] = true
			o.attempt.PutJSON(key, o.held[i])
		}
	}
	o.held = nil
	return o.reveal(ctx)
}

// reveal has the commit delete the row of the task with pending origins.
func (o *origins) reveal(ctx context.Context) error {
	if !o.pending {
		return nil
	}
	key := origin.PendingKey(o.attempt.ID())
	if _, err := o.attempt.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	o.attempt.Drop(key)
	return nil
}

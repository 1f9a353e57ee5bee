package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
)

// sendWithin bounds the sending of an admitted task's message. It is independent
// of the request's context.
const sendWithin = 10 * time.Second

// Admit creates the task of a spec and sends its message. Once the task exists it
// will run, even if the caller ends. An error means that there is no task. The
// error is lock.ErrTooMany if too many tasks wait for one of its resources.
func (s *Store) Admit(ctx context.Context, spec Spec, sync bool) (Task, error) {
	if s.Named && spec.By == nil {
		return Task{}, fmt.Errorf("task %s has no principal: %w", spec.Kind, errNoPrincipal)
	}
	args, err := encode(spec.Args)
	if err != nil {
		return Task{}, fmt.Errorf("arguments of %s: %w", spec.Kind, err)
	}
	t := Task{Kind: spec.Kind, Name: spec.Name, Resources: spec.Resources, Locks: spec.Locks, Args: args, Sync: sync, By: spec.By, Needs: spec.Needs}
	return s.admit(ctx, t, func(t *Task) ([]driver.Op, func(error)) {
		if spec.Record == nil {
			return nil, func(error) {}
		}
		name, op, done := spec.Record(t.ID)
		t.Record = name
		return []driver.Op{op}, done
	})
}

// admit creates a complete task except for its number. The transaction includes the
// operations of more. more may change the task, and its function gets the result of
// the transaction. A conflict on one of these operations is an error.
func (s *Store) admit(ctx context.Context, t Task, more func(*Task) ([]driver.Op, func(error))) (Task, error) {
	if len(t.Locks) == 0 {
		return Task{}, fmt.Errorf("task %s names no resource: %w", t.Kind, driver.ErrInvalid)
	}
	id, err := s.Table.Add(ctx, driver.Key{Part: "task", Sort: "next"}, 1)
	if err != nil {
		return Task{}, fmt.Errorf("number of a task: %w", err)
	}
	t.ID, t.Group, t.Locks, t.Created = id, group(t.Kind, t.Locks), lock.Merge(t.Locks), s.Now().UTC()
	t.Name, t.Resources = clip(t.Name, maxName), clipAll(t.Resources, maxName, maxResources)
	if len(t.Args) > maxInline {
		if t.ArgsBlob, err = s.writeBlob(ctx, id, "args", t.Args); err != nil {
			return Task{}, fmt.Errorf("arguments of %s: %w", t.Kind, err)
		}
		t.Args = nil
	}
	with, done := more(&t)
	err = s.create(ctx, t, with)
	done(err)
	if err != nil {
		return Task{}, fmt.Errorf("admission of %q: %w", t.Name, err)
	}
	// The task exists even if the request is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendWithin)
	defer cancel()
	if err := s.send(ctx, t); err != nil {
		// Resend will find the task.
		s.Log.Warn("message of a task was not sent", "task", id, "error", err)
	}
	return t, nil
}

// create writes the row of a task and its places in the queues, with other operations.
func (s *Store) create(ctx context.Context, t Task, with []driver.Op) error {
	own := []driver.Key{Key(t.ID)}
	for _, op := range with {
		own = append(own, op.Key)
	}
	return unwrapFinal(s.retryConflicts(ctx, admissionWait, func() error {
		ops, _, err := lock.Change(ctx, s.Table, t.ID, nil, t.Locks)
		if err != nil {
			return err
		}
		ops = append(append(ops, putOp(t, driver.Absent)), with...)
		_, err = s.Table.Write(ctx, ops...)
		if err == nil {
			return nil
		}
		var conflict *driver.ConflictError
		if errors.As(err, &conflict) && !slices.ContainsFunc(conflict.Keys, func(k driver.Key) bool { return slices.Contains(own, k) }) {
			return err
		}
		// No other admission uses the number. If the row exists, only the answer
		// was lost.
		look, cancel := outlive(ctx, sendWithin)
		defer cancel()
		if _, there := s.Get(look, t.ID); there == nil {
			return nil
		}
		return final{err}
	}))
}

// group names the message group of a task. There is one per first exclusive
// resource and class of work.
func group(kind string, wants []lock.Want) string {
	first := wants[0].Resource
	for _, w := range wants {
		if w.Mode == lock.Exclusive {
			first = w.Resource
			break
		}
	}
	sum := sha256.Sum256([]byte(first))
	return Class(kind) + "-" + hex.EncodeToString(sum[:16])
}

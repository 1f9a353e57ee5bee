package transfer

import (
	"context"
	"errors"
	"strings"

	"aptless/core/archive/keyring"
	"aptless/core/engine/driver"
	"aptless/core/engine/named"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
)

// ImportArgs are the arguments of an import.
type ImportArgs struct {
	Dir       string // of the upload area, with the files of a transfer folder
	DryRun    bool   // report, and change nothing
	Overwrite bool   // also objects that were changed here since their import
	Empty     bool   // refuse unless this storage has no objects
}

// Outcomes of an object.
const (
	Created   = "created"
	Updated   = "updated"
	Unchanged = "unchanged" // as imported before
	Kept      = "kept"      // it was changed here since its import, and is left alone
	Clash     = "clash"     // another object has its name
)

// step says how an object is imported.
type step struct {
	outcome string
	digest  string // of the object
}

// changes reports whether an object with an outcome is written.
func changes(outcome string) bool { return outcome == Created || outcome == Updated }

// step decides on an object. It reports whether another object has its name.
func (s *Store) step(ctx context.Context, o *Object, overwrite bool) (st step, taken bool, err error) {
	if st.digest, err = o.digest(); err != nil {
		return st, false, err
	}
	st.outcome = Created
	if o.Kind() == OfRing {
		has, err := s.Keyrings.Has(ctx, o.Ring.Name, o.Ring.Keys)
		var refused *keyring.Refusal
		if errors.As(err, &refused) {
			return st, false, task.Fail(400, "keyring %s: %w", o.Ring.Name, refused)
		}
		if has {
			st.outcome = Unchanged
		}
		return st, false, err
	}
	holder, err := s.holder(ctx, o)
	if err != nil || holder != "" && holder != o.id() {
		return st, err == nil, err
	}
	now, err := s.present(ctx, s.Repos.Rows().Get, o)
	if err != nil || now == nil {
		return st, false, err
	}
	was, err := s.last(ctx, s.Repos.Rows().Get, o)
	if err != nil {
		return st, false, err
	}
	if was == (mark{}) && o.Publication != nil && !o.Publication.shares(now.Publication) {
		return st, true, nil // another publication has its place
	}
	st.outcome, err = was.decide(now, st.digest, overwrite)
	return st, false, err
}

// last returns the mark of the last import of an object, zero if there is none.
func (s *Store) last(ctx context.Context, get named.Getter, o *Object) (was mark, err error) {
	if err = get(ctx, markKey(o), &was); errors.Is(err, driver.ErrNotFound) {
		err = nil
	}
	return was, err
}

// decide returns the outcome of an object that is here as now. digest is that of the object
// in the transfer.
func (was mark) decide(now *Object, digest string, overwrite bool) (string, error) {
	state, err := now.digest()
	return was.outcome(digest, state, overwrite), err
}

// outcome decides on an object that is here in a state. was is zero if no import has
// brought the object.
func (was mark) outcome(object, state string, overwrite bool) string {
	same := was.State == state // as the import left it
	switch {
	case state == object, was.Object == object && (same || !overwrite):
		return Unchanged
	case same, overwrite:
		return Updated
	}
	return Kept
}

// mustBeEmpty refuses a storage with objects.
func (s *Store) mustBeEmpty(ctx context.Context) error {
	for _, part := range []string{"repo", "mirror", "snapshot", "publish"} {
		for _, err := range s.Table.Scan(ctx, part, "") {
			if err != nil {
				return err
			}
			return task.Fail(409, "unable to import: the storage is not empty")
		}
	}
	return nil
}

// maxPlanned bounds the objects of one question for outcomes.
const maxPlanned = 1000

// Outcomes returns the outcome that an import would have for each object, given as lines
// of Encode. It changes nothing. Of args Overwrite and Empty count.
func (s *Store) Outcomes(ctx context.Context, lines []string, args ImportArgs) ([]string, error) {
	if len(lines) > maxPlanned {
		return nil, task.Fail(400, "%d objects are asked for, at most %d can be", len(lines), maxPlanned)
	}
	objects, err := Decode(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		return nil, task.Fail(400, "%w", err)
	}
	if len(objects) != len(lines) {
		return nil, task.Fail(400, "%d lines have %d objects", len(lines), len(objects))
	}
	if args.Empty {
		if err := s.mustBeEmpty(ctx); err != nil {
			return nil, err
		}
	}
	return parallel.Results(ctx, readers, len(objects), func(ctx context.Context, i int) (string, error) {
		st, taken, err := s.step(ctx, &objects[i], args.Overwrite)
		if taken {
			return Clash, err
		}
		return st.outcome, err
	})
}

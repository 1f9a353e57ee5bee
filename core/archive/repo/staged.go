package repo

import (
	"context"
	"encoding/json"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// Staged is an import that is done but for its commit: it is part of a task that
// commits more than the repository. The list is stored, and no row has it.
type Staged struct {
	Result ImportResult
	Share  any // of the cursor of the task, see Stage

	store      *Store
	uuid, name string
	list       lists.Ref
}

// Stage imports uploaded files as a part of a task that holds the repository's
// lock. It commits nothing and leaves the uploads. Share is the import's share of
// the cursor saved last, nil at first; whole returns the cursor of the task with
// another share.
func (s *Store) Stage(ctx context.Context, a *task.Attempt, args ImportArgs, share json.RawMessage, whole func(share any) any) (*Staged, error) {
	im := &importer{store: s, attempt: a, dir: args.Dir, force: args.ForceReplace, keep: true, since: s.Now(), whole: whole}
	if share != nil {
		if err := json.Unmarshal(share, &im.at); err != nil {
			return nil, err
		}
	}
	if !im.at.Staged {
		into, err := im.target(ctx, args.UUID, args.Name, "%w")
		if err != nil {
			return nil, err
		}
		if err = im.importAll(ctx, into, args); err == nil {
			err = im.apply(ctx)
		}
		if err == nil {
			_, err = im.settle(ctx, nil)
		}
		if err != nil {
			return nil, err
		}
		im.at.Staged, im.at.Lists = true, im.lists()
	}
	all, err := s.outcomes(ctx, im.at)
	if err != nil {
		return nil, err
	}
	return &Staged{Result: all.report(), Share: im.at, store: s, uuid: args.UUID, name: args.Name, list: im.at.Lists[0].List}, nil
}

// Get returns a getter for which the repository has its new list already.
func (st *Staged) Get(get named.Getter) named.Getter {
	return func(ctx context.Context, key driver.Key, v any) error {
		if err := get(ctx, key, v); err != nil {
			return err
		}
		if r, ok := v.(*Repo); ok && r.UUID == st.uuid {
			r.List = st.list
		}
		return nil
	}
}

// Put puts the row of the repository with its new list into the transaction of
// the task.
func (st *Staged) Put(ctx context.Context, a *task.Attempt) error {
	r, err := st.store.row(ctx, a, st.uuid, st.name, 500, "%w")
	if err != nil {
		return err
	}
	r.List = st.list
	return st.store.save(a, &r)
}

package repo

import (
	"context"
	"encoding/json"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// Staged is an import without its commit, as a part of a task that commits more
// than the repository. The list is stored but in no row.
type Staged struct {
	Result ImportResult
	Share  any // the import's part of the task's cursor, see Stage

	origins    origins
	store      *Store
	uuid, name string
	list       lists.Ref
}

// Stage imports uploaded files within a task that holds the repository's lock. It
// commits nothing and keeps the uploads. share is the import's part of the last
// saved cursor, nil at first. whole returns the task's cursor with a new share.
func (s *Store) Stage(ctx context.Context, a *task.Attempt, args ImportArgs, share json.RawMessage, whole func(share any) any) (*Staged, error) {
	im := &importer{store: s.seenBy(ctx, a.By(), args.Dir), attempt: a, dir: args.Dir, force: args.ForceReplace, keep: true, since: s.Now(), taskCursor: whole, origins: origins{store: s, attempt: a}}
	if share != nil {
		if err := json.Unmarshal(share, &im.cursor); err != nil {
			return nil, err
		}
		im.origins.pending = im.cursor.Origins
	}
	if !im.cursor.Staged {
		into, err := im.target(ctx, args.UUID, args.Name, "%w")
		if err != nil {
			return nil, err
		}
		if err = im.importAll(ctx, into, args); err == nil {
			err = im.apply(ctx)
		}
		if err == nil {
			_, err = im.finishReport(ctx, nil)
		}
		if err != nil {
			return nil, err
		}
		im.cursor.Staged, im.cursor.Lists = true, im.lists()
		if im.cursor.Few, err = im.origins.few(ctx); err != nil {
			return nil, err
		}
		im.cursor.Origins = im.origins.pending
	}
	im.origins.held = im.cursor.Few
	all, err := s.outcomes(ctx, im.cursor)
	if err != nil {
		return nil, err
	}
	return &Staged{Result: all.report(), Share: im.cursor, origins: im.origins, store: s, uuid: args.UUID, name: args.Name, list: im.cursor.Lists[0].List}, nil
}

// Get returns a getter that sees the repository with its new list.
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

// Put adds the repository's row with its new list to the task's transaction.
func (st *Staged) Put(ctx context.Context, a *task.Attempt) error {
	r, err := st.store.row(ctx, a, st.uuid, st.name, 500, "%w")
	if err != nil {
		return err
	}
	r.List = st.list
	if err := st.origins.settle(ctx, 1); err != nil {
		return err
	}
	return st.store.save(a, &r)
}

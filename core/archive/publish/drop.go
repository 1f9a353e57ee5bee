package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aptless/core/archive/publish/tree"
	"aptless/core/engine/task"
)

// CheckDrop makes the task that removes a publication.
func (s *Store) CheckDrop(ctx context.Context, args DropArgs) (task.Spec, error) {
	p, err := s.mustRead(ctx, s.get, args.Name, toDrop, 404)
	if err != nil {
		return task.Spec{}, err
	}
	l := p.lockDrop()
	return task.Spec{Kind: "publish.drop", Name: fmt.Sprintf("Delete published %s repository %s", p.Kind, p.Dist()),
		Resources: l.names, Locks: l.locks, Args: args}, nil
}

// drop removes a publication: first the Release files, by which apt sees it, then
// its files, each by the inventory that the manifests are, then its row, at last
// its private files. From the first removal on the row says Dropping: an update
// after a drop that failed publishes everything anew.
func (s *Store) drop(ctx context.Context, a *task.Attempt, args DropArgs) (task.Result, error) {
	done := task.Result{Value: struct{}{}}
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return done, s.removeStaged(ctx, Publication{Settings: Settings{Name: args.Name}})
	}
	p, err := s.mustRead(ctx, a.GetJSON, args.Name, toDrop, 500)
	if err != nil {
		return task.Result{}, err
	}
	if err := p.lockDrop().held(a); err != nil {
		return task.Result{}, err
	}
	if !p.Dropping {
		p.Dropping = true
		a.PutJSON(p.Dist().Row(), p)
		if err := a.Save(ctx, at); err != nil {
			return task.Result{}, err
		}
		if p, err = s.read(ctx, a.GetJSON, args.Name); err != nil {
			return task.Result{}, err
		}
	}
	if err := s.removeTree(ctx, a, p, args); err != nil {
		if !args.Force || ctx.Err() != nil {
			return task.Result{}, fmt.Errorf("unable to drop: published files removal failed, use -force-drop to override: %w", err)
		}
		a.Printf("Files were not removed: %v\n", err)
	}
	if err := p.refer(ctx, a, uuids(p.Components), nil); err != nil {
		return task.Result{}, err
	}
	p.ValidFor = 0
	if err := p.schedule(ctx, a); err != nil {
		return task.Result{}, err
	}
	a.Drop(p.Dist().Row())
	if err := a.Save(ctx, cursor{Committed: true}); err != nil {
		return task.Result{}, err
	}
	p.Revisions = nil
	return done, s.removeStaged(ctx, p)
}

// removeTree removes all files that the publication has in the tree.
func (s *Store) removeTree(ctx context.Context, a *task.Attempt, p Publication, args DropArgs) error {
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return err
	}
	t := s.tree(p)
	for _, name := range m.Names(p.Distribution) {
		for _, key := range p.Dist().Releases(name) {
			if err := s.Blobs.Delete(ctx, key); err != nil {
				return err
			}
		}
	}
	if err := s.tidy(ctx, a, p, m); err != nil {
		return err
	}
	if err := tree.Delete(ctx, s.Blobs, t.Lost(m, nil)); err != nil {
		return err
	}
	if err := s.dropPackages(ctx, p, m.Lists, args.SkipCleanup); err != nil {
		return err
	}
	return tree.Delete(ctx, s.Blobs, t.Inventory(m))
}

// removeStaged removes the private files of the publication, also those of
// attempts that failed, but for those of its revisions.
func (s *Store) removeStaged(ctx context.Context, p Publication) error {
	var keys []string
	for info, err := range s.Blobs.List(ctx, p.Dist().Private()+"/", "") {
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(p.Revisions, func(rev Revision) bool {
			return strings.HasPrefix(info.Key, strings.TrimSuffix(rev.Manifest, "manifest.json"))
		}) {
			keys = append(keys, info.Key)
		}
	}
	return tree.Delete(ctx, s.Blobs, keys)
}

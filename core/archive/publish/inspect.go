package publish

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/pool"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// Inspection says how publications are inspected.
type Inspection struct {
	Deep   bool // compare the digests of all files
	Repair bool // put back files that are missing or have other bytes
}

// Inspected has the damages of publications.
type Inspected struct {
	Files      *files.Report
	OtherBytes pool.Listed // files whose size is right
	Extra      pool.Listed // objects in trees and pools that no publication has
	NoManifest pool.Listed // keys of manifests that are missing or unreadable
}

// inspection is the checkpoint of an inspection of all publications.
type inspection struct {
	After string // ID of the last publication that is done
	Part  repairCursor
	Got   Inspected
}

// InspectAll inspects all publications in the order of their IDs, as a part of a task. It
// takes their locks as it comes to them. cursor is the last that save was called with, null
// at first.
func (s *Store) InspectAll(ctx context.Context, a *task.Attempt, o Inspection, cursor json.RawMessage, save func(context.Context, any) error) (*Inspected, error) {
	at := inspection{Got: Inspected{Files: files.NewReport(!o.Repair)}}
	if len(cursor) > 0 {
		if err := json.Unmarshal(cursor, &at); err != nil {
			return nil, err
		}
	}
	at.Part.Report = at.Got.Files
	for {
		row, err := s.nextPublication(ctx, at.After)
		if errors.Is(err, driver.ErrNotFound) {
			return &at.Got, s.strays(ctx, &at.Got)
		}
		if err != nil {
			return nil, err
		}
		if p, err := decode(row); err == nil && p.Distribution != "" { // a damaged row is not this check's
			if p.lockAll().held(a) != nil {
				l, err := s.lockRepairs(ctx, at.After)
				if err != nil {
					return nil, err
				}
				return nil, &task.Relock{Locks: l.locks, Resources: l.names}
			}
			err := s.inspectOne(ctx, a, p, o, &at, func(ctx context.Context, _ any) error { return save(ctx, at) })
			if err != nil && !errors.Is(err, lists.ErrDamaged) { // a damaged list is reported elsewhere
				return nil, err
			}
		}
		at.After, at.Part.Tree, at.Part.Done = row.Sort, false, 0
		if a.SliceOver() {
			if err := save(ctx, at); err != nil {
				return nil, err
			}
		}
	}
}

// inspectOne inspects a publication: its manifest, its trees, then its package files.
func (s *Store) inspectOne(ctx context.Context, a *task.Attempt, p Publication, o Inspection, at *inspection, save func(context.Context, any) error) error {
	if p.Dropping || p.Manifest == "" {
		return nil
	}
	m, err := tree.Read(ctx, s.Blobs, p.Manifest)
	if unreadable := (*json.SyntaxError)(nil); errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrInvalid) || errors.As(err, &unreadable) {
		at.Got.NoManifest.Add(p.Manifest)
		return nil
	}
	if err != nil {
		return err
	}
	if !at.Part.Tree && p.Applied {
		if err := s.inspectTree(ctx, a, p, m, o, &at.Got); err != nil {
			return err
		}
	}
	at.Part.Tree = true
	if o.Deep {
		if err := s.inspectFiles(ctx, p, m, &at.Got); err != nil {
			return err
		}
	}
	return s.repairFiles(ctx, a, p, m, &at.Part, save)
}

// inspectTree inspects the trees of a publication.
func (s *Store) inspectTree(ctx context.Context, a *task.Attempt, p Publication, m *tree.Manifest, o Inspection, got *Inspected) error {
	others, err := s.neighbours(ctx, &p)
	if err != nil {
		return err
	}
	t := s.tree(p)
	t.Store = s.filesOf(a, p.Dist())
	have, err := t.Sizes(ctx, m)
	if err != nil {
		return err
	}
	var elsewhere []string
	for _, other := range others {
		for _, name := range other.names() {
			elsewhere = append(elsewhere, other.Dist().Tree(name)+"/")
		}
	}
	other, extra, err := t.Inspect(ctx, m, have, elsewhere, o.Deep)
	if err != nil {
		return err
	}
	for _, key := range other {
		got.OtherBytes.Add(key)
	}
	for _, key := range extra {
		got.Extra.Add(key)
	}
	report := files.NewReport(!o.Repair)
	repair := tree.Repair{Tree: t, Manifest: m, Have: have, Report: report, Stage: func() error { return s.stageAgain(ctx, p) }}
	if err := repair.Do(ctx); err != nil {
		return err
	}
	got.Files.Checked += report.Checked
	for _, l := range []struct{ to, from *pool.Listed }{{&got.Files.Missing, &report.Missing}, {&got.Files.WrongSize, &report.WrongSize},
		{&got.Files.PutBack, &report.PutBack}, {&got.Files.Lost, &report.Lost}} {
		for _, name := range l.from.Names {
			if l.from != &report.WrongSize || !slices.Contains(other, name) { // an object with other bytes is no object of another size
				l.to.Add(name)
			}
		}
	}
	return nil
}

// inspectFiles compares the digests of the package files that are copied to the tree.
func (s *Store) inspectFiles(ctx context.Context, p Publication, m *tree.Manifest, got *Inspected) error {
	t, scope := s.tree(p), p.scope()
	return s.eachFile(ctx, p, m.Lists, func(key, digest string, size int64) error {
		info, err := s.Blobs.Stat(ctx, key)
		if errors.Is(err, driver.ErrNotFound) || err == nil && info.Size != size {
			return nil // reported by the comparison of sizes
		}
		if err != nil {
			return err
		}
		sum, err := t.Sum(ctx, key)
		if err == nil && sum != "" && sum != digest {
			got.OtherBytes.Add(key)
		}
		return err
	}, scope)
}

// eachFile calls f for the package files of lists that are copied to the tree.
func (s *Store) eachFile(ctx context.Context, p Publication, from map[string]index.Published, f func(key, digest string, size int64) error, scope files.Scope) error {
	d := p.Dist()
	for _, c := range p.components() {
		list, err := s.Lists.Open(ctx, from[c].List)
		if err != nil {
			return err
		}
		for pkg, err := range list.All(ctx) {
			if err != nil {
				return err
			}
			if !scope.Publishes(pkg) || !scope.Copies(pkg) {
				continue
			}
			for _, file := range files.Of(pkg) {
				at, err := d.Location(c, from[c].PoolDir, pkg, file)
				if err != nil {
					continue
				}
				if err := f(path.Join(d.Root(), at), file.SHA256, file.Size); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// strays finds objects in the pools of prefixes that no publication of the prefix has.
// It leaves out a prefix with work in progress.
func (s *Store) strays(ctx context.Context, got *Inspected) error {
	all, err := s.scan(ctx, "")
	if err != nil {
		return nil // a damaged row may hide the files of a publication
	}
	groups := map[string][]Publication{}
	var roots []string
	for _, p := range all {
		root := p.Dist().Root()
		if groups[root] == nil {
			roots = append(roots, root)
		}
		groups[root] = append(groups[root], p)
	}
	slices.Sort(roots)
	for _, root := range roots {
		busy, err := s.busy(ctx, groups[root])
		if err != nil {
			return err
		}
		if !busy {
			if err := s.straysOf(ctx, root, groups[root], got); err != nil && !errors.Is(err, lists.ErrDamaged) {
				return err
			}
		}
	}
	return nil
}

// busy reports whether a publication of a prefix is being changed, or has package files
// that no present list has.
func (s *Store) busy(ctx context.Context, group []Publication) (bool, error) {
	for _, p := range group {
		if !p.Applied || p.Dropping || len(p.Left) > 0 {
			return true, nil
		}
	}
	prefix := group[0].Dist().StoragePrefix() + "/"
	for _, part := range []string{StagingPart, RemovalPart} {
		for row, err := range s.Table.Scan(ctx, part, prefix) {
			if err != nil {
				return false, err
			}
			return strings.HasPrefix(row.Sort, prefix), nil
		}
	}
	return false, nil
}

// straysOf finds the objects below the pool of a prefix that none of its publications has.
func (s *Store) straysOf(ctx context.Context, root string, group []Publication, got *Inspected) error {
	has := map[string]bool{}
	for _, p := range group {
		m, err := tree.Read(ctx, s.Blobs, p.Manifest)
		if err != nil {
			return nil // reported already
		}
		err = s.eachFile(ctx, p, m.Lists, func(key, _ string, _ int64) error {
			has[key] = true
			return nil
		}, p.scope())
		if err != nil {
			return err
		}
	}
	for info, err := range s.Blobs.List(ctx, root+"/pool/", "") {
		if err != nil {
			return err
		}
		if !has[info.Key] {
			got.Extra.Add(info.Key)
		}
	}
	return nil
}

package app

import (
	"context"
	"errors"

	"aptless/core/archive/mirror"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// sources shows publications what they can publish.
type sources struct {
	repos     *repo.Store
	mirrors   *mirror.Store
	snapshots *snapshot.Store
}

func (s sources) ByName(ctx context.Context, kind publish.SourceKind, name string) (publish.Source, error) {
	if kind == publish.Local {
		r, err := s.repos.ByName(ctx, name)
		return repoSource(r), err
	}
	found, err := s.snapshots.ByName(ctx, name)
	if err != nil {
		return publish.Source{}, err
	}
	return s.defaults(ctx, found)
}

func (s sources) ByUUID(ctx context.Context, get publish.Getter, kind publish.SourceKind, uuid string) (publish.Source, error) {
	if kind == publish.Local {
		var r repo.Repo
		err := get(ctx, repo.Key(uuid), &r)
		return repoSource(r), err
	}
	found, err := s.snapshots.ByUUID(ctx, snapshot.Getter(get), uuid, uuid)
	return snapshotSource(found), err
}

// defaults is a snapshot with the distributions and components of the
// repositories and mirrors that it was made of in the end, as far as they still
// exist.
func (s sources) defaults(ctx context.Context, found snapshot.Snapshot) (publish.Source, error) {
	src := snapshotSource(found)
	leaves, err := s.snapshots.Leaves(ctx, found)
	if err != nil {
		return src, err
	}
	for _, leaf := range leaves {
		from, err := s.leaf(ctx, leaf)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return src, err
		}
		src.Distributions = append(src.Distributions, from.Distributions...)
		src.Components = append(src.Components, from.Components...)
	}
	return src, nil
}

// leaf is a repository or a mirror with the distribution and the components
// that what is made of it has.
func (s sources) leaf(ctx context.Context, leaf snapshot.Leaf) (publish.Source, error) {
	if leaf.Kind == snapshot.OfRepo {
		r, err := s.repos.ByUUID(ctx, leaf.UUID, leaf.Name)
		return repoSource(r), err
	}
	m, err := s.mirrors.ByUUID(ctx, leaf.UUID, leaf.Name)
	if err != nil || m.Flat() {
		return publish.Source{}, err
	}
	return publish.Source{Distributions: []string{m.Distribution}, Components: m.Components}, nil
}

func repoSource(r repo.Repo) publish.Source {
	src := publish.Source{UUID: r.UUID, Name: r.Name, Comment: r.Comment, List: r.List}
	if r.DefaultDistribution != "" {
		src.Distributions = []string{r.DefaultDistribution}
	}
	if r.DefaultComponent != "" {
		src.Components = []string{r.DefaultComponent}
	}
	return src
}

func snapshotSource(found snapshot.Snapshot) publish.Source {
	return publish.Source{UUID: found.UUID, Name: found.Name, Comment: found.Description, List: found.List, Files: found.AppStreamFiles,
		Origin: found.Origin, NotAutomatic: found.NotAutomatic, ButAutomaticUpgrades: found.ButAutomaticUpgrades}
}

// repoOriginals shows local repositories to snapshots.
type repoOriginals struct{ repos *repo.Store }

func (o repoOriginals) ByName(ctx context.Context, name string) (snapshot.Original, error) {
	r, err := o.repos.ByName(ctx, name)
	return repoOriginal(r), err
}

func (o repoOriginals) ByUUID(ctx context.Context, get snapshot.Getter, uuid, name string) (snapshot.Original, error) {
	var r repo.Repo
	err := get(ctx, repo.Key(uuid), &r)
	if errors.Is(err, driver.ErrNotFound) {
		return snapshot.Original{}, &repo.ErrNotFound{Name: name}
	}
	return repoOriginal(r), err
}

func repoOriginal(r repo.Repo) snapshot.Original {
	title := "[" + r.Name + "]"
	if r.Comment != "" {
		title += ": " + r.Comment
	}
	return snapshot.Original{UUID: r.UUID, Name: r.Name, Title: title, List: r.List}
}

// mirrorOriginals shows mirrors to snapshots.
type mirrorOriginals struct{ mirrors *mirror.Store }

func (o mirrorOriginals) ByName(ctx context.Context, name string) (snapshot.Original, error) {
	m, err := o.mirrors.ByName(ctx, name)
	return mirrorOriginal(m), err
}

func (o mirrorOriginals) ByUUID(ctx context.Context, get snapshot.Getter, uuid, name string) (snapshot.Original, error) {
	var m mirror.Mirror
	err := get(ctx, mirror.Key(uuid), &m)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return snapshot.Original{}, &mirror.ErrNotFound{Name: name}
	case err == nil && !m.Updated():
		return snapshot.Original{}, task.Fail(400, "mirror not updated")
	}
	return mirrorOriginal(m), err
}

func mirrorOriginal(m mirror.Mirror) snapshot.Original {
	return snapshot.Original{
		UUID: m.UUID, Name: m.Name, Title: m.Title(), List: m.List, AppStreamFiles: m.AppStreamFiles,
		Origin: m.Meta["Origin"], NotAutomatic: m.Meta["NotAutomatic"], ButAutomaticUpgrades: m.Meta["ButAutomaticUpgrades"],
	}
}

// snapshotOriginals shows snapshots to local repositories.
type snapshotOriginals struct{ snapshots *snapshot.Store }

func (o snapshotOriginals) ByName(ctx context.Context, name string) (repo.Original, error) {
	found, err := o.snapshots.ByName(ctx, name)
	return repo.Original{UUID: found.UUID, List: found.List}, err
}

func (o snapshotOriginals) ByUUID(ctx context.Context, get func(context.Context, driver.Key, any) error, uuid, name string) (repo.Original, error) {
	found, err := o.snapshots.ByUUID(ctx, get, uuid, name)
	return repo.Original{UUID: found.UUID, List: found.List}, err
}

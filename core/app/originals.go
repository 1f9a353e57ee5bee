package app

import (
	"context"
	"errors"

	"aptless/core/driver"
	"aptless/core/repo"
	"aptless/core/snapshot"
)

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

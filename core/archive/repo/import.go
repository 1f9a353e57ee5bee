package repo

import (
	"context"
	"fmt"

	"aptless/core/archive/source"
	"aptless/core/archive/upload"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// ImportArgs are the arguments of an import of uploaded files.
type ImportArgs struct {
	UUID, Name   string
	Dir, File    string // "" for the whole directory
	NoRemove     bool   // keep the uploaded files
	ForceReplace bool   // remove conflicting packages from the repository
}

// CheckImport makes the task that imports uploaded files.
func (s *Store) CheckImport(ctx context.Context, args ImportArgs) (task.Spec, error) {
	r, err := s.find(ctx, args.Name)
	if err != nil {
		return task.Spec{}, err
	}
	args.UUID = r.UUID
	name := fmt.Sprintf("Add packages from dir %s to repo %s", args.Dir, args.Name)
	from := upload.Path(args.Dir)
	if args.File != "" {
		name = fmt.Sprintf("Add package %s from dir %s to repo %s", args.File, args.Dir, args.Name)
		from = upload.Path(args.Dir, args.File)
	}
	return task.Spec{
		Kind: "repo.import", Name: name, Resources: []string{source.Repo.Resource(r.UUID), from}, Args: args,
		// The directory is also locked for a single file. Two imports of one upload
		// exclude each other, by file or by directory.
		Locks: []lock.Want{s.Rows().Lock(r.UUID, lock.Exclusive), {Resource: upload.Lock(args.Dir)}},
	}, nil
}

// importFiles imports uploaded files. It collects candidates, reads them in
// batches, plans their changes to the list, and commits the list.
func (s *Store) importFiles(ctx context.Context, a *task.Attempt, args ImportArgs) (task.Result, error) {
	im, err := s.importer(ctx, a, args.Dir, args.ForceReplace, args.NoRemove)
	if err != nil || im.cursor.Committed {
		return im.finish(ctx, err)
	}
	into, err := im.target(ctx, args.UUID, args.Name, "%w")
	if err != nil {
		return task.Result{}, err
	}
	if err := im.importAll(ctx, into, args); err != nil {
		return task.Result{}, err
	}
	return im.commit(ctx, nil)
}

// importAll imports the remaining uploads of a directory, or one file of it, into
// a target.
func (im *importer) importAll(ctx context.Context, into *target, args ImportArgs) error {
	if args.File != "" {
		found, err := im.store.collectFile(ctx, args.Dir, args.File)
		if err != nil {
			return err
		}
		return im.importPart(ctx, into, part{collection: found})
	}
	for p, err := range im.store.collect(ctx, args.Dir, im.cursor.After, im.limit) {
		if err == nil {
			err = im.importPart(ctx, into, p)
		}
		if err == nil {
			err = im.checkpoint(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// importPart imports a part of a directory.
func (im *importer) importPart(ctx context.Context, into *target, p part) error {
	im.attempt.Phase("packages")
	for _, files := range [][]upload.Upload{p.candidates, p.others} {
		for i := range files {
			if err := im.digest(ctx, &files[i]); err != nil {
				return err
			}
		}
	}
	if len(p.candidates) > 0 {
		if err := im.batch(ctx, into, p.candidates, nil); err != nil {
			return err
		}
	}
	im.unsaved.addOthers(p.collection)
	if p.last != "" {
		im.cursor.After = p.last
	}
	return nil
}

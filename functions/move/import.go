package move

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"aptless/core/archive/transfer"
	"aptless/core/client"
)

// Upload is a file to send to an upload directory.
type Upload struct {
	Path, Name, SHA256 string
	Size               int64
}

// ImportOptions are the options of an import.
type ImportOptions struct {
	DryRun, Overwrite, Empty bool
	// Send sends files to an upload directory. Files that are there need not be sent.
	Send func(ctx context.Context, dir string, files []Upload) error
}

// ImportResult is the result of an import.
type ImportResult struct {
	client.Imported
	Sent      int               // package files that the server lacked
	Published []string          // publications, in the order of their making
	Failed    map[string]string // publications that could not be made, with the reason
}

// batch is the number of files of one question for missing ones.
const batch = 5000

// rounds bounds the imports of one folder. One import names 100 publications.
const rounds = 1000

// Import brings the folder's objects to the server. It sends the files that the server
// lacks, and has the server import and publish. Repeating it changes nothing.
func (m *Mover) Import(ctx context.Context, opt ImportOptions) (ImportResult, error) {
	done := ImportResult{Failed: map[string]string{}}
	manifest, objects, err := m.Folder.Read()
	if err != nil {
		return done, err
	}
	dir := "transfer-" + manifest.Objects[:20]
	all := []Upload{{m.Folder.objectsPath(manifest), transfer.ObjectsName, manifest.Objects, manifest.Size}}
	if !opt.DryRun {
		more, err := m.uploads(ctx, objects)
		if err != nil {
			return done, err
		}
		for _, u := range more {
			if u.Name[:len(transfer.FilePrefix)] == transfer.FilePrefix {
				done.Sent++
			}
		}
		all = append(all, more...)
	}
	if err := opt.Send(ctx, dir, all); err != nil {
		return done, err
	}
	if err := m.load(ctx, dir, opt, &done); err != nil {
		return done, err
	}
	_, err = client.Send(ctx, m.Client, client.DropUploads(dir))
	if client.StatusOf(err) == 404 {
		err = nil
	}
	if err == nil && len(done.Failed) > 0 {
		err = fmt.Errorf("%d publications could not be made, the first: %w", len(done.Failed), firstOf(done.Failed))
	}
	return done, err
}

func firstOf(failed map[string]string) error {
	name := slices.Min(slices.Collect(maps.Keys(failed)))
	return errors.New(name + ": " + failed[name])
}

// uploads returns the files that the server needs: all objects of lists, and the package
// files that it lacks.
func (m *Mover) uploads(ctx context.Context, objects []transfer.Object) ([]Upload, error) {
	n, err := m.Folder.needs(ctx, objects)
	if err != nil {
		return nil, err
	}
	var all []Upload
	for _, digest := range n.lists {
		u, err := local(m.Folder.listPath(digest), transfer.ListPrefix+digest)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	asked := 0
	for part := range slices.Chunk(n.files, batch) {
		sums := make([]string, len(part))
		for i, f := range part {
			sums[i] = f.SHA256
		}
		missing, err := client.Send(ctx, m.Client, client.AskMissing(sums))
		if err != nil {
			return nil, err
		}
		for _, sum := range missing.Value.Missing {
			path := m.Folder.FilePath(sum)
			info, err := os.Stat(path)
			if err != nil {
				return nil, fmt.Errorf("the folder lacks a file that its lists name: %w", err)
			}
			all = append(all, Upload{path, transfer.FilePrefix + sum, sum, info.Size()})
		}
		asked += len(part)
		m.say("compare", asked, len(n.files))
	}
	return all, nil
}

// local describes a file whose digest is not its name.
func local(path, name string) (Upload, error) {
	data, err := os.ReadFile(path)
	return Upload{path, name, sumOf(data), int64(len(data))}, err
}

// load has the server import the directory, and publishes, until nothing waits.
func (m *Mover) load(ctx context.Context, dir string, opt ImportOptions, done *ImportResult) error {
	for range rounds {
		call := client.ImportTransfer(dir).Flag("dryRun", opt.DryRun).Flag("overwrite", opt.Overwrite).Flag("empty", opt.Empty && len(done.Published) == 0)
		a, err := client.Send(ctx, m.Client, call)
		if err != nil {
			return err
		}
		if len(done.Published) == 0 {
			done.Imported = a.Value
		}
		if opt.DryRun {
			return nil
		}
		made := len(done.Published)
		for _, p := range a.Value.Publications {
			place := client.Place{Prefix: p.Prefix, Distribution: p.Distribution}
			if p.Storage != "" {
				place.Prefix = p.Storage + ":" + p.Prefix
			}
			if done.Failed[place.String()] != "" {
				continue
			}
			_, err := client.Send(ctx, m.Client, client.RestorePublication(place))
			var refused *client.Refusal
			if errors.As(err, &refused) {
				done.Failed[place.String()] = refused.Error()
				continue
			}
			if err != nil {
				return err
			}
			done.Published = append(done.Published, place.String())
			m.say("publish", len(done.Published), 0)
		}
		if len(a.Value.Publications) == 0 || len(done.Published) == made {
			return nil
		}
	}
	return nil
}

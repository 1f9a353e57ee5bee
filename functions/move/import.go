package move

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

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
	Manifest                 string // of the folder, see Folder.Manifest
	DryRun, Overwrite, Empty bool
	As                       []string // other names, for transfer.Rename
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

// batch is the number of files of one question for missing ones. The answer of a server on
// AWS has to come within 29 s, and takes a request to S3 for each file.
const batch = 2000

// rounds bounds the imports of one folder. One import names 100 publications.
const rounds = 1000

// Import brings the folder's objects to the server. It sends the files that the server
// lacks, and has the server import and publish. An import that would change nothing
// sends questions only.
func (m *Mover) Import(ctx context.Context, opt ImportOptions) (ImportResult, error) {
	done := ImportResult{Failed: map[string]string{}}
	manifest, objects, err := m.Folder.Read()
	if err != nil {
		return done, err
	}
	path := m.Folder.objectsPath(manifest)
	if len(opt.As) > 0 {
		if err := transfer.Rename(objects, opt.As); err != nil {
			return done, err
		}
		if path, err = m.renamed(objects, &manifest); err != nil {
			return done, err
		}
		defer os.Remove(path)
	}
	changed, err := m.plan(ctx, objects, opt, &done)
	if done.DryRun = opt.DryRun; err != nil || opt.DryRun {
		return done, err
	}
	dir := "transfer-" + manifest.Objects[:20]
	if len(changed) == 0 {
		return done, m.tidy(ctx, dir)
	}
	all := []Upload{{path, transfer.ObjectsName, manifest.Objects, manifest.Size}}
	more, err := m.uploads(ctx, changed)
	if err != nil {
		return done, err
	}
	for _, u := range more {
		if strings.HasPrefix(u.Name, transfer.FilePrefix) {
			done.Sent++
		}
	}
	if err := opt.Send(ctx, dir, append(all, more...)); err != nil {
		return done, err
	}
	if err := m.load(ctx, dir, opt, &done); err != nil {
		return done, err
	}
	if err := m.drop(ctx, dir); err != nil {
		return done, err
	}
	if len(done.Failed) > 0 {
		err = fmt.Errorf("%d publications could not be made, the first: %w", len(done.Failed), firstOf(done.Failed))
	}
	return done, err
}

// renamed writes renamed objects to a temporary file, and describes them in the manifest.
func (m *Mover) renamed(objects []transfer.Object, manifest *transfer.Manifest) (string, error) {
	transfer.Sort(objects)
	data, err := transfer.Encode(objects)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp("", "aptless-objects-")
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	manifest.Objects, manifest.Size = sumOf(data), int64(len(data))
	return file.Name(), errors.Join(err, file.Close())
}

// tidy removes the upload directory of an import that ended before it could do so.
func (m *Mover) tidy(ctx context.Context, dir string) error {
	left, err := m.Client.Uploaded(ctx, dir)
	if err != nil || len(left) == 0 {
		return err
	}
	return m.drop(ctx, dir)
}

// drops bounds the requests to drop one directory, each of which is sent some times.
const drops = 50

// drop removes an upload directory. One of 50,000 files takes longer than a function on AWS
// has for an answer. Each request goes on where the last one ended.
func (m *Mover) drop(ctx context.Context, dir string) (err error) {
	for range drops {
		_, err = client.Send(ctx, m.Client, client.DropUploads(dir))
		if client.StatusOf(err) == 404 {
			return nil
		}
		if err == nil || !client.Unanswered(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Bounds of a question for outcomes.
const (
	planned      = 200
	plannedBytes = 1 << 20
)

// plan asks for the outcome of each object, and returns the objects that the import
// changes. It refuses names that other objects have.
func (m *Mover) plan(ctx context.Context, objects []transfer.Object, opt ImportOptions, done *ImportResult) (changed []transfer.Object, err error) {
	done.Objects = map[string]map[string]int{}
	text, err := transfer.Encode(objects)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for first := 0; first < len(objects); {
		end, size := first, 0
		for end < len(objects) && end < first+planned && (end == first || size+len(lines[end]) < plannedBytes) {
			size, end = size+len(lines[end]), end+1
		}
		a, err := client.Send(ctx, m.Client, client.AskOutcomes(client.Question{Objects: lines[first:end], Overwrite: opt.Overwrite, Empty: opt.Empty}))
		if err != nil {
			return nil, err
		}
		if len(a.Value.Outcomes) != end-first {
			return nil, errors.New("the server does not tell the outcomes of an import: it is older than this program")
		}
		for i, outcome := range a.Value.Outcomes {
			o := objects[first+i]
			if done.count(&o, outcome); outcome == transfer.Created || outcome == transfer.Updated {
				changed = append(changed, o)
			}
		}
		first = end
		m.say("plan", first, len(objects))
	}
	if len(done.Clashes) > 0 && !opt.DryRun {
		return nil, &client.Refusal{Status: 409, Text: "unable to import: other objects have the names of " + strings.Join(done.Clashes[:min(len(done.Clashes), maxClashes)], ", ")}
	}
	return changed, nil
}

// maxClashes bounds the names of an error.
const maxClashes = 100

// count adds the outcome of an object to the report.
func (r *ImportResult) count(o *transfer.Object, outcome string) {
	name := o.Kind() + " " + o.Name()
	switch outcome {
	case transfer.Clash:
		r.Clashes = append(r.Clashes, name)
		return
	case transfer.Kept:
		r.Kept = append(r.Kept, name)
	}
	if r.Objects[o.Kind()] == nil {
		r.Objects[o.Kind()] = map[string]int{}
	}
	r.Objects[o.Kind()][outcome]++
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
		call := client.ImportTransfer(dir).Flag("overwrite", opt.Overwrite).Flag("empty", opt.Empty && len(done.Published) == 0)
		a, err := client.Send(ctx, m.Client, call)
		if err != nil {
			return err
		}
		if len(done.Published) == 0 {
			done.Imported = a.Value
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

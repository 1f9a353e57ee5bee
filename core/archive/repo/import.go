package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/source"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// ImportArgs are the arguments of an import of uploaded files.
type ImportArgs struct {
	UUID, Name   string
	Dir, File    string // File is "" for the whole directory
	NoRemove     bool   // keep the uploaded files
	ForceReplace bool   // remove conflicting packages from the repository
}

// Report is what an import did, as clients see it.
type Report struct {
	Warnings, Added, Removed []string
}

// ImportResult is the result of an import.
type ImportResult struct {
	FailedFiles []string
	Report      Report
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
		// The directory is locked also for one file of it: two imports of
		// the same upload exclude each other however they were named.
		Locks: []lock.Want{s.Rows().Lock(r.UUID, lock.Exclusive), {Resource: "uploads/" + args.Dir}},
	}, nil
}

// imported is the cursor of an import whose list is committed: what is left is
// to remove the files.
type imported struct {
	Blob   string `json:",omitempty"` // the object that has the rest, if it is large
	Files  []file
	Result ImportResult
}

// file names an uploaded file that was imported.
type file struct{ Dir, Name, Blob string }

// maxBatch is the number of candidates whose records are stored together.
const maxBatch = 50

func (s *Store) importFiles(ctx context.Context, a *task.Attempt, args ImportArgs) (task.Result, error) {
	var done imported
	if ok, err := a.Cursor(&done); err != nil {
		return task.Result{}, err
	} else if ok {
		return s.finishImport(ctx, a, args.Dir, args.NoRemove, done)
	}
	r, err := s.read(ctx, a, args.UUID, args.Name, 500, "%w")
	if err != nil {
		return task.Result{}, err
	}
	into, err := s.target(ctx, r)
	if err != nil {
		return task.Result{}, err
	}
	im := &importer{store: s, force: args.ForceReplace}
	candidates, err := im.collect(ctx, args.Dir, args.File)
	if err != nil {
		return task.Result{}, err
	}
	if err := im.importAll(ctx, into, candidates, nil); err != nil {
		return task.Result{}, err
	}
	return s.commitImport(ctx, a, im, args.Dir, args.NoRemove, into)
}

// commitImport commits the new lists of the repositories and goes on to what
// is left to do.
func (s *Store) commitImport(ctx context.Context, a *task.Attempt, im *importer, dir string, noRemove bool, into ...*target) (task.Result, error) {
	for _, t := range into {
		if err := im.apply(ctx, t); err != nil {
			return task.Result{}, err
		}
		if err := s.save(a, &t.repo); err != nil {
			return task.Result{}, err
		}
	}
	done := im.done()
	if err := s.saveImport(ctx, a, done); err != nil {
		return task.Result{}, err
	}
	return s.finishImport(ctx, a, dir, noRemove, done)
}

// finishImport removes what was imported and reports.
func (s *Store) finishImport(ctx context.Context, a *task.Attempt, dir string, noRemove bool, done imported) (task.Result, error) {
	done, err := s.loadImport(ctx, done)
	if err != nil {
		return task.Result{}, err
	}
	if !noRemove {
		var uploads []upload.Upload
		for _, f := range done.Files {
			u, err := s.Uploads.Find(ctx, f.Dir, f.Name)
			if errors.Is(err, fs.ErrNotExist) || err == nil && u.Blob != f.Blob {
				continue // gone already, or uploaded again
			}
			if err != nil {
				return task.Result{}, err
			}
			uploads = append(uploads, u)
		}
		if err := s.Uploads.Remove(ctx, uploads...); err != nil {
			return task.Result{}, err
		}
		if err := s.Uploads.RemoveIfEmpty(ctx, dir); err != nil {
			return task.Result{}, err
		}
	}
	for _, line := range []struct {
		title string
		items []string
	}{
		{"Added", done.Result.Report.Added}, {"Removed", done.Result.Report.Removed},
		{"Warnings", done.Result.Report.Warnings}, {"Failed files", done.Result.FailedFiles},
	} {
		if len(line.items) > 0 {
			a.Printf("%s: %s\n", line.title, strings.Join(line.items, ", "))
		}
	}
	for _, warning := range done.Result.Report.Warnings {
		a.Warn("%s", warning)
	}
	return task.Result{Value: done.Result}, nil
}

// target is a repository that is imported into.
type target struct {
	repo  Repo
	list  *pkglist.List
	edit  *pkglist.Edit
	fresh map[string][]*identity // added by edit, by name; only with force
}

func (s *Store) target(ctx context.Context, r Repo) (*target, error) {
	list, err := s.Packages(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("unable to load packages: %w", err)
	}
	t := &target{repo: r}
	t.goOn(list)
	return t, nil
}

// goOn has a list edited from now on.
func (t *target) goOn(list *pkglist.List) {
	t.list, t.edit, t.fresh = list, list.Edit(), map[string][]*identity{}
}

// identity is the part of a package that is kept until the import ends: records
// may have megabytes.
type identity struct {
	key, title    string // as deb.Package has them
	version, arch string
}

func identify(p *deb.Package) *identity {
	return &identity{p.Key(), p.String(), strings.Clone(p.Version), strings.Clone(p.Architecture)}
}

// importer imports candidates.
type importer struct {
	store     *Store
	force     bool
	outcomes  []outcome // in processing order
	processed []upload.Upload
	failed    []string // paths that could not be collected
	warnings  []string // about them
}

// outcome is what became of a candidate, or of a .changes that was refused.
type outcome struct {
	upload  upload.Upload
	into    *target
	pkg     *identity // nil if it was not imported
	beside  []upload.Upload
	removed []string
	warning string
}

func (im *importer) fail(p, format string, args ...any) {
	im.failed = append(im.failed, p)
	im.warnings = append(im.warnings, fmt.Sprintf(format, args...))
}

// collect finds the candidates as they are now.
func (im *importer) collect(ctx context.Context, dir, name string) (candidates []upload.Upload, err error) {
	if name != "" {
		u, err := im.store.Uploads.Find(ctx, dir, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			p := upload.Path(dir, name)
			im.fail(p, "Unable to process %s: %v", p, err)
			return candidates, nil
		case err != nil:
			return nil, err
		case isPackage(name):
			candidates = append(candidates, u)
		case strings.HasSuffix(name, ".buildinfo"):
			im.processed = append(im.processed, u)
		default:
			im.fail(u.Path(), "Unknown file extension: %s", u.Path())
		}
		return candidates, nil
	}
	files, err := im.store.Uploads.List(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		p := upload.Path(dir)
		im.fail(p, "Unable to process %s: stat %s: no such file or directory", p, p)
		return candidates, nil
	}
	if err != nil {
		return nil, err
	}
	for _, u := range files {
		switch {
		case isPackage(u.Name):
			candidates = append(candidates, u)
		case strings.HasSuffix(u.Name, ".buildinfo"):
			im.processed = append(im.processed, u)
		}
	}
	return candidates, nil
}

func isPackage(name string) bool {
	return slices.Contains([]string{".deb", ".udeb", ".ddeb", ".dsc"}, path.Ext(name))
}

// importAll imports candidates into a repository: with a release only what its
// .changes announces, from the files that this lists.
func (im *importer) importAll(ctx context.Context, into *target, candidates []upload.Upload, from *release) error {
	for batch := range slices.Chunk(candidates, maxBatch) {
		if err := im.importBatch(ctx, into, batch, from); err != nil {
			return err
		}
	}
	return nil
}

// maxHeld is how many bytes of rows or of packages wait to be stored.
const maxHeld = 16 << 20

// candidate is an uploaded package that was read.
type candidate struct {
	outcome outcome
	pkg     *deb.Package // nil if it cannot be imported
	row     driver.Row   // of its record
}

// importBatch reads candidates, several at a time, and stores their files and
// records.
func (im *importer) importBatch(ctx context.Context, into *target, batch []upload.Upload, from *release) error {
	rows := rowWriter{table: im.store.Table, stored: map[string]bool{}}
	pipe := parallel.Pipe[upload.Upload, candidate]{
		Workers: maxWorkers, Budget: im.store.Pool.Memory, Weight: weight,
		Work: func(ctx context.Context, lease *parallel.Lease, u upload.Upload) (candidate, error) {
			c := candidate{outcome: outcome{upload: u, into: into}}
			var err error
			c.pkg, c.row, err = im.store.importOne(ctx, lease, u, &c.outcome, from)
			if bad := (*badFile)(nil); errors.As(err, &bad) {
				c.pkg, c.outcome.warning = nil, bad.warning
				return c, nil
			}
			if err != nil {
				err = fmt.Errorf("unable to import package files: %w", err)
			}
			return c, err
		},
		Use: func(ctx context.Context, c candidate) error {
			if c.pkg == nil {
				im.outcomes = append(im.outcomes, c.outcome)
				return nil
			}
			if err := rows.add(ctx, c.row); err != nil {
				return err
			}
			c.outcome.pkg = identify(c.pkg)
			if err := im.put(ctx, c.pkg, &c.outcome); err != nil {
				return err
			}
			im.outcomes = append(im.outcomes, c.outcome)
			if into.edit.Size() < maxHeld {
				return nil
			}
			return im.apply(ctx, into)
		},
	}
	err := pipe.Run(ctx, func(yield func(upload.Upload, error) bool) {
		for _, u := range batch {
			if !yield(u, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return rows.flush(ctx)
}

// weight is how many bytes it takes to read a candidate.
func weight(u upload.Upload) int64 {
	if strings.HasSuffix(u.Name, ".dsc") {
		return readText * min(u.File.Size, maxDsc)
	}
	return deb.BinaryMemory
}

// rowWriter puts rows many at a time, each key once.
type rowWriter struct {
	table  driver.Table
	stored map[string]bool
	rows   []driver.Row
	size   int // bytes of rows
}

func (w *rowWriter) add(ctx context.Context, row driver.Row) error {
	if w.stored[row.Sort] {
		return nil
	}
	w.stored[row.Sort] = true
	w.rows, w.size = append(w.rows, row), w.size+len(row.Data)
	if w.size < maxHeld {
		return nil
	}
	return w.flush(ctx)
}

func (w *rowWriter) flush(ctx context.Context) error {
	if len(w.rows) == 0 {
		return nil
	}
	err := w.table.Put(ctx, w.rows...)
	w.rows, w.size = nil, 0
	return err
}

// put has the package added to the list, and with force first removed what is
// in its way: the same name, an equal version, and the same architecture or,
// unless it is a source package, "all".
func (im *importer) put(ctx context.Context, p *deb.Package, o *outcome) error {
	into := o.into
	if im.force {
		inTheWay := func(old *identity) bool {
			return deb.CompareVersions(old.version, p.Version) == 0 &&
				(old.arch == p.Architecture || old.arch == deb.AllArch && p.Kind != deb.Source)
		}
		remove := func(old *identity) {
			into.edit.Remove(deb.Key{Architecture: old.arch, Name: p.Name, Version: old.version})
			o.removed = append(o.removed, old.title+" removed due to conflict with package being added")
		}
		for old, err := range into.list.ByName(ctx, p.Name) {
			if err != nil {
				return err
			}
			if old := identify(old); inTheWay(old) {
				remove(old)
			}
		}
		for _, old := range into.fresh[p.Name] {
			if inTheWay(old) {
				remove(old)
			}
		}
		into.fresh[strings.Clone(p.Name)] = append(into.fresh[p.Name], o.pkg)
	}
	return into.edit.Add(p)
}

// apply makes the new list of a repository, and goes on with it; packages that conflict are left out
// of it and become warnings.
func (im *importer) apply(ctx context.Context, t *target) error {
	conflicts := map[string]bool{} // by full key
	changed, err := t.edit.Apply(ctx, func(c *pkglist.ConflictError) error {
		conflicts[c.Added.Key()] = true
		return nil
	})
	if err != nil {
		return err
	}
	for i := range im.outcomes {
		o := &im.outcomes[i]
		if o.into == t && o.pkg != nil && conflicts[o.pkg.key] {
			o.warning = fmt.Sprintf("Unable to add package: package already exists and is different: %s", o.pkg.title)
			o.pkg = nil
		}
	}
	t.repo.List = changed.Ref()
	t.goOn(changed)
	return nil
}

// done sums up what was imported.
func (im *importer) done() imported {
	d := imported{Result: ImportResult{
		FailedFiles: append([]string{}, im.failed...),
		Report:      Report{Warnings: append([]string{}, im.warnings...), Added: []string{}, Removed: []string{}},
	}}
	for _, o := range im.outcomes {
		d.Result.Report.Removed = append(d.Result.Report.Removed, o.removed...)
		if o.warning != "" {
			d.Result.FailedFiles = append(d.Result.FailedFiles, o.upload.Path())
			d.Result.Report.Warnings = append(d.Result.Report.Warnings, o.warning)
			continue
		}
		d.Result.Report.Added = append(d.Result.Report.Added, o.pkg.title+" added")
		im.processed = append(append(im.processed, o.upload), o.beside...)
	}
	seen := map[string]bool{}
	for _, u := range im.processed {
		if !seen[u.Path()] {
			seen[u.Path()] = true
			d.Files = append(d.Files, file{u.Dir, u.Name, u.Blob})
		}
	}
	return d
}

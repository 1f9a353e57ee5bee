package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"aptless/core/archive/source"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// IncludeArgs are the arguments of an import of what .changes files announce.
type IncludeArgs struct {
	UUID            string // of the repository; "" if Name is a template
	Name            string // of the repository, or a template of it
	Dir, File       string // File is "" for the whole directory
	NoRemove        bool   // keep the uploaded files
	ForceReplace    bool   // remove conflicting packages from the repository
	AcceptUnsigned  bool   // take .changes that are not signed
	IgnoreSignature bool   // do not look at signatures
}

// Limits of one inclusion.
const (
	maxChanges    = 2000     // .changes files
	maxChangesLen = 16 << 20 // bytes of one
	maxTargets    = 40       // repositories: their rows and locks are written together
	maxKept       = 32 << 20 // bytes that are kept of all .changes
)

// fileMemory is how many bytes a file takes that a .changes lists, without its
// names: a deb.File and an upload.Upload.
const fileMemory = 1 << 10

// CheckInclude makes the task that imports what .changes files announce.
func (s *Store) CheckInclude(ctx context.Context, args IncludeArgs) (task.Spec, error) {
	name, err := parseTemplate(args.Name)
	if err != nil {
		return task.Spec{}, err
	}
	locks := []lock.Want{{Resource: "uploads/" + args.Dir}}
	if name.literal {
		r, err := s.find(ctx, args.Name)
		if err != nil {
			return task.Spec{}, err
		}
		args.UUID = r.UUID
		locks = append(locks, s.Rows().Lock(r.UUID, lock.Exclusive))
	}
	what := "files in dir " + args.Dir
	if args.File != "" {
		what = "file " + args.File + " from dir " + args.Dir
	}
	return task.Spec{
		Kind:      "repo.include",
		Name:      fmt.Sprintf("Include packages from changes %s to repo matching template %s", what, args.Name),
		Resources: args.resources(), Locks: locks, Args: args,
	}, nil
}

// resources are the task's as clients see them.
func (args IncludeArgs) resources() []string {
	from := upload.Path(args.Dir)
	if args.File != "" {
		from = upload.Path(args.Dir, args.File)
	}
	if args.UUID != "" {
		return []string{source.Repo.Resource(args.UUID), from}
	}
	return []string{"__alllocalrepos__", from}
}

// release is a .changes that was read, with the files that it lists as they
// were then.
type release struct {
	upload  upload.Upload
	changes *deb.Changes
	files   map[string]upload.Upload // by base name
	signers []pgp.KeyID
	repo    string // name of the repository it is meant for
	uuid    string
	refusal string // why it is not imported; "" if it is
}

// find returns a file beside another: of a release one that it lists, else any.
func (r *release) find(ctx context.Context, from *upload.Store, dir, name string) (upload.Upload, error) {
	if r == nil {
		return from.Find(ctx, dir, name)
	}
	if u, ok := r.files[path.Base(name)]; ok {
		return u, nil
	}
	return upload.Upload{}, upload.Missing("stat", upload.Path(dir, name))
}

// include imports what .changes files announce. A template names repositories
// that are only known when the files are read: their locks are asked for then,
// and all is read again under them.
func (s *Store) include(ctx context.Context, a *task.Attempt, args IncludeArgs) (task.Result, error) {
	var done imported
	if ok, err := a.Cursor(&done); err != nil {
		return task.Result{}, err
	} else if ok {
		return s.finishImport(ctx, a, args.Dir, args.NoRemove, done)
	}
	lease, err := s.Memory.Acquire(ctx, maxKept)
	if err != nil {
		return task.Result{}, err
	}
	defer lease.Release()
	im := &importer{store: s, force: args.ForceReplace}
	releases, err := s.releases(ctx, im, args)
	if err != nil {
		return task.Result{}, err
	}
	locks := []lock.Want{{Resource: "uploads/" + args.Dir}}
	missing := false
	for _, r := range releases {
		if w := s.Rows().Lock(r.uuid, lock.Exclusive); r.uuid != "" && !slices.Contains(locks, w) {
			locks = append(locks, w)
			missing = missing || !a.Holds(w)
		}
	}
	if len(locks)-1 > maxTargets {
		return task.Result{}, task.Fail(500, "unable to import changes files: they are for more than %d repositories", maxTargets)
	}
	if missing {
		return task.Result{}, &task.Relock{Locks: locks, Resources: args.resources()}
	}
	targets, err := s.importReleases(ctx, a, im, releases)
	if err != nil {
		return task.Result{}, err
	}
	return s.commitImport(ctx, a, im, args.Dir, args.NoRemove, targets...)
}

// importReleases imports the releases in their order. Every repository that
// they name is locked.
func (s *Store) importReleases(ctx context.Context, a *task.Attempt, im *importer, releases []*release) ([]*target, error) {
	var targets []*target
	for _, r := range releases {
		if r.refusal != "" {
			im.outcomes = append(im.outcomes, outcome{upload: r.upload, warning: r.refusal})
			continue
		}
		i := slices.IndexFunc(targets, func(t *target) bool { return t.repo.UUID == r.uuid })
		if i < 0 {
			repo, err := s.read(ctx, a, r.uuid, r.repo, 500, "unable to import changes files: unable to load repo: %w")
			if err != nil {
				return nil, err
			}
			t, err := s.target(ctx, repo)
			if err != nil {
				return nil, err
			}
			i, targets = len(targets), append(targets, t)
		}
		if err := im.importAll(ctx, targets[i], r.candidates(im), r); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// candidates returns the packages that the release lists, in ascending order.
// What goes with them is processed.
func (r *release) candidates(im *importer) []upload.Upload {
	var packages []upload.Upload
	im.processed = append(im.processed, r.upload)
	for _, f := range r.changes.Files {
		u := r.files[f.Name]
		switch {
		case isPackage(f.Name):
			packages = append(packages, u)
		case strings.HasSuffix(f.Name, ".buildinfo"):
			im.processed = append(im.processed, u)
		}
	}
	return packages
}

// releases reads the .changes files as they are now, several at a time.
func (s *Store) releases(ctx context.Context, im *importer, args IncludeArgs) ([]*release, error) {
	files, err := im.collectChanges(ctx, args.Dir, args.File)
	if err != nil {
		return nil, err
	}
	if len(files) > maxChanges {
		return nil, task.Fail(500, "unable to import changes files: there are more than %d", maxChanges)
	}
	name, err := parseTemplate(args.Name)
	if err != nil {
		return nil, err
	}
	ring := &pgp.Keyring{}
	if !args.IgnoreSignature && len(files) > 0 {
		if ring, err = s.Keyring(ctx, nil); err != nil {
			return nil, err
		}
	}
	var kept atomic.Int64 // bytes
	return parallel.Results(ctx, maxWorkers, len(files), func(ctx context.Context, i int) (*release, error) {
		lease, err := s.Pool.Memory.Acquire(ctx, readText*min(files[i].File.Size, maxChangesLen))
		if err != nil {
			return nil, err
		}
		defer lease.Release()
		r := &release{upload: files[i]}
		if err = s.readRelease(ctx, r, args, ring); err == nil {
			err = s.resolve(ctx, r, args, name)
		}
		if bad := (*badFile)(nil); errors.As(err, &bad) {
			return &release{upload: files[i], refusal: fmt.Sprintf("unable to process file %s: %s", path.Base(r.upload.Name), bad.warning)}, nil
		}
		if err == nil && kept.Add(r.compact()) > maxKept {
			err = task.Fail(500, "unable to import changes files: they list too many files together: include fewer of them at a time")
		}
		return r, err
	})
}

// compact keeps of a .changes what is needed to import it: its text may have
// megabytes. It returns the bytes that are kept.
func (r *release) compact() int64 {
	if r.refusal != "" {
		r.changes, r.files = nil, nil
		return 0
	}
	from, size := r.changes, 0
	keep := func(text string) string {
		size += len(text) + 16
		return strings.Clone(text)
	}
	keepAll := func(texts []string) []string {
		texts = slices.Clone(texts)
		for i := range texts {
			texts[i] = keep(texts[i])
		}
		return texts
	}
	r.changes = &deb.Changes{Source: keep(from.Source), Distribution: keep(from.Distribution),
		Architectures: keepAll(from.Architectures), Binaries: keepAll(from.Binaries)}
	files := make(map[string]upload.Upload, len(r.files))
	for _, f := range from.Files {
		name := keep(f.Name)
		r.changes.Files = append(r.changes.Files, deb.File{Name: name})
		files[name] = r.files[f.Name]
		size += len(name) + fileMemory
	}
	r.files = files
	return int64(size)
}

// collectChanges finds the .changes files as they are now, in ascending order.
func (im *importer) collectChanges(ctx context.Context, dir, name string) ([]upload.Upload, error) {
	missing := func(err error, names ...string) ([]upload.Upload, error) {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		p := upload.Path(names...)
		im.fail(p, "Unable to process %s: stat %s: no such file or directory", p, p)
		return nil, nil
	}
	isChanges := func(u upload.Upload) bool { return strings.HasSuffix(u.Name, ".changes") }
	if name == "" {
		files, err := im.store.Uploads.List(ctx, dir)
		if err != nil {
			return missing(err, dir)
		}
		return slices.DeleteFunc(files, func(u upload.Upload) bool { return !isChanges(u) }), nil
	}
	u, err := im.store.Uploads.Find(ctx, dir, name)
	if err != nil {
		return missing(err, dir, name)
	}
	if !isChanges(u) {
		return nil, nil
	}
	return []upload.Upload{u}, nil
}

// readRelease reads a .changes, checks who has signed it and that the files it
// lists are there as it says. A *badFile says why it is refused.
func (s *Store) readRelease(ctx context.Context, r *release, args IncludeArgs, ring *pgp.Keyring) error {
	if r.upload.File.Size > maxChangesLen {
		return bad("%d bytes are too many for a .changes", r.upload.File.Size)
	}
	data, err := s.readUpload(ctx, r.upload)
	if err != nil {
		return err
	}
	text, signed, err := pgp.StripClearsign(data)
	switch {
	case err == nil && !signed && !args.AcceptUnsigned:
		return bad(".changes file is not signed and unsigned processing hasn't been enabled")
	case (err != nil || signed) && !args.IgnoreSignature:
		var sigs []pgp.Signature
		if text, sigs, err = ring.VerifyClearsigned(data, s.Now()); err != nil {
			return bad("%v", pgp.Refused("clearsigned file", err))
		}
		for _, sig := range sigs {
			r.signers = append(r.signers, sig.Signer())
		}
	case err != nil:
		return bad("%v", err)
	}
	p, err := deb.ParseParagraph(string(text), deb.ModeControl)
	if err == nil {
		r.changes, err = deb.ParseChanges(p)
	}
	if err != nil {
		return bad("%v", err)
	}
	return s.findListed(ctx, r)
}

func (s *Store) readUpload(ctx context.Context, u upload.Upload) ([]byte, error) {
	body, err := s.Uploads.Open(ctx, u)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// findListed finds the files that a release lists, beside its .changes.
func (s *Store) findListed(ctx context.Context, r *release) error {
	dir, _ := path.Split(r.upload.Name)
	r.files = make(map[string]upload.Upload, len(r.changes.Files))
	for _, f := range r.changes.Files {
		u, err := s.Uploads.Find(ctx, r.upload.Dir, dir+f.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return bad("%v", upload.Missing("open", upload.Path(r.upload.Dir, dir+f.Name)))
		}
		if err == nil {
			u, err = s.Uploads.Complete(ctx, u)
		}
		if errors.Is(err, driver.ErrDigest) {
			return bad("%v", err)
		}
		if err != nil {
			return err
		}
		if err := f.Verify(u.File); err != nil {
			return bad("%v", err)
		}
		r.files[f.Name] = u
	}
	return nil
}

// resolve finds the repository that a release is meant for, and looks whether
// the signers may upload there.
func (s *Store) resolve(ctx context.Context, r *release, args IncludeArgs, name *nameTemplate) error {
	if args.UUID != "" {
		found, err := s.Rows().ByUUID(ctx, s.Rows().Get, args.UUID, args.Name)
		found.UUID = args.UUID
		return r.meantFor(found, err)
	}
	rendered, err := name.render(r.changes.Paragraph)
	if err != nil {
		return task.Fail(500, "unable to import changes files: error applying template to repo: %w", err)
	}
	found, err := s.ByName(ctx, rendered)
	return r.meantFor(found, err)
}

func (r *release) meantFor(found Repo, err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		return bad("%v", err)
	}
	if err != nil {
		return err
	}
	r.repo, r.uuid = found.Name, found.UUID
	return found.Uploaders.check(r)
}

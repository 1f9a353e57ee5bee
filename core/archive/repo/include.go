package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
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

// IncludeArgs are the arguments of an inclusion: the import of uploads that
// .changes files announce.
type IncludeArgs struct {
	UUID            string // of the repository; "" if Name is a template
	Name            string // of the repository, or a template for it
	Dir, File       string // "" for the whole directory
	NoRemove        bool   // keep the uploaded files
	ForceReplace    bool   // remove conflicting packages from the repository
	AcceptUnsigned  bool   // accept unsigned .changes
	IgnoreSignature bool   // skip the check of signatures
}

// Limits of one inclusion.
const (
	maxChanges    = 2000     // .changes files
	maxChangesLen = 16 << 20 // bytes of one
	maxTargets    = 40       // repositories; one transaction writes all their rows and locks

	// maxKept bounds the .changes that stay in memory, in bytes. The others are
	// read again.
	maxKept = 32 << 20
)

// CheckInclude makes the task of an inclusion.
func (s *Store) CheckInclude(ctx context.Context, args IncludeArgs) (task.Spec, error) {
	name, err := parseTemplate(args.Name)
	if err != nil {
		return task.Spec{}, err
	}
	locks := []lock.Want{{Resource: upload.Lock(args.Dir)}}
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

// resources returns the resources of the task that clients see.
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

// include imports the files that .changes files announce. With a template,
// reading the files reveals the repositories. Then the task asks for their locks
// and reads everything again.
func (s *Store) include(ctx context.Context, a *task.Attempt, args IncludeArgs) (task.Result, error) {
	im, err := s.importer(ctx, a, args.Dir, args.ForceReplace, args.NoRemove)
	if err != nil || im.cursor.Committed {
		return im.finish(ctx, err)
	}
	lease, err := s.Memory.Acquire(ctx, maxKept)
	if err != nil {
		return task.Result{}, err
	}
	defer lease.Release()
	in := &inclusion{importer: im, args: args, listed: map[string]bool{}, permitted: map[string]bool{}}
	if err := in.read(ctx); err != nil {
		return task.Result{}, err
	}
	locks := []lock.Want{{Resource: upload.Lock(args.Dir)}}
	missing := false
	for _, r := range in.releases {
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
	if len(im.cursor.Parts) == 0 { // else an earlier slice has reported
		im.unsaved.addOthers(collection{failed: in.failed})
	}
	for _, r := range in.releases {
		if err := in.release(ctx, r); err != nil {
			return task.Result{}, err
		}
	}
	return im.commit(ctx, in.ignored)
}

// inclusion is an importer for .changes files.
type inclusion struct {
	*importer
	collection
	args     IncludeArgs
	template *nameTemplate
	ring     *pgp.Keyring
	releases []*release // ascending by path

	mu         sync.Mutex      // guards the fields after it while releases are read
	listed     map[string]bool // paths of files that a .changes lists; true if that was accepted
	unreadable bool            // the list of a .changes is unreadable
	permitted  map[string]bool // by name of a repository: the result of may
}

// release imports one release. All named repositories are locked.
func (in *inclusion) release(ctx context.Context, r *release) error {
	if r.upload.Path() < in.cursor.Release {
		return nil // an earlier slice imported it
	}
	begun := in.cursor.Release == r.upload.Path() && in.cursor.ReleaseBlob == r.upload.Blob
	if !begun {
		in.cursor.Release, in.cursor.ReleaseBlob, in.cursor.After = r.upload.Path(), r.upload.Blob, ""
	}
	if r.refusal == "" && r.changes == nil {
		if err := in.readAgain(ctx, r); err != nil {
			return err
		}
	}
	if r.refusal != "" {
		if !begun {
			in.refuse(r.upload, r.refusal)
		}
		return nil
	}
	in.accept(r.files)
	into, err := in.target(ctx, r.uuid, r.repo, "unable to import changes files: unable to load repo: %w")
	if err != nil {
		return err
	}
	candidates := r.candidates()
	if !begun {
		in.unsaved.addImported(r.upload)
		in.unsaved.addImported(candidates.processed...)
	}
	for batch := range batches(candidates.candidates, in.cursor.After, in.limit) {
		if err := in.checkpoint(ctx); err != nil {
			return err
		}
		in.attempt.Phase("packages")
		if err := in.batch(ctx, into, batch, r); err != nil {
			return err
		}
		in.cursor.After = batch[len(batch)-1].Name
	}
	if r.trimmed {
		r.changes, r.files = nil, nil
	}
	return nil
}

// accept notes the files of an accepted .changes.
func (in *inclusion) accept(files map[string]upload.Upload) {
	for _, u := range files {
		if _, other := in.listed[u.Path()]; other {
			in.listed[u.Path()] = true
		}
	}
}

// candidates returns the listed packages in ascending order, and the files beside
// them.
func (r *release) candidates() collection {
	var c collection
	for _, f := range r.changes.Files {
		c.add(r.files[f.Name])
	}
	return c
}

// ignored returns a line for each file of the directory that was neither imported
// nor reported with a .changes or a package.
func (in *inclusion) ignored(taken map[string]bool) []string {
	var lines []string
	for _, u := range in.others {
		p := u.Path()
		accepted, listed := in.listed[p]
		switch {
		case taken[p], listed && !accepted, listed && isPackage(u.Name):
		case listed:
			lines = append(lines, fmt.Sprintf("Ignored file %s: it is no package, and no imported .dsc names it", p))
		case !in.unreadable:
			lines = append(lines, fmt.Sprintf("Ignored file %s: no .changes lists it", p))
		}
	}
	return lines
}

// noteListed notes the files that a .changes lists, also if it is refused later.
func (in *inclusion) noteListed(r *release, text []byte) {
	var c *deb.Changes
	p, err := deb.ParseParagraph(string(text), deb.ModeControl)
	if err == nil {
		c, err = deb.ParseChanges(p)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if err != nil || len(c.Files) == 0 {
		in.unreadable = true
		return
	}
	dir, _ := path.Split(r.upload.Name)
	for _, f := range c.Files {
		p := upload.Path(r.upload.Dir, dir+f.Name)
		_, found := slices.BinarySearchFunc(in.others, p, func(u upload.Upload, p string) int { return strings.Compare(u.Path(), p) })
		if _, listed := in.listed[p]; found && !listed {
			in.listed[p] = false // not accepted yet
		}
	}
}

// read reads the .changes files concurrently.
func (in *inclusion) read(ctx context.Context) error {
	s, args := in.store, in.args
	files, err := in.collectChanges(ctx)
	if err != nil {
		return err
	}
	if len(files) > maxChanges {
		return task.Fail(500, "unable to import changes files: there are more than %d", maxChanges)
	}
	if in.template, err = parseTemplate(args.Name); err != nil {
		return err
	}
	in.ring = &pgp.Keyring{}
	if !args.IgnoreSignature && len(files) > 0 {
		if in.ring, err = s.Keyring(ctx, nil); err != nil {
			return err
		}
	}
	in.releases = make([]*release, len(files))
	var kept atomic.Int64
	return parallel.Each(ctx, maxWorkers, len(files), func(ctx context.Context, i int) error {
		lease, err := s.Pool.Memory.Acquire(ctx, readText*min(files[i].File.Size, maxChangesLen))
		if err != nil {
			return err
		}
		defer lease.Release()
		r := &release{upload: files[i]}
		in.releases[i] = r
		if err := in.readRelease(ctx, r); err != nil {
			return err
		}
		if kept.Add(r.compact()) > maxKept {
			r.changes, r.files, r.trimmed = nil, nil, true
		}
		return nil
	})
}

// readAgain reads a trimmed release.
func (in *inclusion) readAgain(ctx context.Context, r *release) error {
	lease, err := in.store.Pool.Memory.Acquire(ctx, readText*min(r.upload.File.Size, maxChangesLen))
	if err != nil {
		return err
	}
	defer lease.Release()
	if err := in.readRelease(ctx, r); err != nil {
		return err
	}
	r.compact()
	return nil
}

// readRelease reads a release and finds its repository, or sets the reason of a
// refusal.
func (in *inclusion) readRelease(ctx context.Context, r *release) error {
	r.signers = nil
	err := in.verify(ctx, r)
	if err == nil {
		err = in.resolve(ctx, r)
	}
	if bad := (*badFile)(nil); errors.As(err, &bad) {
		r.uuid, r.refusal = "", fmt.Sprintf("unable to process file %s: %s", path.Base(r.upload.Name), bad.warning)
		return nil
	}
	return err
}

// verify reads a .changes, checks its signature, and checks that its files are
// uploaded as listed. A *badFile is the reason of a refusal.
func (in *inclusion) verify(ctx context.Context, r *release) error {
	s := in.store
	if r.upload.File.Size > maxChangesLen {
		in.noteListed(r, nil)
		return bad("%d bytes are too many for a .changes", r.upload.File.Size)
	}
	data, err := s.readUpload(ctx, r.upload)
	if err != nil {
		return err
	}
	text, signed, err := pgp.StripClearsign(data)
	in.noteListed(r, text)
	switch {
	case err == nil && !signed && !in.args.AcceptUnsigned:
		return bad(".changes file is not signed and unsigned processing hasn't been enabled")
	case (err != nil || signed) && !in.args.IgnoreSignature:
		var sigs []pgp.Signature
		if text, sigs, err = in.ring.VerifyClearsigned(data, s.Now()); err != nil {
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
	if len(r.changes.Files) == 0 {
		return bad("it lists no files: the fields Checksums-Sha256 and Files are absent or empty")
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

// findListed finds the listed files of a release in the directory of its
// .changes.
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

// resolve finds the repository of a release, and checks that the signers may
// upload there.
func (in *inclusion) resolve(ctx context.Context, r *release) error {
	s, args := in.store, in.args
	if args.UUID != "" {
		found, err := s.Rows().ByUUID(ctx, s.Rows().Get, args.UUID, args.Name)
		found.UUID = args.UUID
		return r.meantFor(found, err)
	}
	rendered, err := in.template.render(r.changes.Paragraph)
	if err != nil {
		return task.Fail(500, "unable to import changes files: error applying template to repo: %w", err)
	}
	if may, err := in.may(ctx, rendered); err != nil || !may {
		return cmp.Or(err, r.meantFor(Repo{}, s.Rows().Missing(rendered)))
	}
	found, err := s.ByName(ctx, rendered)
	return r.meantFor(found, err)
}

// may reports whether the principal may include into a repository that a .changes has
// named. A repository that it may not use is as if there were none.
func (in *inclusion) may(ctx context.Context, name string) (bool, error) {
	if in.store.May == nil {
		return true, nil
	}
	in.mu.Lock()
	may, known := in.permitted[name]
	in.mu.Unlock()
	if known {
		return may, nil
	}
	for _, can := range in.args.Permissions() {
		var err error
		if may, err = in.store.May(ctx, in.attempt.By(), can, name); err != nil {
			return false, err
		}
		if !may {
			break
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.permitted[name] = may
	return may, nil
}

// Permissions returns the permissions on its repository that an inclusion needs. One
// that leaves signatures and the rules for uploaders aside is an import.
func (args IncludeArgs) Permissions() []string {
	list := []string{"repo.include"}
	if args.ForceReplace {
		list = append(list, "repo.write")
	}
	if args.AcceptUnsigned || args.IgnoreSignature {
		list = append(list, "repo.import")
	}
	return list
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

// collectChanges collects the .changes files in ascending order, and the other
// files.
func (in *inclusion) collectChanges(ctx context.Context) ([]upload.Upload, error) {
	s, dir, name := in.store, in.args.Dir, in.args.File
	isChanges := func(u upload.Upload) bool { return strings.HasSuffix(u.Name, ".changes") }
	if name == "" {
		files, err := s.Uploads.List(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) {
			in.failed = append(in.failed, noSuchFile(dir))
			return nil, nil
		}
		for _, u := range files {
			if !isChanges(u) {
				in.others = append(in.others, u)
			}
		}
		return slices.DeleteFunc(files, func(u upload.Upload) bool { return !isChanges(u) }), err
	}
	u, err := s.Uploads.Find(ctx, dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		in.failed = append(in.failed, noSuchFile(dir, name))
		return nil, nil
	}
	if err != nil || !isChanges(u) {
		return nil, err
	}
	return []upload.Upload{u}, nil
}

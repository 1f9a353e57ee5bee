package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"aptless/core/archive/pool"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// badFile says that a candidate cannot be imported; the task goes on.
type badFile struct{ warning string }

func (e *badFile) Error() string { return e.warning }

func bad(format string, args ...any) error { return &badFile{fmt.Sprintf(format, args...)} }

// maxDsc bounds a .dsc file, in bytes.
const maxDsc = 16 << 20

// readText is how many bytes it takes to read a signed text for each of its own:
// the file, the text without the signature, a string of it, and fields made of it.
const readText = 4

// weight returns how many bytes it takes to read a candidate.
func weight(u upload.Upload) int64 {
	if strings.HasSuffix(u.Name, ".dsc") {
		return readText * min(u.File.Size, maxDsc)
	}
	return deb.BinaryMemory
}

// result is a candidate that was read: a package, or why it is refused.
type result struct {
	upload  upload.Upload
	record  pool.Record     // its Paths are gone once the record is stored
	beside  []upload.Upload // files that a .dsc names
	refusal string          // "" if the package can be added
	notes   []string        // what is odd about a package that can be added
}

// read reads a candidate. With a release, the package must be one that its
// .changes announces. An error is one of the storage.
func (s *Store) read(ctx context.Context, lease *parallel.Lease, u upload.Upload, from *release) (result, error) {
	res := result{upload: u}
	var err error
	if strings.HasSuffix(u.Name, ".dsc") {
		err = s.readSource(ctx, &res, from)
	} else {
		err = s.readBinary(ctx, lease, &res)
	}
	switch refused := (*badFile)(nil); {
	case errors.Is(err, deb.ErrNoName):
		res.refusal = "Empty package name on " + u.Path()
	case errors.Is(err, deb.ErrNoVersion):
		res.refusal = "Empty version on " + u.Path()
	case errors.Is(err, deb.ErrNoArchitecture):
		res.refusal = "Empty architecture on " + u.Path()
	case errors.As(err, &refused):
		res.refusal = refused.warning
	case err != nil:
		return res, err
	case from != nil && !from.changes.Accepts(res.record.Package):
		res.refusal = fmt.Sprintf("%v has been ignored as it doesn't match restriction", res.record.Package)
	}
	return res, nil
}

func (s *Store) readBinary(ctx context.Context, lease *parallel.Lease, res *result) error {
	u := res.upload
	r, err := s.Uploads.Open(ctx, u)
	if err != nil {
		return err
	}
	defer r.Close()
	c, err := s.Pool.Unpack(ctx, lease, r, u.Path())
	if errors.Is(err, deb.ErrArchive) { // damaged ones, too
		return unable(u, err)
	}
	if err != nil {
		return err // of the storage, not of the package
	}
	res.record = pool.Record{Paths: pool.PathsOf(c.Paths), NoPaths: c.NoPaths}
	for _, text := range c.Warnings {
		res.notes = append(res.notes, fmt.Sprintf("File %s is odd: %s", u.Path(), text))
	}
	p, err := deb.ParseParagraph(string(c.Control), deb.ModeControl)
	if err != nil {
		return unable(u, err)
	}
	kind := deb.Binary
	if strings.HasSuffix(u.Name, ".udeb") {
		kind = deb.Udeb
	}
	f, err := ownFile(r, u)
	if err != nil {
		return err
	}
	pkg, err := deb.BinaryPackage(p, kind, f)
	if err == nil {
		if name := fileName(pkg, f.Name); name != f.Name {
			f.Name = name
			pkg, err = deb.BinaryPackage(p, kind, f)
		}
	}
	res.record.Package = pkg
	return unlessEmpty(u, err)
}

// ownFile returns the file of a package that has one, as it was received. A
// *badFile says that it is not the file that was announced.
func ownFile(r *upload.Reader, u upload.Upload) (deb.File, error) {
	f, err := r.File()
	if errors.Is(err, driver.ErrDigest) {
		return deb.File{}, unable(u, err)
	}
	f.Name = path.Base(u.Name)
	return f, err
}

// fileName returns the name that the .deb or .dsc of a package has in the pool.
// The uploaded name stays if it ends as policy's names do, in
// "_<version>_<architecture>.deb" or "_<version>.dsc", with the epoch left out
// (dpkg-name) or written "1%3a" (apt). Else the name is policy's. So two
// versions that are uploaded as hello.deb have two names.
func fileName(p *deb.Package, uploaded string) string {
	ending := "_" + p.Architecture + path.Ext(uploaded)
	if p.Kind == deb.Source {
		ending = ".dsc"
	}
	version := p.Version
	if epoch, rest, found := strings.Cut(version, ":"); found {
		if strings.HasSuffix(uploaded, "_"+epoch+"%3a"+rest+ending) {
			return uploaded
		}
		version = rest
	}
	ending = "_" + version + ending
	if strings.HasSuffix(uploaded, ending) || deb.CheckFileName(p.Name+ending) != nil { // longer than the pool can have
		return uploaded
	}
	return p.Name + ending
}

func unable(u upload.Upload, err error) error {
	return bad("Unable to read file %s: %v", u.Path(), err)
}

// unlessEmpty makes an error of a package's fields the candidate's, except
// those that have texts of their own.
func unlessEmpty(u upload.Upload, err error) error {
	if err == nil || errors.Is(err, deb.ErrNoName) || errors.Is(err, deb.ErrNoVersion) || errors.Is(err, deb.ErrNoArchitecture) {
		return err
	}
	return unable(u, err)
}

// readSource reads a .dsc and finds the files that it names, beside it or in
// the pool.
func (s *Store) readSource(ctx context.Context, res *result, from *release) error {
	u := res.upload
	if u.File.Size > maxDsc {
		return unable(u, fmt.Errorf("%d bytes are too many for a .dsc", u.File.Size))
	}
	r, err := s.Uploads.Open(ctx, u)
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	text, _, err := pgp.StripClearsign(data)
	if err != nil {
		return unable(u, err)
	}
	p, err := deb.ParseParagraph(string(text), deb.ModeControl)
	if err != nil {
		return unable(u, err)
	}
	own, err := ownFile(r, u)
	if err != nil {
		return err
	}
	pkg, err := deb.SourcePackage(p, own)
	if err == nil {
		if name := fileName(pkg, own.Name); name != own.Name {
			own.Name = name
			pkg, err = deb.SourcePackage(p, own)
		}
	}
	if err != nil {
		return unlessEmpty(u, err)
	}
	for _, f := range pkg.Files {
		if f.Name == own.Name {
			continue
		}
		found, err := s.sourceFile(ctx, res, f, from)
		if err != nil {
			return err
		}
		pkg.SetFile(found)
	}
	res.record.Package = pkg
	return nil
}

// sourceFile finds a file that a .dsc names: beside the .dsc, else in the pool
// by its SHA-256. It must have the size and the digests that the .dsc says:
// Sources then agrees with the .dsc, which dpkg-source checks.
func (s *Store) sourceFile(ctx context.Context, res *result, f deb.File, from *release) (deb.File, error) {
	u := res.upload
	dir, _ := path.Split(u.Name)
	p := upload.Path(u.Dir, dir+f.Name)
	beside, err := from.find(ctx, s.Uploads, u.Dir, dir+f.Name)
	if err == nil {
		beside, err = s.Uploads.Complete(ctx, beside)
	}
	if errors.Is(err, driver.ErrDigest) {
		return deb.File{}, unable(u, err)
	}
	if err == nil {
		if err := agrees(f, beside.File); err != nil {
			return deb.File{}, bad("Unable to import file %s into pool: it is not the file that %s names: %v", p, path.Base(u.Name), err)
		}
		res.beside = append(res.beside, beside)
		got := beside.File
		got.Name = f.Name
		return got, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return deb.File{}, err
	}
	missing := bad("Unable to import file %s into pool: %v", p, err)
	if f.SHA256 == "" {
		return deb.File{}, missing
	}
	h, err := s.Pool.Hash(ctx, f.SHA256, f.Name)
	if errors.Is(err, driver.ErrNotFound) {
		return deb.File{}, missing
	}
	if err != nil {
		return deb.File{}, err
	}
	if agrees(f, h) != nil {
		return deb.File{}, missing
	}
	return h, nil
}

// agrees returns an error unless got has the size and each digest that f says.
func agrees(f, got deb.File) error {
	f.MD5, f.SHA1, f.SHA256 = cmp.Or(f.MD5, got.MD5), cmp.Or(f.SHA1, got.SHA1), cmp.Or(f.SHA256, got.SHA256)
	return f.Verify(got)
}

// maxWorkers is how many candidates are read at the same time.
const maxWorkers = 8

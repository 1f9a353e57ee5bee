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

// badFile says why a candidate cannot be imported. The task continues.
type badFile struct{ warning string }

func (e *badFile) Error() string { return e.warning }

func bad(format string, args ...any) error { return &badFile{fmt.Sprintf(format, args...)} }

// maxDsc bounds a .dsc file, in bytes.
const maxDsc = 16 << 20

// readText is the memory of reading a signed text, as a multiple of its size. It
// covers the file, the text without the signature, a string of it, and the
// fields.
const readText = 4

// weight returns the memory of reading a candidate, in bytes.
func weight(u upload.Upload) int64 {
	if strings.HasSuffix(u.Name, ".dsc") {
		return readText * min(u.File.Size, maxDsc)
	}
	return deb.BinaryMemory
}

// result is a candidate after reading: a package, or a refusal.
type result struct {
	upload     upload.Upload
	record     pool.Record     // Paths are dropped once the record is stored
	otherFiles []upload.Upload // files that a .dsc lists
	refusal    string          // "" if the package can be added
	notes      []string        // faults of a package that can be added
}

// read reads a candidate. With a release, its .changes must announce the package.
// An error is one of the storage.
func (s *Store) read(ctx context.Context, lease *parallel.Lease, u upload.Upload, from *release, borrow borrowing) (result, error) {
	res := result{upload: u}
	var err error
	if strings.HasSuffix(u.Name, ".dsc") {
		err = s.readSource(ctx, &res, from, borrow)
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
	if errors.Is(err, deb.ErrArchive) { // includes damaged packages
		return unable(u, err)
	}
	if err != nil {
		return err // an error of the storage
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
	res.upload.File.SHA256 = f.SHA256 // unknown of a file from the drop box
	pkg, err := deb.BinaryPackage(p, kind, f)
	if err == nil {
		if name := fileName(pkg, f.Name); name != f.Name {
			f.Name = name
			pkg, err = deb.BinaryPackage(p, kind, f)
		}
	}
	res.record.Package = pkg
	return fieldError(u, err)
}

// ownFile returns the single file of a package, as received. A *badFile says that
// it differs from its announcement.
func ownFile(r *upload.Reader, u upload.Upload) (deb.File, error) {
	f, err := r.File()
	if errors.Is(err, driver.ErrDigest) {
		return deb.File{}, unable(u, err)
	}
	f.Name = path.Base(u.Name)
	return f, err
}

// fileName returns the pool name of a package's .deb or .dsc. The uploaded name
// stays if it ends as policy requires, in "_<version>_<architecture>.deb" or
// "_<version>.dsc". The epoch may be absent (dpkg-name) or written "1%3a" (apt).
// Any other name is replaced by policy's. So two versions uploaded as hello.deb
// get two names.
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
	if strings.HasSuffix(uploaded, ending) || deb.CheckFileName(p.Name+ending) != nil { // too long for the pool
		return uploaded
	}
	return p.Name + ending
}

func unable(u upload.Upload, err error) error {
	return bad("Unable to read file %s: %v", u.Path(), err)
}

// fieldError turns an error of a package's fields into a badFile. Errors with
// texts of their own stay.
func fieldError(u upload.Upload, err error) error {
	if err == nil || errors.Is(err, deb.ErrNoName) || errors.Is(err, deb.ErrNoVersion) || errors.Is(err, deb.ErrNoArchitecture) {
		return err
	}
	return unable(u, err)
}

// readSource reads a .dsc and finds its files, in the directory or in the pool.
func (s *Store) readSource(ctx context.Context, res *result, from *release, borrow borrowing) error {
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
	res.upload.File.SHA256 = own.SHA256
	pkg, err := deb.SourcePackage(p, own)
	if err == nil {
		if name := fileName(pkg, own.Name); name != own.Name {
			own.Name = name
			pkg, err = deb.SourcePackage(p, own)
		}
	}
	if err != nil {
		return fieldError(u, err)
	}
	for _, f := range pkg.Files {
		if f.Name == own.Name {
			continue
		}
		found, err := s.sourceFile(ctx, res, f, from, borrow.of(pkg.Name))
		if err != nil {
			return err
		}
		pkg.SetFile(found)
	}
	res.record.Package = pkg
	return nil
}

// sourceFile finds a file of a .dsc: beside the .dsc, else in the pool by
// SHA-256. Size and digests must equal those in the .dsc, since dpkg-source
// checks them.
func (s *Store) sourceFile(ctx context.Context, res *result, f deb.File, from *release, borrow borrowing) (deb.File, error) {
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
		res.otherFiles = append(res.otherFiles, beside)
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
	if may, err := borrow.allows(ctx, f); err != nil || !may {
		return deb.File{}, cmp.Or(err, missing)
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

// agrees returns an error unless got has the size and each digest of f.
func agrees(f, got deb.File) error {
	f.MD5, f.SHA1, f.SHA256 = cmp.Or(f.MD5, got.MD5), cmp.Or(f.SHA1, got.SHA1), cmp.Or(f.SHA256, got.SHA256)
	return f.Verify(got)
}

// maxWorkers bounds the candidates that are read concurrently.
const maxWorkers = 8

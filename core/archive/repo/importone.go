package repo

import (
	"bytes"
	"context"
	"encoding/json"
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
	"aptless/core/engine/task"
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

// importOne reads a candidate, puts its files into the pool and returns the
// package and the row of its record. The lease has what weight says. A *badFile
// says that it cannot be imported.
func (s *Store) importOne(ctx context.Context, lease *parallel.Lease, u upload.Upload, o *outcome, from *release) (*deb.Package, driver.Row, error) {
	var rec pool.Record
	var err error
	if strings.HasSuffix(u.Name, ".dsc") {
		rec, err = s.readSource(ctx, u, o, from)
	} else {
		rec, err = s.readBinary(ctx, lease, u)
	}
	switch {
	case errors.Is(err, deb.ErrNoName):
		err = bad("Empty package name on %s", u.Path())
	case errors.Is(err, deb.ErrNoVersion):
		err = bad("Empty version on %s", u.Path())
	case errors.Is(err, deb.ErrNoArchitecture):
		err = bad("Empty architecture on %s", u.Path())
	case err == nil && from != nil && !from.changes.Accepts(rec.Package):
		err = bad("%v has been ignored as it doesn't match restriction", rec.Package)
	}
	if err != nil {
		return nil, driver.Row{}, err
	}
	for _, f := range append([]upload.Upload{u}, o.beside...) {
		if err := s.Uploads.Adopt(ctx, f); err != nil {
			return nil, driver.Row{}, err
		}
	}
	row, err := s.Pool.Row(ctx, rec)
	return rec.Package, row, err
}

func (s *Store) readBinary(ctx context.Context, lease *parallel.Lease, u upload.Upload) (pool.Record, error) {
	r, err := s.Uploads.Open(ctx, u)
	if err != nil {
		return pool.Record{}, err
	}
	defer r.Close()
	c, err := s.Pool.Unpack(ctx, lease, r, u.Path())
	if errors.Is(err, deb.ErrArchive) {
		return pool.Record{}, unable(u, err)
	}
	if err != nil {
		return pool.Record{}, err // of the storage, not of the package
	}
	rec := pool.Record{Paths: pool.PathsOf(c.Paths), NoPaths: c.NoPaths}
	p, err := deb.ParseParagraph(string(c.Control), deb.ModeControl)
	if err != nil {
		return pool.Record{}, unable(u, err)
	}
	kind := deb.Binary
	if strings.HasSuffix(u.Name, ".udeb") {
		kind = deb.Udeb
	}
	f, err := ownFile(r, u)
	if err != nil {
		return pool.Record{}, err
	}
	rec.Package, err = deb.BinaryPackage(p, kind, f)
	return rec, unlessEmpty(u, err)
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
func (s *Store) readSource(ctx context.Context, u upload.Upload, o *outcome, from *release) (pool.Record, error) {
	if u.File.Size > maxDsc {
		return pool.Record{}, unable(u, fmt.Errorf("%d bytes are too many for a .dsc", u.File.Size))
	}
	r, err := s.Uploads.Open(ctx, u)
	if err != nil {
		return pool.Record{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return pool.Record{}, err
	}
	text, _, err := pgp.StripClearsign(data)
	if err != nil {
		return pool.Record{}, unable(u, err)
	}
	p, err := deb.ParseParagraph(string(text), deb.ModeControl)
	if err != nil {
		return pool.Record{}, unable(u, err)
	}
	own, err := ownFile(r, u)
	if err != nil {
		return pool.Record{}, err
	}
	pkg, err := deb.SourcePackage(p, own)
	if err != nil {
		return pool.Record{}, unlessEmpty(u, err)
	}
	for _, f := range pkg.Files {
		if f.Name == own.Name {
			continue
		}
		found, err := s.sourceFile(ctx, u, f, o, from)
		if err != nil {
			return pool.Record{}, err
		}
		pkg.SetFile(found)
	}
	return pool.Record{Package: pkg}, nil
}

// sourceFile finds a file that a .dsc names: beside it, whatever the .dsc says
// of its digests, else in the pool under the digest that it says.
func (s *Store) sourceFile(ctx context.Context, u upload.Upload, f deb.File, o *outcome, from *release) (deb.File, error) {
	dir, _ := path.Split(u.Name)
	beside, err := from.find(ctx, s.Uploads, u.Dir, dir+f.Name)
	if err == nil {
		beside, err = s.Uploads.Complete(ctx, beside)
	}
	if errors.Is(err, driver.ErrDigest) {
		return deb.File{}, unable(u, err)
	}
	if err == nil {
		o.beside = append(o.beside, beside)
		got := beside.File
		got.Name = f.Name
		return got, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return deb.File{}, err
	}
	missing := bad("Unable to import file %s into pool: %v", upload.Path(u.Dir, dir+f.Name), err)
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
	if f.Verify(h) != nil {
		return deb.File{}, missing
	}
	return h, nil
}

// maxWorkers is how many candidates are read at the same time.
const maxWorkers = 8

// maxInline is the largest cursor of an import kept in the task's row, in bytes.
const maxInline = 32 << 10

// saveImport commits the new list together with what is left to do.
func (s *Store) saveImport(ctx context.Context, a *task.Attempt, done imported) error {
	data, err := json.Marshal(done)
	if err != nil {
		return err
	}
	if len(data) <= maxInline {
		return a.Save(ctx, done)
	}
	key := fmt.Sprintf("private/tasks/%d/imported-%d", a.ID(), a.Token())
	if _, err := s.Pool.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{}); err != nil {
		return err
	}
	return a.Save(ctx, imported{Blob: key})
}

// loadImport reads what saveImport has saved.
func (s *Store) loadImport(ctx context.Context, done imported) (imported, error) {
	if done.Blob == "" {
		return done, nil
	}
	r, _, err := s.Pool.Blobs.Open(ctx, done.Blob, nil)
	if err != nil {
		return imported{}, err
	}
	defer r.Close()
	var all imported
	err = json.NewDecoder(r).Decode(&all)
	return all, err
}

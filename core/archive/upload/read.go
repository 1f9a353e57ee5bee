package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Reader reads an uploaded file.
type Reader struct {
	io.ReadCloser
	upload Upload
	hash   *deb.Hasher // of the bytes read so far; nil if the digests are known
}

func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.hash != nil {
		r.hash.Write(p[:n])
	}
	return n, err
}

// File returns the size and all digests of the file. If they are unknown, it
// reads the rest of the file. The error is driver.ErrDigest if the bytes differ
// from the announcement.
func (r *Reader) File() (deb.File, error) {
	f := r.upload.File
	if r.hash == nil {
		return f, nil
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return deb.File{}, err
	}
	got := r.hash.File(f.Name)
	if got.SHA256 != f.SHA256 || got.Size != f.Size {
		return deb.File{}, fmt.Errorf("%s has the SHA-256 %s: %w", r.upload.Path(), got.SHA256, driver.ErrDigest)
	}
	return got, nil
}

// Open opens an uploaded file. The caller closes the reader.
func (s *Store) Open(ctx context.Context, u Upload) (*Reader, error) {
	body, _, err := s.Blobs.Open(ctx, u.Blob, nil)
	if err != nil {
		return nil, err
	}
	r := &Reader{ReadCloser: body, upload: u}
	if u.File.MD5 == "" {
		r.hash = deb.NewHasher()
	}
	return r, nil
}

// Complete returns an upload with all digests. If they are unknown, it reads the
// file and stores them in the row. The error is that of Reader.File.
func (s *Store) Complete(ctx context.Context, u Upload) (Upload, error) {
	if u.File.MD5 != "" {
		return u, nil
	}
	r, err := s.Open(ctx, u)
	if err != nil {
		return Upload{}, err
	}
	defer r.Close()
	if u.File, err = r.File(); err != nil {
		return Upload{}, err
	}
	data, err := json.Marshal(u)
	if err != nil {
		return Upload{}, err
	}
	version, err := s.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: uploadKey(u.Dir, u.Name), If: u.version, Data: data})
	switch {
	case err == nil:
		u.version = version
	case !errors.Is(err, driver.ErrConflict): // else the file was uploaded again, or removed
		return Upload{}, err
	}
	return u, nil
}

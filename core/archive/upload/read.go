package upload

import (
	"cmp"
	"context"
	"encoding/binary"
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
	return verified(r.hash, r.upload)
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
	return s.settle(ctx, u)
}

// settle writes the digests of an upload into its row.
func (s *Store) settle(ctx context.Context, u Upload) (Upload, error) {
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

// usualSliced is the default of Store.Sliced. hashStep is the size of a step of Digest.
const (
	usualSliced = 2 << 30
	hashStep    = 64 << 20
)

// Sliceable reports whether an upload of unknown digests is so large that Digest should
// read it.
func (s *Store) Sliceable(u Upload) bool {
	return u.File.MD5 == "" && u.File.Size > cmp.Or(s.Sliced, usualSliced)
}

// Digest is Complete for a large file. It goes on from state, and calls step with the
// state after each hashStep bytes. An error of step ends it. Without a state, or with one
// of another version, it reads the file from its begin.
func (s *Store) Digest(ctx context.Context, u Upload, state []byte, step func(state []byte) error) (Upload, error) {
	hash, at := resume(state)
	size := max(min(hashStep, cmp.Or(s.Sliced, usualSliced))/deb.ChainBlock, 1) * deb.ChainBlock
	body, _, err := s.Blobs.Open(ctx, u.Blob, &driver.Range{Offset: at, Length: -1})
	if err != nil {
		return Upload{}, err
	}
	defer body.Close()
	for {
		n, err := io.CopyN(hash, body, size)
		at += n
		if err == io.EOF {
			break
		}
		if err == nil {
			err = step(append(binary.BigEndian.AppendUint64(nil, uint64(at)), hash.Chain()...))
		}
		if err != nil {
			return Upload{}, err
		}
	}
	if u.File, err = verified(hash, u); err != nil {
		return Upload{}, err
	}
	return s.settle(ctx, u)
}

// resume returns the Hasher of a state of Digest, and how many bytes it has hashed. A state
// is their number (8 bytes, big endian) and the deb.Hasher.Chain of all digests.
func resume(state []byte) (*deb.Hasher, int64) {
	if len(state) > 8 {
		at := int64(binary.BigEndian.Uint64(state))
		if hash := deb.NewHasherAt(deb.AllDigests, at, state[8:]); hash != nil {
			return hash, at
		}
	}
	return deb.NewHasher(), 0
}

// verified returns the file that was hashed. The error is driver.ErrDigest if it differs
// from its announcement. An announcement may be without digest.
func verified(hash *deb.Hasher, u Upload) (deb.File, error) {
	got := hash.File(u.File.Name)
	if u.File.SHA256 != "" && got.SHA256 != u.File.SHA256 || got.Size != u.File.Size {
		return deb.File{}, fmt.Errorf("%s has the SHA-256 %s: %w", u.Path(), got.SHA256, driver.ErrDigest)
	}
	return got, nil
}

package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"

	"aptless/core/formats/deb"
)

const maxIndex = 1 << 30 // as fetched

// ErrMismatch says that a file does not have its listed size or digests.
var ErrMismatch = errors.New("mismatch")

type mismatch struct{ text string }

func (e *mismatch) Error() string        { return e.text }
func (e *mismatch) Is(target error) bool { return target == ErrMismatch }

// checkFile compares a file read from a URL with its listed size and digests. A
// size of 0 and absent digests are unknown.
func checkFile(address string, got, want deb.File) error {
	if want.Size != got.Size && want.Size > 0 {
		return &mismatch{fmt.Sprintf("%s: size check mismatch %d != %d: is %[2]d bytes, listed with %[3]d", Shown(address), got.Size, want.Size)}
	}
	for _, d := range []struct{ name, got, want string }{
		{"md5", got.MD5, want.MD5}, {"sha1", got.SHA1, want.SHA1}, {"sha256", got.SHA256, want.SHA256}, {"sha512", got.SHA512, want.SHA512},
	} {
		if d.want != "" && d.want != d.got {
			return &mismatch{fmt.Sprintf("%s: %s hash mismatch %q != %q", Shown(address), d.name, d.got, d.want)}
		}
	}
	return nil
}

// File is a download in progress.
type File struct {
	address string
	body    io.ReadCloser
	size    int64 // according to the server, -1 if unknown
	hash    *deb.Hasher
	want    deb.File
	check   bool
	got     deb.File
	ended   bool
}

// Open starts a download. If the file differs from want, reading ends with an
// ErrMismatch instead of io.EOF; check false skips that check. limit bounds a
// file whose want has no size, in bytes. The caller closes the file.
func (k Asker) Open(ctx context.Context, address string, want deb.File, check bool, limit int64) (*File, error) {
	if check && want.Size > 0 {
		limit = want.Size
	}
	answer, err := k.Fetcher.Fetch(ctx, Request{URL: address, Access: k.Access, Limit: limit})
	f := &File{address: address, hash: deb.NewHasher(), want: want, check: check}
	if err != nil {
		return nil, f.sizeError(err)
	}
	if check && want.Size > 0 && answer.Size >= 0 && answer.Size != want.Size {
		answer.Body.Close()
		return nil, checkFile(address, deb.File{Size: answer.Size}, want)
	}
	f.body, f.size = answer.Body, answer.Size
	return f, nil
}

// sizeError converts ErrTooLarge to a mismatch if the size is known. It returns
// other errors unchanged.
func (f *File) sizeError(err error) error {
	if !errors.Is(err, ErrTooLarge) || !f.check || f.want.Size <= 0 {
		return err
	}
	size := "more"
	if large := (*TooLargeError)(nil); errors.As(err, &large) && large.Size > 0 {
		size = fmt.Sprint(large.Size)
	}
	return &mismatch{fmt.Sprintf("%s: size check mismatch %s != %d: is %[2]s bytes, listed with %[3]d", Shown(f.address), size, f.want.Size)}
}

// Read reads the file. It returns io.EOF only if the file matches.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	f.hash.Write(p[:n])
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, f.sizeError(fmt.Errorf("%s: %w", Shown(f.address), err))
	}
	if !f.ended {
		f.got, f.ended = f.hash.File(f.want.Name), true
	}
	if f.check {
		if err := checkFile(f.address, f.got, f.want); err != nil {
			return n, err
		}
	}
	return n, io.EOF
}

// Close ends the download.
func (f *File) Close() error { return f.body.Close() }

// Got returns the size and digests of the file once Read has returned io.EOF.
func (f *File) Got() deb.File { return f.got }

// Size requests the size of a file in bytes. It returns 0 if the server does not
// say.
func (k Asker) Size(ctx context.Context, address string) (int64, error) {
	answer, err := k.Fetcher.Fetch(ctx, Request{URL: address, Access: k.Access, Head: true, Limit: maxIndex})
	if err != nil {
		return 0, err
	}
	answer.Body.Close()
	return max(answer.Size, 0), nil
}

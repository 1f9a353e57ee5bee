package deb

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"testing"
)

func TestReadDataTarLimits(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i := range 10 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("./%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		entries, bytes int
		err            error
	}{
		{10, 10, nil},
		{9, 10, errEntries},
		{10, 9, errPaths},
	} {
		paths, err := readDataTar(bytes.NewReader(archive.Bytes()), tc.entries, tc.bytes, func(int64) error { return nil })
		if err != tc.err || (err == nil) != (paths.Len() == 10) {
			t.Errorf("%d entries, %d bytes: paths %q, error %v", tc.entries, tc.bytes, paths.Strings(), err)
		}
	}
}

// TestEndlessStreamsAreRefused reads from an endless stream.
func TestEndlessStreamsAreRefused(t *testing.T) {
	for _, tc := range []struct{ size, limit, want int64 }{
		{1 << 20, 1 << 24, 1 << 24},
		{0, 1 << 40, unpackedFree},
		{1000, 1 << 40, unpackedFree + 1000*maxRatio},
		{9_999_999_999, 1 << 24, 1 << 24}, // the largest size of a member
	} {
		var d decompressor
		r, err := d.open(forever{}, stream{size: tc.size, limit: tc.limit})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyBuffer(io.Discard, r, make([]byte, 1<<20))
		if err != errUnpacked || n > tc.want || n < tc.want-1<<20 {
			t.Errorf("%d bytes, limit %d: %d unpacked, error %v", tc.size, tc.limit, n, err)
		}
	}
}

type forever struct{}

func (forever) Read(p []byte) (int, error) { return len(p), nil }

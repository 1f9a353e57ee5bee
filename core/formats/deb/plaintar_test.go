package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// entriesOf returns the entries that a reader of archives finds, and its error.
func entriesOf(read func(io.Reader, int, func(*tar.Header, io.Reader) error) error, archive []byte, limit int) (found []string, err error) {
	err = read(bytes.NewReader(archive), limit, func(h *tar.Header, content io.Reader) error {
		line := fmt.Sprintf("%q %c %d", h.Name, h.Typeflag, h.Size)
		if strings.HasSuffix(h.Name, "l") {
			data, err := io.ReadAll(content)
			line += fmt.Sprintf(" %q %v", data, err)
		}
		found = append(found, line)
		return nil
	})
	return found, err
}

// checkEntries fails unless eachEntry does exactly as archive/tar.
func checkEntries(t *testing.T, archive []byte, limit int) {
	t.Helper()
	want, wantErr := entriesOf(restOfEntries, archive, limit)
	got, err := entriesOf(eachEntry, archive, limit)
	if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("got %q, %v\nwant %q, %v", got, err, want, wantErr)
	}
	for _, sentinel := range []error{io.ErrUnexpectedEOF, errNoHeader, tar.ErrHeader, errEntries} {
		if errors.Is(err, sentinel) != errors.Is(wantErr, sentinel) {
			t.Fatalf("the error is %v, want %v", err, wantErr)
		}
	}
}

// archiveOf makes an archive with the entries of each format that packages have.
func archiveOf(t testing.TB, format tar.Format) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "./", Typeflag: tar.TypeDir},
		{Name: "./control", Typeflag: tar.TypeReg, Size: 5},
		{Name: "./usr/share/doc/file", Typeflag: tar.TypeReg, Size: 1024},
		{Name: "./usr/lib/link", Typeflag: tar.TypeSymlink, Linkname: "file"},
		{Name: "./usr/lib/hard", Typeflag: tar.TypeLink, Linkname: "./control"},
		{Name: "./" + strings.Repeat("directory/", 12) + "name", Typeflag: tar.TypeReg, Size: 700},
		{Name: "./empty", Typeflag: tar.TypeReg},
		{Name: "./dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		{Name: "./last", Typeflag: tar.TypeReg, Size: 3},
	} {
		h.Mode, h.ModTime, h.Format = 0o755, time.Unix(1_700_000_000, 0), format
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.CopyN(w, rand.NewChaCha8([32]byte{byte(h.Size)}), h.Size)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPlainHeadersAreReadAsByArchiveTar(t *testing.T) {
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatGNU, tar.FormatPAX} {
		archive := archiveOf(t, format)
		checkEntries(t, archive, 100)
		for limit := range 10 {
			checkEntries(t, archive, limit)
		}
		for n := range len(archive) {
			if n%7 == 0 || n%512 < 3 {
				checkEntries(t, archive[:n], 100)
			}
		}
		r := rand.New(rand.NewPCG(1, uint64(format)))
		for range 2_000 {
			damaged := bytes.Clone(archive)
			for range 1 + r.IntN(2) {
				at := r.IntN(len(damaged))
				if r.IntN(2) == 0 {
					at = at&^511 + 100 + r.IntN(170) // numbers and magic word
				}
				damaged[at] = byte(r.IntN(256))
			}
			if r.IntN(2) == 0 {
				fixChecksums(damaged)
			}
			checkEntries(t, damaged, 100)
		}
	}
}

// fixChecksums gives each block that looks like a header its checksum.
func fixChecksums(archive []byte) {
	for at := 0; at+512 <= len(archive); at += 512 {
		block := archive[at : at+512]
		if string(block[257:262]) != "ustar" {
			continue
		}
		copy(block[148:156], "        ")
		sum := 0
		for _, c := range block {
			sum += int(c)
		}
		copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
}

func TestErrorOfTheReaderOfAnArchiveIsPassedOn(t *testing.T) {
	archive := archiveOf(t, tar.FormatGNU)
	broken := errors.New("broken")
	for n := 0; n < len(archive)-1024; n += 100 {
		r := io.MultiReader(bytes.NewReader(archive[:n]), iotest.ErrReader(broken))
		if err := eachEntry(r, 100, func(*tar.Header, io.Reader) error { return nil }); !errors.Is(err, broken) {
			t.Errorf("after %d bytes the error is %v", n, err)
		}
	}
}

func FuzzPlainTar(f *testing.F) {
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatGNU, tar.FormatPAX} {
		f.Add(archiveOf(f, format), 100)
	}
	f.Fuzz(func(t *testing.T, archive []byte, limit int) { checkEntries(t, archive, max(0, min(limit, 1000))) })
}

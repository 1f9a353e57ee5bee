package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// member is a member of an ar archive made for a test.
type member struct {
	name string
	data []byte
}

func arArchive(members ...member) []byte {
	b := bytes.NewBufferString(arMagic)
	for _, m := range members {
		fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
		if len(m.data)&1 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func tarArchive(headers ...*tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := strings.Repeat("x", int(h.Size))
		if h.Linkname != "" && h.Typeflag == 0 {
			body, h.Linkname = h.Linkname, ""
			h.Size = int64(len(body))
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		io.WriteString(w, body)
	}
	w.Close()
	return b.Bytes()
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

const control = "Package: hello\nVersion: 1\nArchitecture: all\n"

// controlTar is a control archive; in these tests a header's Linkname is the
// content of an ordinary file.
func controlTar() []byte {
	return tarArchive(&tar.Header{Name: "./control", Linkname: control, Mode: 0o644})
}

func dataTar() []byte {
	return tarArchive(&tar.Header{Name: "./usr/", Typeflag: tar.TypeDir}, &tar.Header{Name: "./usr/b", Size: 3},
		&tar.Header{Name: "usr/a", Size: 1}, &tar.Header{Name: "./usr/l", Typeflag: tar.TypeSymlink, Linkname: "b"})
}

func TestReadBinary(t *testing.T) {
	version := member{"debian-binary", []byte("2.0\n")}
	good := arArchive(version, member{"control.tar.gz", zipped(controlTar())}, member{"data.tar", dataTar()})
	bomb := zipped(make([]byte, 20<<20))
	for _, tc := range []struct {
		name     string
		data     []byte
		err      string // of the control part; "" if it is good
		contents bool   // whether the paths are good
	}{
		{"good", good, "", true},
		{"slashes after names", arArchive(version, member{"control.tar/", controlTar()}, member{"data.tar.gz/", zipped(dataTar())}), "", true},
		{"empty", nil, "unable to read .deb archive p: ar: missing global header", false},
		{"text", []byte("hello, world"), "unable to read .deb archive p: ar: missing global header", false},
		{"no control", arArchive(version, member{"data.tar", dataTar()}), "unable to find control.tar.* part in package p", false},
		{"other compression", arArchive(version, member{"control.tar.lz", []byte("x")}), "unsupported tar compression in p: control.tar.lz", false},
		{"no control file", arArchive(member{"control.tar", tarArchive(&tar.Header{Name: "./md5sums", Size: 1})}), "unable to find control file in p", false},
		{"control is a link", arArchive(member{"control.tar", tarArchive(&tar.Header{Name: "control", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})}),
			"unable to read .tar archive from p. Error: control file is not a file of an ordinary size", false},
		{"control is no archive", arArchive(member{"control.tar", bytes.Repeat([]byte("x"), 600)}), "unable to read .tar archive from p. Error: archive/tar: invalid tar header", false},
		{"control is a bomb", arArchive(member{"control.tar.gz", bomb}), "", false},
		{"cut in a member", good[:len(good)-2000], "", false},
		{"cut in a header", good[:100], "unable to read .deb archive p: ar: member header is cut off", false},
		{"negative size", bytes.Replace(good, []byte("4         `"), []byte("-4        `"), 1), `unable to read .deb archive p: ar: malformed member size "-4        "`, false},
		{"no data", arArchive(version, member{"control.tar", controlTar()}), "", false},
		{"data unreadable", arArchive(member{"control.tar", controlTar()}, member{"data.tar.gz", []byte("junk")}), "", false},
		{"path with a line end", arArchive(member{"control.tar", controlTar()}, member{"data.tar", tarArchive(&tar.Header{Name: "a\nb"})}), "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, paths, err := ReadBinary(bytes.NewReader(tc.data), "p")
			var contents *ContentsError
			if tc.err != "" {
				if err == nil || errors.As(err, &contents) || err.Error() != tc.err {
					t.Fatalf("error %v, want %s", err, tc.err)
				}
				return
			}
			if tc.contents != (err == nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				if errors.As(err, &contents) && string(got) != control {
					t.Errorf("control %q", got)
				}
				return
			}
			if string(got) != control || !slices.Equal(paths, []string{"usr/a", "usr/b", "usr/l"}) {
				t.Errorf("control %q, paths %q", got, paths)
			}
		})
	}
}

// TestReadBinaryDpkg reads what dpkg-deb builds, with every compression.
func TestReadBinaryDpkg(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Fatal("dpkg-deb is not installed: run `make tools`")
	}
	tree := t.TempDir()
	for name, text := range map[string]string{"DEBIAN/control": control + "Maintainer: A <a@example.org>\nDescription: d\n", "usr/share/hello/with blank": "x", "usr/bin/hello": "y"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, z := range []string{"gzip", "xz", "zstd", "none"} {
		file := filepath.Join(t.TempDir(), "p.deb")
		if out, err := exec.Command("dpkg-deb", "--root-owner-group", "--uniform-compression", "-Z"+z, "-b", tree, file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time with the decoder of the first
			got, paths, err := ReadBinary(bytes.NewReader(data), "p")
			if err != nil || !strings.HasPrefix(string(got), control) || !slices.Equal(paths, []string{"usr/bin/hello", "usr/share/hello/with blank"}) {
				t.Errorf("%s: %q, %q, %v", z, got, paths, err)
			}
		}
	}
}

func FuzzReadBinary(f *testing.F) {
	f.Add(arArchive(member{"control.tar.gz", zipped(controlTar())}, member{"data.tar", dataTar()}))
	f.Add(arArchive(member{"control.tar", controlTar()}, member{"data.tar.xz", []byte("\xfd7zXZ\x00")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, paths, err := ReadBinary(bytes.NewReader(data), "p")
		var contents *ContentsError
		if err != nil && !errors.As(err, &contents) && (got != nil || paths != nil) {
			t.Error("a package that cannot be read has content")
		}
		if !slices.IsSorted(paths) {
			t.Error("paths are not sorted")
		}
	})
}

// TestHasher has the digests of "abc" (FIPS 180-4, RFC 1321).
func TestHasher(t *testing.T) {
	h := NewHasher()
	io.WriteString(h, "ab")
	io.WriteString(h, "c")
	f := h.File("a_1_all.deb")
	if f.Size != 3 || f.MD5 != "900150983cd24fb0d6963f7d28e17f72" || f.SHA1 != "a9993e364706816aba3e25717850c26c9cd0d89d" ||
		f.SHA256 != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || !strings.HasPrefix(f.SHA512, "ddaf35a193617abacc417349ae204131") {
		t.Errorf("%+v", f)
	}
}

func BenchmarkReadBinary(b *testing.B) {
	data := arArchive(member{"control.tar.gz", zipped(controlTar())}, member{"data.tar.gz", zipped(dataTar())})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ReadBinary(bytes.NewReader(data), "p"); err != nil {
			b.Fatal(err)
		}
	}
}

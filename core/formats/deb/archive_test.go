package deb_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
)

const controlText = "Package: hello\nVersion: 1.0\nArchitecture: all\n"

// member is a member of an ar archive.
type member struct{ name, data string }

// arArchive returns an archive of members. It adds debian-binary unless that is
// the first member.
func arArchive(members ...member) string {
	if len(members) == 0 || strings.TrimSuffix(members[0].name, "/") != "debian-binary" {
		members = slices.Concat([]member{versionMember()}, members)
	}
	return rawArchive(members...)
}

// rawArchive returns an archive of the members alone.
func rawArchive(members ...member) string {
	var b strings.Builder
	b.WriteString("!<arch>\n")
	for _, m := range members {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", m.name, 0, 0, 0, "100644", len(m.data), m.data)
		if len(m.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func tarArchive(t testing.TB, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg && strings.HasSuffix(h.Name, "control") && h.Size == 0 {
			content = controlText
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
		io.CopyN(w, zeros{}, h.Size-int64(len(content)))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

// oddGzip returns gzipped data of odd size.
func oddGzip(s string) string {
	z := gzipped(s)
	if len(z)%2 == 0 {
		z = gzipped("") + z // 23 bytes; gzip streams may be concatenated
	}
	return z
}

// bzip2Data is a data.tar.bz2 that holds the file ./a.
const bzip2Data = "QlpoOTFBWSZTWWqTCCQAAFt7gMiAABBAAd0AAAJgAB4AAAggAFQygA000NBFJNNGnqaaB9m9BQjRESe8bG5ayCQEF5mo1gTNERZGSU6Fvcd3qSQPi7kinChINUmEEgA="

func unbase64(t *testing.T, s string) string {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// retyped returns a tar archive in which entries of one type get another type.
func retyped(archive string, from, to byte) string {
	const checksum, typeflag, headerLen = 148, 156, 512
	b := []byte(archive)
	for h := range slices.Chunk(b, headerLen) {
		if h[typeflag] == from && string(h[257:262]) == "ustar" {
			h[typeflag] = to
			copy(h[checksum:typeflag], "        ") // the checksum counts itself as blanks
			sum := 0
			for _, c := range h {
				sum += int(c)
			}
			copy(h[checksum:], fmt.Sprintf("%06o\x00", sum))
		}
	}
	return string(b)
}

// sparse returns a tar archive of a sparse file in GNU pax format 1.0. The
// content begins with the map of its parts.
func sparse(t testing.TB, name, parts string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	content := parts + strings.Repeat("\x00", -len(parts)&511) + strings.Repeat("x", 512)
	// The tar writer refuses records of sparse files. They get other names of
	// equal length until the writer is done.
	h := file(name)
	h.Size = int64(len(content))
	h.PAXRecords = map[string]string{"GNU.sparsX.major": "1", "GNU.sparsX.minor": "0", "GNU.sparsX.name": name, "GNU.sparsX.realsize": "512"}
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), "GNU.sparsX", "GNU.sparse")
}

// xzDictionary returns the start of an xz file with a dictionary of
// 2<<(code/2+11) bytes (.xz file format 5.3.1). code is even.
func xzDictionary(code byte) string {
	crc := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
	return "\xfd7zXZ\x00" + string(crc([]byte{0, 1})) + string(crc([]byte{2, 0, 0x21, 1, code, 0, 0, 0})) + "\x00"
}

// zstdWindow returns the start of a zstd frame with a window of 1<<(10+exponent)
// bytes (RFC 8878, 3.1.1.1.2).
func zstdWindow(exponent byte) string {
	return string([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1, 0, 0})
}

func file(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }

// TestReadBinaryOfDpkg reads packages that dpkg-deb builds. The paths equal the
// output of dpkg-deb.
func TestReadBinaryOfDpkg(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	long := strings.Repeat("d/", 100) + strings.Repeat("f", 120)
	for _, name := range []string{"DEBIAN/control", "usr/bin/hello", "usr/share/a b", "usr/share/ü", long, "etc/x"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		content := strings.Repeat(name, 1000)
		if name == "DEBIAN/control" {
			content = controlText + "Maintainer: A <a@example.com>\nDescription: greets\n"
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("hello", filepath.Join(root, "usr/bin/link")),
		os.Link(filepath.Join(root, "etc/x"), filepath.Join(root, "etc/y"))); err != nil {
		t.Fatal(err)
	}
	want := []string{long, "etc/x", "etc/y", "usr/bin/hello", "usr/bin/link", "usr/share/a b", "usr/share/ü"}
	for _, flag := range []string{"-Zxz", "-Zgzip", "-Zzstd", "-Znone"} {
		for _, uniform := range []string{"--uniform-compression", "--no-uniform-compression"} {
			t.Run(flag+uniform, func(t *testing.T) {
				name := filepath.Join(t.TempDir(), "p.deb")
				out, err := exec.Command("dpkg-deb", "--root-owner-group", flag, uniform, "-b", root, name).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				f, err := os.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				control, paths, err := readPaths(f, name)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(string(control), controlText) {
					t.Errorf("control %q", control)
				}
				if !slices.Equal(paths, want) {
					t.Errorf("paths %q, want %q", paths, want)
				}
			})
		}
	}
}

// Members of valid packages.
func versionMember() member { return member{"debian-binary", "2.0\n"} }
func controlMember(t testing.TB) member {
	return member{"control.tar", tarArchive(t, file("./control"))}
}
func dataMember(t testing.TB) member {
	return member{"data.tar", tarArchive(t, file("./usr/b"), file("a"), file("././c"), file("./a"),
		tar.Header{Typeflag: tar.TypeDir, Name: "./usr/"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./link", Linkname: "a"},
		tar.Header{Typeflag: tar.TypeLink, Name: "./hard", Linkname: "./a"},
		tar.Header{Typeflag: tar.TypeChar, Name: "./null", Devmajor: 1, Devminor: 3},
		tar.Header{Typeflag: tar.TypeFifo, Name: "./fifo"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./../up", Size: 1 << 20},
		tar.Header{Typeflag: tar.TypeReg, Name: "./bad\nline"},
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "global", PAXRecords: map[string]string{"comment": "x"}},
	)}
}

// readPaths is ReadBinary with a copy of the paths.
func readPaths(r io.Reader, name string) (control []byte, paths []string, err error) {
	control, found, err := deb.ReadBinary(r, name, deb.Growth{}, nil)
	return control, found.Strings(), err
}

// readBinary is ReadBinary, and checks that it reads its input to the end.
func readBinary(t *testing.T, in string) (control []byte, paths []string, err error) {
	t.Helper()
	r := strings.NewReader(in)
	control, paths, err = readPaths(r, "P")
	if control != nil && r.Len() != 0 {
		t.Errorf("%d bytes not read", r.Len())
	}
	return control, paths, err
}

func TestReadBinary(t *testing.T) {
	version, control, data := versionMember(), controlMember(t), dataMember(t)
	plain := control.data
	want := []string{"../up", "./c", "a", "fifo", "hard", "link", "null", "usr/b"}
	whole := arArchive(version, control, data)
	for _, tt := range []struct {
		name, in string
		paths    []string
	}{
		{name: "plain", in: whole, paths: want},
		{name: "gzip", in: arArchive(version, member{"control.tar.gz", gzipped(plain)}, member{"data.tar.gz", gzipped(data.data)}), paths: want},
		{name: "bzip2", in: arArchive(control, member{"data.tar.bz2", unbase64(t, bzip2Data)}), paths: []string{"a"}},
		{name: "names with slashes", in: arArchive(member{"debian-binary/", "2.0\n"}, member{"control.tar/", plain}, member{"data.tar/", data.data}), paths: want},
		{name: "data first", in: arArchive(version, data, control), paths: want},
		{name: "no ./", in: arArchive(member{"control.tar", tarArchive(t, file("control"))}, data), paths: want},
		{name: "first of two", in: arArchive(control, data, member{"control.tar.gz", "x"}, member{"data.tar.gz", "x"}), paths: want},
		{name: "trailing garbage", in: whole + "garbage", paths: want},
		{name: "unpadded", in: strings.TrimSuffix(arArchive(control, member{"data.tar.gz", oddGzip(data.data)}), "\n"), paths: want},
		{name: "regular file that is a directory", in: arArchive(control, member{"data.tar", retyped(tarArchive(t,
			tar.Header{Typeflag: tar.TypeDir, Name: "./usr/"}, file("./a")), tar.TypeDir, tar.TypeReg)}), paths: []string{"a"}},
		{name: "sparse file", in: arArchive(control, member{"data.tar", sparse(t, "./hole", "1\n0\n512\n")}), paths: []string{"hole"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, paths, err := readBinary(t, tt.in)
			if err != nil || string(got) != controlText || !slices.Equal(paths, tt.paths) {
				t.Errorf("control %q, paths %q, error %v, want paths %q", got, paths, err, tt.paths)
			}
		})
	}
}

func TestReadBinaryWithoutControl(t *testing.T) {
	version, control, data := versionMember(), controlMember(t), dataMember(t)
	plain := control.data
	whole := arArchive(version, control, data)
	header := func(size string) string {
		return arArchive() + fmt.Sprintf("%-48s%-10s`\n", "control.tar", size) + plain
	}
	for _, tt := range []struct{ name, in, err string }{
		{name: "empty", in: "", err: "unable to read .deb archive P: ar: missing global header"},
		{name: "text", in: "hello", err: "unable to read .deb archive P: ar: missing global header"},
		{name: "magic only", in: "!<arch>\n", err: "unable to find control.tar.* part in package P"},
		{name: "header cut", in: whole[:40], err: "unable to read .deb archive P: unexpected EOF"},
		{name: "no control.tar", in: arArchive(version, data), err: "unable to find control.tar.* part in package P"},
		{name: "no control", in: arArchive(version, member{"control.tar", tarArchive(t, file("./md5sums"))}, data), err: "unable to find control file in P"},
		{name: "control is a link", in: arArchive(member{"control.tar", tarArchive(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "./control", Linkname: "/etc/passwd"})}),
			err: "unable to find control file in P"},
		{name: "two control files", in: arArchive(member{"control.tar", tarArchive(t, file("control"), file("./control"))}),
			err: "unable to read .tar archive from P. Error: more than one control file"},
		{name: "control is not gzip", in: arArchive(member{"control.tar.gz", strings.Repeat("x", 512)}), err: "unable to read .tar archive from P. Error: a block that has to be a tar header is none"},
		{name: "data is no tar", in: arArchive(controlMember(t), member{"data.tar", strings.Repeat("x", 512)}), err: "unable to read .tar archive from P. Error: a block that has to be a tar header is none"},
		{name: "data is text", in: arArchive(controlMember(t), member{"data.tar.gz", gzipped(strings.Repeat("text\n", 512))}), err: "unable to read .tar archive from P. Error: a block that has to be a tar header is none"},
		{name: "control is not xz", in: arArchive(member{"control.tar.xz", plain}), err: "unable to read .tar archive from P. Error: xz: file format not recognized"},
		{name: "nested", in: arArchive(member{"control.tar.gz", gzipped(gzipped(plain))}), err: "unable to read .tar archive from P. Error: unexpected EOF"},
		{name: "unknown", in: arArchive(member{"control.tar.lz4", plain}), err: "unsupported tar compression in P: control.tar.lz4"},
		{name: "control cut", in: header(fmt.Sprint(len(plain) + 1)), err: fmt.Sprintf("P is truncated: 1 of the %d bytes of control.tar are missing", len(plain)+1)},
		{name: "negative size", in: header("-1"), err: "unable to read .deb archive P: ar: invalid member header"},
		{name: "signed size", in: header("+1"), err: "unable to read .deb archive P: ar: invalid member header"},
		{name: "no size", in: header(""), err: "unable to read .deb archive P: ar: invalid member header"},
		{name: "hex size", in: header("0x10"), err: "unable to read .deb archive P: ar: invalid member header"},
		{name: "many members", in: arArchive(slices.Repeat([]member{{"_x", ""}}, 65)...), err: "unable to read .deb archive P: ar: too many members"},
		{name: "control.tar bomb", in: arArchive(member{"control.tar.gz", gzipped(tarArchive(t, file("./control"), tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: 17 << 20}))}),
			err: "unable to read .tar archive from P. Error: unpacks to too many bytes"},
		{name: "large control", in: arArchive(member{"control.tar", tarArchive(t, tar.Header{Typeflag: tar.TypeReg, Name: "control", Size: 5 << 20})}),
			err: "unable to read .tar archive from P. Error: control file too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, paths, err := readBinary(t, tt.in)
			if err == nil || err.Error() != tt.err || !errors.Is(err, deb.ErrArchive) || got != nil || paths != nil {
				t.Errorf("control %q, paths %q, error %v, want %s", got, paths, err, tt.err)
			}
		})
	}
}

func TestReadBinaryWithoutContents(t *testing.T) {
	control := controlMember(t)
	large := tarArchive(t, tar.Header{Typeflag: tar.TypeReg, Name: "./large", Size: 2 << 20})
	for _, tt := range []struct{ name, in, err string }{
		{name: "large pax header", in: arArchive(control, member{"data.tar", retyped(large, tar.TypeReg, tar.TypeXHeader)}),
			err: "unable to read .tar archive from P. Error: archive/tar: header field too long"},
		{name: "large long name", in: arArchive(control, member{"data.tar", retyped(large, tar.TypeReg, tar.TypeGNULongName)}),
			err: "unable to read .tar archive from P. Error: archive/tar: header field too long"},
		{name: "large sparse map", in: arArchive(control, member{"data.tar.gz", gzipped(sparse(t, "./hole", "1000000\n"+strings.Repeat("0\n0\n", 1<<19)))}),
			err: "unable to read .tar archive from P. Error: archive/tar: sparse map too long"},
		{name: "xz dictionary", in: arArchive(control, member{"data.tar.xz", xzDictionary(30)}), err: "unable to read .tar archive from P. Error: xz: LZMA2 dictionary size exceeds max"},
		{name: "zstd window", in: arArchive(control, member{"data.tar.zst", zstdWindow(18)}), err: "unable to read .tar archive from P. Error: window size exceeded"},
		{name: "long path", in: arArchive(control, member{"data.tar", tarArchive(t, file(strings.Repeat("x", 4097)))}), err: "unable to read .tar archive from P. Error: path too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, paths, err := readBinary(t, tt.in)
			contents := (*deb.ContentsError)(nil)
			if !errors.As(err, &contents) || err.Error() != tt.err || string(got) != controlText || paths != nil {
				t.Errorf("control %q, paths %q, error %v, want %s", got, paths, err, tt.err)
			}
		})
	}
}

// TestCutPackagesAreDamaged cuts a package at every byte. The result is its control file
// or an error. A reader's error never becomes an archive error.
func TestCutPackagesAreDamaged(t *testing.T) {
	whole := arArchive(member{"control.tar.gz", gzipped(tarArchive(t, file("./control")))},
		member{"data.tar.gz", gzipped(tarArchive(t, file("./a")))})
	lost := errors.New("connection lost")
	for n := range len(whole) - 1 { // the last byte may be padding
		control, paths, err := readPaths(iotest.OneByteReader(strings.NewReader(whole[:n])), "P")
		if err == nil || paths != nil || (control != nil && string(control) != controlText) {
			t.Fatalf("%d bytes: control %q, paths %q, error %v", n, control, paths, err)
		}
		control, paths, err = readPaths(io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(lost)), "P")
		if err != lost || control != nil || paths != nil {
			t.Fatalf("%d bytes and a lost connection: control %q, paths %q, error %v", n, control, paths, err)
		}
	}
}

// TestReadBinaryKeepsPathsOnly reads paths from large pax headers and keeps no
// other part of them.
func TestReadBinaryKeepsPathsOnly(t *testing.T) {
	const count, size = 16, 1 << 19
	headers := make([]tar.Header, count)
	for i := range headers {
		headers[i] = file(fmt.Sprintf("./é%d", i)) // a path beyond ASCII is in the pax header
		headers[i].PAXRecords = map[string]string{"comment": strings.Repeat("x", size)}
	}
	in := arArchive(member{"control.tar", tarArchive(t, file("control"))}, member{"data.tar.gz", gzipped(tarArchive(t, headers...))})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, paths, err := readPaths(strings.NewReader(in), "P")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err != nil || len(paths) != count {
		t.Fatalf("%d paths, error %v", len(paths), err)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > count*size/4 {
		t.Errorf("%d bytes kept for %d paths", kept, count)
	}
	runtime.KeepAlive(in)
	runtime.KeepAlive(paths)
}

func TestHasher(t *testing.T) {
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	rapid.Check(t, func(t *rapid.T) {
		h := deb.NewHasher()
		n := 0
		for _, size := range rapid.SliceOfN(rapid.IntRange(0, 300<<10), 0, 10).Draw(t, "sizes") {
			size = min(size, len(data)-n)
			h.Write(data[n : n+size])
			n += size
			if size%8 == 0 {
				h.File("not yet") // changes nothing
			}
		}
		want := deb.File{
			Name:   "f",
			Size:   int64(n),
			MD5:    fmt.Sprintf("%x", md5.Sum(data[:n])),
			SHA1:   fmt.Sprintf("%x", sha1.Sum(data[:n])),
			SHA256: fmt.Sprintf("%x", sha256.Sum256(data[:n])),
			SHA512: fmt.Sprintf("%x", sha512.Sum512(data[:n])),
		}
		if got := h.File("f"); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

func TestHasherOfABC(t *testing.T) {
	h := deb.NewHasher()
	io.WriteString(h, "abc")
	abc := deb.File{
		Name:   "f",
		Size:   3,
		MD5:    "900150983cd24fb0d6963f7d28e17f72",
		SHA1:   "a9993e364706816aba3e25717850c26c9cd0d89d",
		SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		SHA512: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	}
	if got := h.File("f"); got != abc {
		t.Errorf("%+v, want %+v", got, abc)
	}
}

// FuzzReadBinary reads any input, then a valid package. Reused decoders keep
// nothing of the former input.
func FuzzReadBinary(f *testing.F) {
	control := tarArchive(f, file("./control"))
	f.Add(arArchive(member{"control.tar", control}, member{"data.tar.gz", gzipped(tarArchive(f, file("./a")))}))
	f.Add(arArchive(member{"data.tar.bz2", "BZh9"}, member{"control.tar.xz", "\xfd7zXZ\x00"}))
	f.Add(arArchive(member{"data.tar.zst", "\x28\xb5\x2f\xfd"}, member{"control.tar", control}))
	f.Add(arArchive(member{"control.tar", control}, member{"data.tar", sparse(f, "./hole", "1\n0\n512\n")}))
	f.Add(rawArchive(member{"control.tar", control}, member{"data.tar", control}))
	f.Add(rawArchive(member{"debian-binary", "3.0\n"}, member{"control.tar", control}, member{"data.tar", control}))
	f.Add(arArchive(member{"control.tar", control}, member{"control.tar.gz", gzipped(control)}, member{"data.tar", control}))
	for _, suffix := range suffixes() {
		body := packed(f, suffix, control)
		f.Add(arArchive(member{"control.tar", control}, member{"data.tar" + suffix, body + strings.Repeat("\x00", 17)}))
		f.Add(arArchive(member{"control.tar" + suffix, body[:len(body)-3]}, member{"data.tar" + suffix, body + "junk"}))
	}
	for _, archive := range hostileControls(f) {
		f.Add(arArchive(member{"control.tar", archive}, member{"data.tar", control}))
		f.Add(arArchive(member{"control.tar", control}, member{"data.tar.gz", nested(archive, 3)}))
	}
	for _, size := range hostileSizes() {
		f.Add(withSize(size, control))
	}
	var sound []string
	for _, compression := range []string{"none", "gzip", "xz", "zstd"} {
		spec := debtest.Spec{Compression: compression, Files: map[string]string{"a": strings.Repeat("ab", 100)}}
		sound = append(sound, string(debtest.Deb(spec)))
		f.Add(sound[len(sound)-1])
	}
	f.Fuzz(func(t *testing.T, in string) {
		r := strings.NewReader(in)
		control, paths, err := readPaths(r, "P")
		contents := (*deb.ContentsError)(nil)
		switch {
		case err == nil || errors.As(err, &contents):
			if control == nil || r.Len() != 0 {
				t.Fatalf("control %q, %d bytes left, error %v", control, r.Len(), err)
			}
		case control != nil || !errors.Is(err, deb.ErrArchive):
			t.Fatalf("control %q, error %v", control, err)
		}
		if err != nil && paths != nil || !slices.IsSorted(paths) {
			t.Fatalf("paths %q, error %v", paths, err)
		}
		for _, in := range sound {
			control, paths, err := readPaths(strings.NewReader(in), "P")
			if err != nil || string(control) != debtest.Control(debtest.Spec{}) || !slices.Equal(paths, []string{"a"}) {
				t.Fatalf("a sound package after it: control %q, paths %q, error %v", control, paths, err)
			}
		}
	})
}

package deb

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, text string, mode Mode) Paragraph {
	t.Helper()
	p, err := ParseParagraph(text, mode)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const caseControl = `package: casepkg
version: 1:2.0~rc1-1
architecture: amd64
source: srcpkg (1.9)
depends: a (>= 1) | b,c:any ,  d
provides:
filename: other.deb
size: 9
sha256: 00
tag: one,
 two,
 three
description: short
 long
 .
 more
`

func TestBinaryPackage(t *testing.T) {
	f := helloFile
	f.Name = "case.deb"
	got, err := BinaryPackage(mustParse(t, caseControl, ModeControl), Binary, f)
	if err != nil {
		t.Fatal(err)
	}
	want := &Package{
		Name: "casepkg", Version: "1:2.0~rc1-1", Architecture: "amd64", Source: "srcpkg (1.9)",
		Depends: []string{"a (>= 1) | b", "c:any", "d"},
		Extra:   map[string]string{"Tag": "one, two, three", "Description": " short\n long\n .\n more\n"},
		Files:   []File{f},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	details := got.Details()
	for name, value := range map[string]string{
		"Architecture": "amd64", "Depends": "a (>= 1) | b, c:any, d", "Description": " short\n long\n .\n more\n",
		"Filename": "case.deb", "Package": "casepkg", "ShortKey": "Pamd64 casepkg 1:2.0~rc1-1", "Key": got.Key(),
		"Source": "srcpkg (1.9)", "Tag": "one, two, three", "Version": "1:2.0~rc1-1", "Size": "4", "MD5sum": f.MD5,
		"SHA1": f.SHA1, "SHA256": f.SHA256, "FilesHash": got.filesHashText(),
	} {
		if details[name] != value {
			t.Errorf("details: %s is %q, want %q", name, details[name], value)
		}
		delete(details, name)
	}
	if len(details) != 0 {
		t.Errorf("details: also %q", details)
	}
}

func TestPackageErrors(t *testing.T) {
	binary := "Package: a1\nVersion: 1\nArchitecture: all\nFilename: pool/a1.deb\n"
	source := "Source: a1\nPackage: a1\nVersion: 1\nArchitecture: any\n"
	dsc := func(p Paragraph) error { _, err := SourcePackage(p); return err }
	deb := func(p Paragraph) error { _, err := BinaryPackage(p, Binary, helloFile); return err }
	index := func(kind Kind) func(Paragraph) error {
		return func(p Paragraph) error { _, _, err := PackageFromIndex(p, kind); return err }
	}
	without := func(text, field string) string {
		i := strings.Index(text, field+":")
		return text[:i] + text[i+strings.IndexByte(text[i:], '\n')+1:]
	}
	sum := strings.Repeat("0", md5Len)
	tests := []struct {
		name string
		read func(Paragraph) error
		text string
		want error
	}{
		{"empty", deb, "", ErrNoName},
		{"no name", deb, without(binary, "Package"), ErrNoName},
		{"no version", deb, without(binary, "Version"), ErrNoVersion},
		{"no architecture", deb, without(binary, "Architecture"), ErrNoArchitecture},
		{"name", deb, binary + "Package: ../a\n", ErrInvalid},
		{"version", deb, binary + "Version: 1 2\n", ErrInvalid},
		{"folded version", deb, binary + "Version:\n 1\n", ErrInvalid},
		{"architecture", deb, binary + "Architecture: source\n", ErrInvalid},
		{"digest twice", dsc, source + "Files:\n " + sum + " 1 a\n " + strings.Repeat("1", md5Len) + " 1 a\n", ErrInvalid},
		{"size twice", dsc, source + "Files:\n " + sum + " 1 a\n " + sum + " 2 a\n", ErrInvalid},
		{"lists that contradict", dsc, source + "Files:\n " + sum + " 1 a\nChecksums-Sha1:\n " + strings.Repeat("0", sha1Len) + " 2 a\n", ErrInvalid},
		{"Sources that contradict", index(Source), source + "Files:\n " + sum + " 1 a\nChecksums-Sha256:\n " + strings.Repeat("0", sha256Len) + " 2 a\n", ErrInvalid},
		{"index without file name", index(Udeb), without(binary, "Filename"), ErrInvalid},
		{"index with directory only", index(Binary), binary + "Filename: pool/..\n", ErrInvalid},
		{"index with short digest", index(Binary), binary + "SHA256: 00\n", ErrInvalid},
		{"index with path for a digest", index(Binary), binary + "MD5sum: " + strings.Repeat("../.", 8) + "\n", ErrInvalid},
		{"index without name", index(Binary), without(binary, "Package"), ErrNoName},
		{"empty dsc", dsc, "", ErrNoName},
		{"dsc with the wrong name", dsc, without(source, "Source"), ErrNoName},
		{"dsc without version", dsc, without(source, "Version"), ErrNoVersion},
		{"Sources without name", index(Source), without(source, "Package"), ErrNoName},
		{"two words", dsc, source + "Files:\n " + sum + " 1\n", ErrSums},
		{"short digest", dsc, source + "Files:\n 00 1 a\n", ErrSums},
		{"digest of another kind", dsc, source + "Checksums-Sha1:\n " + sum + " 1 a\n", ErrSums},
		{"no file name", dsc, source + "Files:\n " + sum + " 1 x/..\n", ErrInvalid},
		{"many files", dsc, source + "Files:\n" + manyFiles(sum), ErrTooLarge},
	}
	for _, test := range tests {
		if err := test.read(mustParse(t, test.text, ModeControl)); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
	}
	for text, want := range map[string]string{
		"Files:\n x 1\n":                      `unparseable hash sum line: "x 1"`,
		"Files:\n " + sum + " x a\n":          `unable to parse size: strconv.ParseUint: parsing "x": invalid syntax`,
		"Checksums-Sha256:\n 00 -1 a b c d\n": `unparseable hash sum line: "00 -1 a b c d"`,
	} {
		if err := dsc(mustParse(t, source+text, ModeControl)); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
	if _, err := SourcePackage(mustParse(t, source, ModeControl), File{Name: "a/b"}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a path for a file: %v, want ErrInvalid", err)
	}
	_, _, err := PackageFromIndex(mustParse(t, without(binary, "Filename"), ModeControl), Binary)
	if err == nil || err.Error() != "filename . is invalid" {
		t.Errorf("no file name: %v", err)
	}
}

func manyFiles(sum string) string {
	var b strings.Builder
	for i := range MaxFiles + 1 {
		b.WriteString(" " + sum + " 1 f" + strings.Repeat("x", i%97) + strings.Repeat("y", i/97) + "\n")
	}
	return b.String()
}

func TestPackageFromIndex(t *testing.T) {
	p := mustParse(t, "Package: hello\nVersion: 1.0\nArchitecture: amd64\nFilename: pool/main/h/hello/hello_1.0_amd64.deb\n"+
		"Size: 4\nMD5sum: 8D777F385D3DFEC8815D20F7496026DC\nSHA256: "+helloFile.SHA256+"\nDescription-md5: x\n", ModeControl)
	got, dir, err := PackageFromIndex(p, Udeb)
	f := helloFile
	f.SHA1 = ""
	want := &Package{Kind: Udeb, Name: "hello", Version: "1.0", Architecture: "amd64",
		Extra: map[string]string{"Description-Md5": "x"}, Files: []File{f}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if dir != "pool/main/h/hello" {
		t.Errorf("directory %q", dir)
	}
	for _, size := range []string{"", "-1", "x", "99999999999999999999"} {
		p.Set("Size", size)
		if got, _, err := PackageFromIndex(p, Binary); err != nil || got.Files[0].Size != 0 {
			t.Errorf("size %q: %+v, %v, want 0", size, got, err)
		}
	}
}

const sourceStanza = `Package: hello
Binary: hello, hello-doc
Version: 2.10-3
Maintainer: A Person <a@example.org>
Build-Depends: debhelper-compat (= 13), foo [amd64]
Build-Depends-Arch: gcc
Architecture: any all
Format: 3.0 (quilt)
Directory: pool/main/h/hello
Files:
 8d777f385d3dfec8815d20f7496026dc 4 hello_2.10.orig.tar.gz
 9dd4e461268c8034f5c8564e155c67a6 1 hello_2.10-3.dsc
Checksums-Sha256:
 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 1 hello_2.10-3.dsc
 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7 4 hello_2.10.orig.tar.gz
Homepage: http://h/
Package-List:
 hello deb devel optional
`

func TestSourcePackage(t *testing.T) {
	fromIndex, dir, err := PackageFromIndex(mustParse(t, sourceStanza, ModeControl), Source)
	if err != nil || dir != "pool/main/h/hello" {
		t.Fatalf("directory %q, %v", dir, err)
	}
	want := &Package{
		Kind: Source, Name: "hello", Version: "2.10-3", Architecture: "source", SourceArchitecture: "any all",
		BuildDepends: []string{"debhelper-compat (= 13)", "foo [amd64]"},
		Extra: map[string]string{
			"Binary": "hello, hello-doc", "Maintainer": "A Person <a@example.org>", "Build-Depends-Arch": "gcc",
			"Format": "3.0 (quilt)", "Directory": "pool/main/h/hello", "Homepage": "http://h/",
			"Package-List": " hello deb devel optional\n",
		},
		Files: []File{
			{Name: "hello_2.10-3.dsc", Size: 1, MD5: dscFile.MD5, SHA256: dscFile.SHA256},
			{Name: "hello_2.10.orig.tar.gz", Size: 4, MD5: helloFile.MD5, SHA256: helloFile.SHA256},
		},
	}
	if diff := cmp.Diff(want, fromIndex); diff != "" {
		t.Error(diff)
	}

	// A .dsc has Source instead of Package, and does not list itself.
	text := strings.Replace(sourceStanza, "Package:", "Package: wrong\nSource:", 1)
	dsc := mustParse(t, text, ModeControl)
	whole := dscFile
	whole.Name = "hello_2.10-3.dsc"
	fromDsc, err := SourcePackage(dsc, whole)
	if err != nil {
		t.Fatal(err)
	}
	want.Files[0] = whole
	if diff := cmp.Diff(want, fromDsc); diff != "" {
		t.Error(diff)
	}
	if got, want := fromDsc.Key()[:len("Psource hello 2.10-3 ")], "Psource hello 2.10-3 "; got != want {
		t.Errorf("key %q, want %q", got, want)
	}
}

func TestInstallerPackage(t *testing.T) {
	a, b := strings.Repeat("a", sha256Len), strings.Repeat("b", sha256Len)
	p := mustParse(t, b+"  ./netboot/mini.iso\n"+a+"  ./MANIFEST\n", ModeInstaller)
	got, err := InstallerPackage(p, "amd64")
	want := &Package{Kind: Installer, Name: "installer", Architecture: "amd64", Files: []File{
		{Name: "./MANIFEST", SHA256: a}, {Name: "./netboot/mini.iso", SHA256: b},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(err, diff)
	}
	if text := string(got.AppendStanza(nil, "")); text != a+"  ./MANIFEST\n"+b+"  ./netboot/mini.iso\n" {
		t.Errorf("written as %q", text)
	}
	if list := got.Details()[""]; list != a+"  ./MANIFEST\n"+b+"  ./netboot/mini.iso" {
		t.Errorf("details have %q", list)
	}
	for line, want := range map[string]error{
		a:                   ErrSums,
		"aa  ./x":           ErrSums,
		a + "  ../x":        ErrInvalid,
		a + "  ./x/../../y": ErrInvalid,
		a + "  /etc/passwd": ErrInvalid,
		a + "  ././x":       ErrInvalid,
		a + "  x//y":        ErrInvalid,
		a + "  " + strings.Repeat("x/", MaxFileNameLen/2) + "x": ErrInvalid,
	} {
		if _, err := InstallerPackage(Paragraph{{"", line}}, "amd64"); !errors.Is(err, want) {
			t.Errorf("%q: error %v, want %v", line, err, want)
		}
	}
	if _, err := InstallerPackage(p, "../x"); !errors.Is(err, ErrInvalid) {
		t.Errorf("architecture: error %v, want ErrInvalid", err)
	}
}

// TestInstallerFiles collides files with the list of an installer.
func TestInstallerFiles(t *testing.T) {
	var files []File
	names := []string{"./SHA256SUMS", "SHA256SUMS", "./SHA256SUMS.gpg", "./by-hash", "./by-hash/SHA256/x", "./SHA256SUMS/x", "../x", "/x", "./x/../../SHA256SUMS",
		"./netboot/linux", "netboot/linux", "./netboot/linux/x", "./netboot", "./netboot/by-hash/x", "./netboot/SHA256SUMS", "./SHA256SUMS2"}
	for _, name := range names {
		files = append(files, File{Name: name})
	}
	good, bad := InstallerFiles(files)
	if diff := cmp.Diff([]File{{Name: "./netboot/linux"}, {Name: "./netboot/SHA256SUMS"}, {Name: "./SHA256SUMS2"}}, good); diff != "" || len(bad) != len(names)-3 {
		t.Error(diff, bad)
	}
}

func TestSourceOf(t *testing.T) {
	tests := []struct {
		p                *Package
		name, version    string
		qName, qVersion  string
		poolDir, problem string
	}{
		{&Package{Name: "hello", Version: "1"}, "hello", "1", "hello", "1", "h/hello", ""},
		{&Package{Name: "hello-doc", Version: "1", Source: "hello"}, "hello", "1", "hello", "1", "h/hello", ""},
		{&Package{Name: "libfoo1", Version: "1+b1", Source: "libfoo (1)"}, "libfoo", "1", "libfoo", "1", "libf/libfoo", ""},
		{&Package{Name: "x", Version: "1", Source: "odd (1"}, "odd", "1", "odd", "1", "o/odd", ""},
		{&Package{Name: "lib", Version: "1"}, "lib", "1", "lib", "1", "lib/lib", ""},
		{&Package{Name: "li", Version: "1"}, "li", "1", "li", "1", "l/li", ""},
		{&Package{Kind: Source, Name: "libx", Version: "2"}, "libx", "2", "", "", "libx/libx", ""},
		{&Package{Name: "xx", Version: "1", Source: "x (2)"}, "x", "2", "x", "2", "x/x", ""},
		{&Package{Name: "r", Version: "1"}, "r", "1", "r", "1", "r/r", ""},
		// An invalid Source stays verbatim; the directory follows the package's
		// name.
		{&Package{Name: "xx", Version: "1", Source: "../y"}, "../y", "1", "../y", "1", "x/xx", ""},
		{&Package{Name: "libx1", Version: "1", Source: "https://example.org/foo.git"}, "https://example.org/foo.git", "1", "https://example.org/foo.git", "1", "libx/libx1", ""},
		{&Package{Name: "xx", Version: "1", Source: "Some Product (2)"}, "Some Product", "2", "Some Product", "2", "x/xx", ""},
		{&Package{Name: "xx", Version: "1", Source: "team/foo"}, "team/foo", "1", "team/foo", "1", "x/xx", ""},
		{&Package{Name: "xx", Version: "1", Source: "(1)"}, "", "1", "", "1", "x/xx", ""},
		{&Package{Name: "../y", Version: "1"}, "../y", "1", "../y", "1", "", `invalid package name "../y"`},
	}
	for _, test := range tests {
		if name, version := test.p.SourceName(), test.p.SourceVersion(); name != test.name || version != test.version {
			t.Errorf("%+v: source %q %q, want %q %q", test.p, name, version, test.name, test.version)
		}
		if n, v := test.p.Field("$Source"), test.p.Field("$SourceVersion"); n != test.qName || v != test.qVersion {
			t.Errorf("%+v: queries see source %q %q, want %q %q", test.p, n, v, test.qName, test.qVersion)
		}
		dir, err := test.p.PoolDir()
		if dir != test.poolDir || (err == nil) != (test.problem == "") || err != nil && err.Error() != test.problem {
			t.Errorf("%+v: pool directory %q, %v, want %q, %s", test.p, dir, err, test.poolDir, test.problem)
		}
	}
}

func TestField(t *testing.T) {
	binary := &Package{
		Name: "casepkg", Version: "1", Architecture: "amd64", Source: "srcpkg (1.9)",
		Depends: []string{"a", "b | c"}, Extra: map[string]string{"Section": "x", "Build-Depends": "odd"},
		Files: []File{helloFile},
	}
	source := &Package{
		Kind: Source, Name: "s1", Version: "2", Architecture: "source", SourceArchitecture: "any all",
		BuildDepends: []string{"d", "e"}, Extra: map[string]string{"Directory": "pool", "Depends": "odd"},
	}
	tests := []struct {
		p    *Package
		want map[string]string
	}{
		{binary, map[string]string{
			"Name": "casepkg", "Package": "", "Version": "1", "$Version": "1", "Architecture": "amd64", "$Architecture": "amd64",
			"$PackageType": "deb", "Source": "srcpkg (1.9)", "Depends": "a, b | c", "Section": "x", "section": "",
			"Pre-Depends": "", "Build-Depends": "odd", "Filename": "", "Size": "", "MD5sum": "", "SHA256": "", "Key": "", "$X": "",
		}},
		{source, map[string]string{
			"Name": "s1", "Architecture": "any all", "$Architecture": "source", "$PackageType": "source", "Source": "",
			"Build-Depends": "d, e", "Directory": "pool", "Files": "", "Checksums-Sha1": "", "Depends": "odd",
		}},
		{&Package{Kind: Udeb}, map[string]string{"$PackageType": "udeb"}},
		{&Package{Kind: Installer}, map[string]string{"$PackageType": "deb"}},
	}
	for _, test := range tests {
		got := make(map[string]string)
		for name := range test.want {
			got[name] = test.p.Field(name)
		}
		if !maps.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.p, got, test.want)
		}
	}
}

func TestSetFile(t *testing.T) {
	var p Package
	for _, f := range []File{{Name: "b"}, {Name: "c"}, {Name: "a"}, {Name: "b", Size: 1}} {
		p.SetFile(f)
	}
	if want := []File{{Name: "a"}, {Name: "b", Size: 1}, {Name: "c"}}; !reflect.DeepEqual(p.Files, want) {
		t.Errorf("%+v, want %+v", p.Files, want)
	}
}

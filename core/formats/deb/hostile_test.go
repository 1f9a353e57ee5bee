package deb_test

import (
	"archive/tar"
	"errors"
	"slices"
	"strings"
	"testing"

	"aptless/core/formats/deb"
)

// hostileControls returns archives with one entry each that is not the control file.
func hostileControls(t testing.TB) map[string]string {
	named := func(h tar.Header) string { return tarArchive(t, h) }
	return map[string]string{
		"hard link":        named(tar.Header{Typeflag: tar.TypeLink, Name: "./control", Linkname: "/etc/shadow"}),
		"symbolic link":    named(tar.Header{Typeflag: tar.TypeSymlink, Name: "./control", Linkname: "../../etc/shadow"}),
		"character device": named(tar.Header{Typeflag: tar.TypeChar, Name: "./control", Devmajor: 1, Devminor: 5}),
		"block device":     named(tar.Header{Typeflag: tar.TypeBlock, Name: "./control", Devmajor: 8}),
		"pipe":             named(tar.Header{Typeflag: tar.TypeFifo, Name: "./control"}),
		"directory":        named(tar.Header{Typeflag: tar.TypeDir, Name: "./control/"}),
		"parent directory": named(file("../control")),
		"root directory":   named(file("/control")),
		"deeper":           named(file("./x/../control")),
		"other case":       named(file("./CONTROL")),
		"nothing":          tarArchive(t),
	}
}

// TestOnlyARegularFileIsControl reads packages whose control is another entry. None of
// them is followed, and no package comes of it.
func TestOnlyARegularFileIsControl(t *testing.T) {
	for name, archive := range hostileControls(t) {
		control, paths, err := readBinary(t, arArchive(member{"control.tar", archive}, dataMember(t)))
		if !errors.Is(err, deb.ErrArchive) || err.Error() != "unable to find control file in P" || control != nil || paths != nil {
			t.Errorf("%s: control %q, paths %q, %v", name, control, paths, err)
		}
	}
}

// hostileSizes are sizes of a member that lie, as the ten bytes of its header.
func hostileSizes() []string {
	return []string{"-1", "+1", "0x10", "1e9", " 12", "1 2", "9999999999", "99999999999", "18446744073", "٣", "\x00\x00", "12\x00"}
}

// withSize returns an archive whose control.tar states a size.
func withSize(size, content string) string {
	header := []byte(strings.Repeat(" ", 60))
	copy(header, "control.tar")
	copy(header[48:], size)
	copy(header[58:], "`\n")
	return arArchive() + string(header) + content
}

// TestSizesOfMembersThatLie reads members whose size is no number, or larger than the file.
func TestSizesOfMembersThatLie(t *testing.T) {
	content := controlMember(t).data
	for _, size := range hostileSizes() {
		control, paths, err := readBinary(t, withSize(size, content))
		if !errors.Is(err, deb.ErrArchive) || control != nil || paths != nil {
			t.Errorf("size %q: control %q, paths %q, %v", size, control, paths, err)
		}
	}
}

// nested returns an archive as text, packed n times.
func nested(archive string, n int) string {
	for range n {
		archive = gzipped(archive)
	}
	return archive
}

// TestPathsOfDataArchivesAreText reads entries with hostile names. Their names are listed
// or dropped; a link's target is not read, and no entry is a directory's or a package's.
func TestPathsOfDataArchivesAreText(t *testing.T) {
	data := tarArchive(t,
		file("../../etc/passwd"), file("/etc/passwd"), file("./a/../../b"), file("./\x01"), file("./\xff\xfe"), file("./line\nfeed"), file("."),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./link", Linkname: strings.Repeat("../", 30) + "etc/shadow"},
		tar.Header{Typeflag: tar.TypeLink, Name: "./hard", Linkname: "/etc/shadow"},
		tar.Header{Typeflag: tar.TypeBlock, Name: "./disk", Devmajor: 8})
	control, paths, err := readBinary(t, arArchive(controlMember(t), member{"data.tar", data}))
	want := []string{"../../etc/passwd", "/etc/passwd", "\x01", "a/../../b", "disk", "hard", "link", "\xff\xfe", "."}
	slices.Sort(want)
	if err != nil || string(control) != controlText || !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q; %v", paths, want, err)
	}
	for n := 2; n < 6; n++ {
		_, paths, err := readBinary(t, arArchive(controlMember(t), member{"data.tar.gz", nested(data, n)}))
		if !errors.Is(err, deb.ErrDamaged) || paths != nil {
			t.Errorf("packed %d times: paths %q, %v", n, paths, err)
		}
	}
}

// TestNamesOfHostilePackages reads control files whose fields would lead elsewhere as parts
// of a path.
func TestNamesOfHostilePackages(t *testing.T) {
	const good = "Package: foo\nVersion: 1.0\nArchitecture: amd64\n"
	for _, field := range []string{
		"Architecture: ../all", "Architecture: /all", "Architecture: source", "Architecture: any", "Architecture: amd64/../all", "Architecture: ..",
		"Package: ../foo", "Package: foo/bar", "Package: .", "Package: ..", "Package: foo\x00", "Package: f\xffo", "Package: \u0430pt", "Package: " + strings.Repeat("x", 10<<10),
		"Version: 1/0", "Version: ../1", "Version: 1\x000", "Version: 1\xff", "Version: 1%2f0", "Version: " + strings.Repeat("1", 10<<10), "Version: 1\u20442",
	} {
		text := strings.Replace(good, field[:strings.IndexByte(field, ':')+1], "X-Was:", 1) + field + "\n"
		control, _, err := readBinary(t, arArchive(member{"control.tar", tarArchiveOf(t, text)}, dataMember(t)))
		if err != nil {
			t.Fatalf("%.40q: %v", field, err)
		}
		p, err := deb.ParseParagraph(string(control), deb.ModeControl)
		if err != nil {
			t.Fatalf("%.40q: %v", field, err)
		}
		if got, err := deb.BinaryPackage(p, deb.Binary, deb.File{Name: "foo.deb"}); !errors.Is(err, deb.ErrInvalid) {
			t.Errorf("%.40q: %v, %v", field, got, err)
		}
	}
}

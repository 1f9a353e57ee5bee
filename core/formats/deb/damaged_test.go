package deb_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	dsnet "github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"aptless/core/formats/deb"
)

// packed compresses text. suffix names the compression.
func packed(t testing.TB, suffix, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch suffix {
	case "":
		return text
	case ".gz":
		return gzipped(text)
	case ".xz":
		w, err = xz.NewWriter(&b)
	case ".zst":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	case ".bz2":
		w, err = dsnet.NewWriter(&b, nil)
	case ".lzma":
		w, err = lzma.NewWriter(&b)
	default:
		t.Fatal(suffix)
	}
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// suffixes returns the suffixes of all compressions of dpkg 1.21.22.
func suffixes() []string { return []string{"", ".gz", ".xz", ".zst", ".bz2", ".lzma"} }

// TestEveryCompressionOfDpkg reads data.tar and control.tar in each form that
// dpkg-deb 1.21.22 unpacks. There are all compressions, trailing NULs or junk,
// and a plain file named ".gz". Several streams in one file work for all
// compressions here, and for gzip in dpkg.
func TestEveryCompressionOfDpkg(t *testing.T) {
	control, data := controlMember(t).data, tarArchive(t, file("./usr/bin/foo"))
	tails := []string{"", "\x00", strings.Repeat("\x00", 3), strings.Repeat("\x00", 4), strings.Repeat("\x00", 16), strings.Repeat("\x00", 17), strings.Repeat("\x00", 512), "junk", "j", "junkjunkjunkjunk", "\x00\x00\x00\x00junk"}
	for _, suffix := range suffixes() {
		forms := map[string]func(text string) string{"plain in .gz": func(text string) string { return text }}
		if suffix != ".gz" {
			clear(forms)
		}
		for _, tail := range tails {
			forms[fmt.Sprintf("tail %q", tail)] = func(text string) string { return packed(t, suffix, text) + tail }
		}
		if suffix != ".lzma" {
			forms["two streams"] = func(text string) string {
				return packed(t, suffix, text[:700]) + packed(t, suffix, text[700:])
			}
		}
		for name, form := range forms {
			for _, in := range []string{
				arArchive(member{"control.tar.gz", gzipped(control)}, member{"data.tar" + suffix, form(data)}),
				arArchive(member{"control.tar" + suffix, form(control)}, member{"data.tar.gz", gzipped(data)}),
			} {
				got, paths, err := readBinary(t, in)
				if err != nil || string(got) != controlText || !slices.Equal(paths, []string{"usr/bin/foo"}) {
					t.Errorf("%s %s: control %q, paths %q, error %v", suffix, name, got, paths, err)
				}
			}
		}
	}
}

// TestDamagedIsRefused damages packages in each compression. An ErrDamaged
// results where dpkg-deb -c of 1.21.22 has status 2.
func TestDamagedIsRefused(t *testing.T) {
	control := controlMember(t)
	data := tarArchive(t, file("./usr/bin/foo")) + strings.Repeat("\x00", 10240)
	damaged := map[string]string{
		"no data.tar":     arArchive(control),
		"data is a stub":  arArchive(control, member{"data.tar.bz2", "xx"}),
		"plain in .xz":    arArchive(control, member{"data.tar.xz", data}),
		"plain in .zst":   arArchive(control, member{"data.tar.zst", data}),
		"plain in .bz2":   arArchive(control, member{"data.tar.bz2", data}),
		"empty .lzma":     arArchive(control, member{"data.tar.lzma", ""}),
		"header cut":      arArchive(control, member{"data.tar", data})[:200],
		"data first, cut": arArchive(member{"data.tar.zst", "xxxx"}, control),
		"tar cut":         arArchive(control, member{"data.tar", tarArchive(t, file("./a"))[:500]}),
	}
	// Not each decoder sees a changed byte before package archive/tar stumbles over
	// it, and no compression means no checksum but that of the headers.
	const size = 100 << 10
	content := rand.NewChaCha8([32]byte{})
	large := []byte(tarArchive(t, tar.Header{Typeflag: tar.TypeReg, Name: "./a", Size: size}, file("./b")))
	content.Read(large[512 : 512+size])
	second := slices.Clone(large)
	second[512+size] = 'X'
	for _, suffix := range suffixes() {
		text := packed(t, suffix, strings.Repeat("no tar\n", 1000))
		damaged["text, "+suffix] = arArchive(control, member{"data.tar" + suffix, text})
		damaged["header of the second entry, "+suffix] = arArchive(control, member{"data.tar" + suffix, packed(t, suffix, string(second))})
		if suffix == "" || suffix == ".lzma" { // their bytes may be anything
			continue
		}
		changed := []byte(packed(t, suffix, string(large)))
		changed[len(changed)/2] ^= 0xff
		damaged["a byte in the middle, "+suffix] = arArchive(control, member{"data.tar" + suffix, string(changed)})
	}
	for _, suffix := range suffixes() {
		body := packed(t, suffix, data)
		whole := strings.TrimSuffix(arArchive(control, member{"data.tar" + suffix, body}), "\n")
		for _, n := range []int{1, 2, 3, 50, len(body) / 2} {
			damaged[fmt.Sprintf("file cut by %d, %q", n, suffix)] = whole[:len(whole)-n]
		}
		if suffix != "" {
			damaged["stream cut, "+suffix] = arArchive(control, member{"data.tar" + suffix, body[:len(body)-3]})
		}
		if suffix == ".gz" || suffix == ".xz" || suffix == ".bz2" {
			changed := []byte(body)
			changed[len(changed)-10] ^= 0x55
			damaged["checksum, "+suffix] = arArchive(control, member{"data.tar" + suffix, string(changed)})
		}
	}
	for name, in := range damaged {
		got, paths, err := readBinary(t, in)
		if !errors.Is(err, deb.ErrDamaged) || !errors.Is(err, deb.ErrArchive) || got != nil || paths != nil {
			t.Errorf("%s: control %q, paths %q, error %v", name, got, paths, err)
		}
	}
	in := arArchive(control, member{"data.tar", data})
	want := fmt.Sprintf("P is truncated: 1000 of the %d bytes of data.tar are missing", len(data))
	if _, _, err := readBinary(t, in[:len(in)-1000]); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestFormatOfArchives varies the order of members that deb(5) sets. dpkg-deb
// 1.21.22 refuses each archive that is refused here or has a warning. It takes
// the others.
func TestFormatOfArchives(t *testing.T) {
	version, control, data := versionMember(), controlMember(t), dataMember(t)
	other := member{"control.tar.gz", gzipped(tarArchive(t, file("./control")))}
	for name, c := range map[string]struct {
		members []member
		refused string // a part of the error
		warned  string // a part of the warning
	}{
		"whole":                       {[]member{version, control, data}, "", ""},
		"2.1":                         {[]member{{"debian-binary", "2.1\n"}, control, data}, "", ""},
		"more lines":                  {[]member{{"debian-binary", "2.0\nmore\n"}, control, data}, "", ""},
		"underscores":                 {[]member{version, {"_a", "x"}, control, {"_b", "x"}, data, {"_c", "x"}}, "", ""},
		"members after data":          {[]member{version, control, data, {"x", "y"}, version, other, data}, "", ""},
		"no debian-binary":            {[]member{control, data}, "does not begin with the member debian-binary", ""},
		"debian-binary is second":     {[]member{{"_a", "x"}, version, control, data}, "does not begin with the member debian-binary", ""},
		"debian-binary is last":       {[]member{control, data, version}, "does not begin with the member debian-binary", ""},
		"3.0":                         {[]member{{"debian-binary", "3.0\n"}, control, data}, "format version 3.0", ""},
		"1.0":                         {[]member{{"debian-binary", "1.0\n"}, control, data}, "format version 1.0", ""},
		"no dot":                      {[]member{{"debian-binary", "2\n"}, control, data}, "no valid format version", ""},
		"CRLF":                        {[]member{{"debian-binary", "2.0\r\n"}, control, data}, "no valid format version", ""},
		"no line feed":                {[]member{{"debian-binary", "2.0"}, control, data}, "no valid format version", ""},
		"empty":                       {[]member{{"debian-binary", ""}, control, data}, "no valid format version", ""},
		"words":                       {[]member{{"debian-binary", "abc\n"}, control, data}, "no valid format version", ""},
		"two control archives":        {[]member{version, control, other, data}, "two control archives", ""},
		"the same twice":              {[]member{version, control, control, data}, "two control archives", ""},
		"data first":                  {[]member{version, data, control}, "", "member data.tar is before control.tar"},
		"a stranger before control":   {[]member{version, {"extra", "x"}, control, data}, "", "member extra is between"},
		"a stranger before data":      {[]member{version, control, {"extra", "x"}, data}, "", "member extra is between"},
		"debian-binary twice":         {[]member{version, version, control, data}, "", "member debian-binary is between"},
		"control.tar.bz2":             {[]member{version, {"control.tar.bz2", packed(t, ".bz2", control.data)}, data}, "", "control.tar may not be compressed as control.tar.bz2 is"},
		"control.tar.lzma":            {[]member{version, {"control.tar.lzma", packed(t, ".lzma", control.data)}, data}, "", "control.tar may not be compressed as control.tar.lzma is"},
		"data.tar of the future":      {[]member{version, control, {"data.tar.foo", "x"}}, "unsupported tar compression in P: data.tar.foo", ""},
		"data.tar of the future, cut": {[]member{version, control, {"data.tar.foo", ""}}, "unsupported tar compression in P: data.tar.foo", ""},
	} {
		var warnings []string
		got, _, err := deb.ReadBinary(strings.NewReader(rawArchive(c.members...)), "P", deb.Growth{}, func(text string) { warnings = append(warnings, text) })
		said := strings.Join(warnings, "; ")
		if text := fmt.Sprint(err); c.refused == "" && err != nil || c.refused != "" && !strings.Contains(text, c.refused) {
			t.Errorf("%s: %v", name, err)
		}
		// With an unknown format, only the paths are unknown.
		if contents := (*deb.ContentsError)(nil); c.refused != "" && errors.As(err, &contents) != (got != nil) {
			t.Errorf("%s: control %q with %v", name, got, err)
		}
		if c.warned == "" && said != "" || c.warned != "" && !strings.HasPrefix(said, "dpkg refuses it: "+c.warned) {
			t.Errorf("%s: warned %q, want %q", name, said, c.warned)
		}
	}
}

package debtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Spec describes a binary package. The zero Spec is the package hello 1.0 all.
type Spec struct {
	Package      string            // "hello" if empty
	Version      string            // "1.0" if empty
	Architecture string            // "all" if empty
	Udeb         bool              // makes a .udeb
	Fields       map[string]string // of the control file, added or replacing the usual ones
	Files        map[string]string // contents by path, such as "usr/bin/hello"
	Compression  string            // "none", "gzip", "xz" (stored, not compressed), "packed xz" or "zstd"; "xz" if empty
}

func (s Spec) filled() Spec {
	s.Package = or(s.Package, "hello")
	s.Version = or(s.Version, "1.0")
	s.Architecture = or(s.Architecture, "all")
	s.Compression = or(s.Compression, "xz")
	return s
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// FileName returns Debian's file name of the package. The version in it has no
// epoch.
func FileName(s Spec) string {
	s = s.filled()
	suffix := ".deb"
	if s.Udeb {
		suffix = ".udeb"
	}
	return s.Package + "_" + withoutEpoch(s.Version) + "_" + s.Architecture + suffix
}

func withoutEpoch(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		return rest
	}
	return version
}

// Control returns the control file of the package.
func Control(s Spec) string {
	s = s.filled()
	return paragraph([][2]string{
		{"Package", s.Package},
		{"Version", s.Version},
		{"Architecture", s.Architecture},
		{"Maintainer", "Test <test@example.com>"},
		{"Section", "misc"},
		{"Priority", "optional"},
		{"Description", "package " + s.Package},
	}, s.Fields)
}

// paragraph writes the usual fields, whose values extra may replace. The rest of
// extra follows by name.
func paragraph(usual [][2]string, extra map[string]string) string {
	var b strings.Builder
	extra = maps.Clone(extra)
	for _, f := range usual {
		if value, ok := extra[f[0]]; ok {
			f[1] = value
			delete(extra, f[0])
		}
		fmt.Fprintf(&b, "%s: %s\n", f[0], f[1])
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		fmt.Fprintf(&b, "%s: %s\n", name, extra[name])
	}
	return b.String()
}

// Deb returns the package as a .deb or .udeb.
func Deb(s Spec) []byte {
	s = s.filled()
	suffix, ok := suffixes[s.Compression]
	if !ok {
		panic("debtest: unknown compression " + s.Compression)
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	arMember(&b, "debian-binary", []byte("2.0\n"))
	arMember(&b, "control.tar"+suffix, compress(tarball("./", map[string]string{"control": Control(s)}), s.Compression))
	arMember(&b, "data.tar"+suffix, compress(tarball("./", s.Files), s.Compression))
	return b.Bytes()
}

var suffixes = map[string]string{"none": "", "gzip": ".gz", "xz": ".xz", "packed xz": ".xz", "zstd": ".zst"}

// arMember writes a member of an ar archive (deb(5)).
func arMember(b *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, modified().Unix(), 0, 0, "100644", len(data))
	b.Write(data)
	if len(data)%2 == 1 {
		b.WriteByte('\n')
	}
}

// modified returns the time of every file.
func modified() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

// tarball returns an archive of files and their directories below root. root ends
// with a slash.
func tarball(root string, files map[string]string) []byte {
	names := map[string]bool{root: true}
	for name := range files {
		if path.IsAbs(name) || name != path.Clean(name) {
			panic("debtest: path not relative or not clean: " + name)
		}
		names[root+name] = true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			names[root+dir+"/"] = true
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		h := &tar.Header{Name: name, ModTime: modified(), Uname: "root", Gname: "root", Format: tar.FormatGNU}
		content := ""
		if strings.HasSuffix(name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		} else {
			content = files[strings.TrimPrefix(name, root)]
			h.Typeflag, h.Mode, h.Size = tar.TypeReg, 0o644, int64(len(content))
		}
		must(w.WriteHeader(h))
		must(io.WriteString(w, content))
	}
	must(w.Close())
	return b.Bytes()
}

// must panics if the last result is an error. Writing to memory fails only for
// invalid arguments.
func must(results ...any) {
	if err, ok := results[len(results)-1].(error); ok {
		panic(fmt.Errorf("debtest: %w", err))
	}
}

func compress(data []byte, format string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case "none":
		return data
	case "gzip":
		w = gzip.NewWriter(&b)
	case "xz":
		return storedXZ(data)
	case "packed xz":
		w, err = xz.WriterConfig{DictCap: 1 << 20}.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	}
	must(err)
	must(w.Write(data))
	must(w.Close())
	return b.Bytes()
}

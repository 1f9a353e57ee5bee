package debtest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SourceSpec describes a source package of format "3.0 (quilt)". The zero
// SourceSpec is hello 1.0-1.
type SourceSpec struct {
	Source       string            // "hello" if empty
	Version      string            // with a revision; "1.0-1" if empty
	Architecture string            // "any" if empty
	Binary       string            // the Source if empty
	Fields       map[string]string // of the .dsc, added or replacing the usual ones
	Files        map[string]string // contents of the upstream archive by path
}

func (s SourceSpec) filled() SourceSpec {
	s.Source = or(s.Source, "hello")
	s.Version = or(s.Version, "1.0-1")
	s.Architecture = or(s.Architecture, "any")
	s.Binary = or(s.Binary, s.Source)
	return s
}

// DscName returns Debian's file name of the .dsc.
func DscName(s SourceSpec) string {
	s = s.filled()
	return s.Source + "_" + withoutEpoch(s.Version) + ".dsc"
}

// Source returns the files of a source package by name: an unsigned .dsc, the
// upstream archive and the archive of debian/.
func Source(s SourceSpec) map[string][]byte {
	s = s.filled()
	version := withoutEpoch(s.Version)
	dash := strings.LastIndexByte(version, '-')
	if dash < 0 {
		panic("debtest: version without a revision: " + s.Version)
	}
	files := map[string][]byte{
		s.Source + "_" + version[:dash] + ".orig.tar.gz": compress(tarball(s.Source+"-"+version[:dash]+"/", s.Files), "gzip"),
		s.Source + "_" + version + ".debian.tar.xz": compress(tarball("debian/", map[string]string{
			"changelog":     changelog(s),
			"control":       fmt.Sprintf("Source: %s\n\nPackage: %s\nArchitecture: %s\n", s.Source, s.Binary, s.Architecture),
			"source/format": "3.0 (quilt)\n",
		}), "xz"),
	}
	dsc := paragraph([][2]string{
		{"Format", "3.0 (quilt)"},
		{"Source", s.Source},
		{"Binary", s.Binary},
		{"Architecture", s.Architecture},
		{"Version", s.Version},
		{"Maintainer", "Test <test@example.com>"},
		{"Standards-Version", "4.7.0"},
	}, s.Fields)
	files[DscName(s)] = []byte(dsc + checksums(files) + "Files:\n" + sums(files, func(data []byte) string {
		return fmt.Sprintf("%x %d", md5.Sum(data), len(data))
	}))
	return files
}

// changelog returns a debian/changelog with one entry (Debian policy 4.4).
func changelog(s SourceSpec) string {
	return fmt.Sprintf("%s (%s) unstable; urgency=medium\n\n  * Built.\n\n -- Test <test@example.com>  %s\n",
		s.Source, s.Version, modified().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

// ChangesSpec has the fields of a .changes beside its files.
type ChangesSpec struct {
	Source, Version string // "hello" and "1.0" if empty
	Architecture    string // "source all" if empty
	Binary          string // the Source if empty
	Distribution    string // "unstable" if empty
	Fields          map[string]string
}

// Changes returns an unsigned .changes for files by name.
func Changes(s ChangesSpec, files map[string][]byte) []byte {
	source := or(s.Source, "hello")
	text := paragraph([][2]string{
		{"Format", "1.8"},
		{"Date", modified().Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{"Source", source},
		{"Binary", or(s.Binary, source)},
		{"Architecture", or(s.Architecture, "source all")},
		{"Version", or(s.Version, "1.0")},
		{"Distribution", or(s.Distribution, "unstable")},
		{"Urgency", "medium"},
		{"Maintainer", "Test <test@example.com>"},
		{"Changed-By", "Test <test@example.com>"},
		{"Changes", "\n " + source + "\n .\n   * Built."},
	}, s.Fields)
	return []byte(text + checksums(files) + "Files:\n" + sums(files, func(data []byte) string {
		return fmt.Sprintf("%x %d misc optional", md5.Sum(data), len(data))
	}))
}

func checksums(files map[string][]byte) string {
	return "Checksums-Sha1:\n" + sums(files, func(data []byte) string {
		return fmt.Sprintf("%x %d", sha1.Sum(data), len(data))
	}) + "Checksums-Sha256:\n" + sums(files, func(data []byte) string {
		return fmt.Sprintf("%x %d", sha256.Sum256(data), len(data))
	})
}

// sums returns a line per file: describe(content), then the name.
func sums(files map[string][]byte, describe func([]byte) string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, " %s %s\n", describe(files[name]), name)
	}
	return b.String()
}

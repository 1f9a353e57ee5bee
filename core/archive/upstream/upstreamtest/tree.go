package upstreamtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// Component is a component of an archive. That of a flat archive is named "".
type Component struct {
	Packages []debtest.Spec
	Sources  []debtest.SourceSpec
}

// Spec describes an archive.
type Spec struct {
	Distribution  string               // "stable" if empty; "./" or "./dir/" for flat archives
	Components    map[string]Component // by name; a flat archive only has ""
	Architectures []string             // "amd64" if nil
	Suffixes      []string             // of the indexes: ".gz", ".xz", ".zst", ".bz2", ""; ".gz" and "" if nil
	ByHash        bool                 // indexes are served by digest only
	Fields        map[string]string    // of Release, added or replacing the usual ones
	Extra         map[string][]byte    // further listed files, by path relative to Release
	Signer        pgp.Signer           // nil leaves Release unsigned
	At            time.Time            // of the signature
}

// Tree holds the files of an archive by path relative to its root.
type Tree map[string][]byte

// Build returns the tree of an archive.
func Build(s Spec) Tree {
	if s.Distribution == "" {
		s.Distribution = "stable"
	}
	if s.Architectures == nil {
		s.Architectures = []string{"amd64"}
	}
	if s.Suffixes == nil {
		s.Suffixes = []string{".gz", ""}
	}
	tree := Tree{}
	indexes := map[string][]byte{}
	flat := strings.HasSuffix(s.Distribution, "/")
	for _, name := range slices.Sorted(maps.Keys(s.Components)) {
		s.component(tree, indexes, name, s.Components[name], flat)
	}
	dir := "dists/" + s.Distribution + "/"
	if flat {
		dir = strings.TrimPrefix(path.Clean(s.Distribution)+"/", "./")
	}
	listed := map[string][]byte{}
	for name, data := range indexes {
		for _, suffix := range s.Suffixes {
			listed[name+suffix] = Compress(data, suffix)
		}
		listed[name] = data // apt needs it listed, present or not
		if !slices.Contains(s.Suffixes, "") {
			defer delete(tree, dir+name)
		}
	}
	maps.Copy(listed, s.Extra)
	for name, data := range listed {
		if s.ByHash {
			tree[dir+path.Dir(name)+"/by-hash/SHA256/"+sums(name, data).SHA256] = data
			continue
		}
		tree[dir+name] = data
	}
	tree.sign(dir, s.release(listed), s.Signer, s.At)
	return tree
}

// component adds the files of a component to the tree and their stanzas to the
// indexes.
func (s Spec) component(tree Tree, indexes map[string][]byte, name string, c Component, flat bool) {
	if flat {
		indexes["Packages"], indexes["Sources"] = []byte{}, []byte{}
	} else {
		for _, arch := range s.Architectures {
			indexes[name+"/binary-"+arch+"/Packages"] = []byte{}
			indexes[name+"/debian-installer/binary-"+arch+"/Packages"] = []byte{}
		}
		indexes[name+"/source/Sources"] = []byte{}
	}
	for _, spec := range c.Packages {
		file := path.Join("pool", name, debtest.FileName(spec))
		data := debtest.Deb(spec)
		tree[file] = data
		f := sums(file, data)
		stanza := fmt.Appendf(nil, "%sFilename: %s\nSize: %d\nMD5sum: %s\nSHA256: %s\n\n", debtest.Control(spec), file, f.Size, f.MD5, f.SHA256)
		if flat {
			indexes["Packages"] = append(indexes["Packages"], stanza...)
			continue
		}
		kind := ""
		if spec.Udeb {
			kind = "debian-installer/"
		}
		for _, arch := range s.Architectures {
			if spec.Architecture == arch || spec.Architecture == "" || spec.Architecture == "all" {
				index := name + "/" + kind + "binary-" + arch + "/Packages"
				indexes[index] = append(indexes[index], stanza...)
			}
		}
	}
	for _, spec := range c.Sources {
		index := name + "/source/Sources"
		if flat {
			index = "Sources"
		}
		indexes[index] = append(indexes[index], source(tree, path.Join("pool", name, spec.Source), spec)...)
	}
}

// source adds a source package to the tree and returns its stanza in Sources.
func source(tree Tree, dir string, spec debtest.SourceSpec) []byte {
	files := debtest.Source(spec)
	var stanza bytes.Buffer
	dsc := files[debtest.DscName(spec)]
	for line := range strings.SplitSeq(string(dsc), "\n") {
		name, _, _ := strings.Cut(line, ":")
		switch {
		case name == "Source":
			line = "Package" + strings.TrimPrefix(line, "Source")
		case name == "Files", name == "Checksums-Sha1", name == "Checksums-Sha256", strings.HasPrefix(line, " "), line == "":
			continue
		}
		stanza.WriteString(line + "\n")
	}
	fmt.Fprintf(&stanza, "Directory: %s\n", dir)
	for _, list := range []string{"Files", "Checksums-Sha256"} {
		fmt.Fprintf(&stanza, "%s:\n", list)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			f := sums(name, files[name])
			digest := f.SHA256
			if list == "Files" {
				digest = f.MD5
			}
			fmt.Fprintf(&stanza, " %s %d %s\n", digest, f.Size, name)
			tree[dir+"/"+name] = files[name]
		}
	}
	return append(stanza.Bytes(), '\n')
}

// release returns the text of Release.
func (s Spec) release(listed map[string][]byte) []byte {
	components := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Components)), func(c string) bool { return c == "" })
	fields := map[string]string{
		"Origin": "Upstream", "Suite": "stable", "Codename": "trixie", "Date": "Sat, 11 Jul 2026 10:16:37 UTC",
		"Architectures": strings.Join(s.Architectures, " "), "Components": strings.Join(components, " "),
	}
	if s.ByHash {
		fields["Acquire-By-Hash"] = "yes"
	}
	maps.Copy(fields, s.Fields)
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, fields[name])
		}
	}
	for _, list := range []string{"MD5Sum", "SHA256"} {
		fmt.Fprintf(&b, "%s:\n", list)
		for _, name := range slices.Sorted(maps.Keys(listed)) {
			f := sums(name, listed[name])
			digest := f.SHA256
			if list == "MD5Sum" {
				digest = f.MD5
			}
			fmt.Fprintf(&b, " %s %d %s\n", digest, f.Size, name)
		}
	}
	return b.Bytes()
}

// sign adds Release and its signatures to the tree.
func (t Tree) sign(dir string, release []byte, signer pgp.Signer, at time.Time) {
	t[dir+"Release"] = release
	if signer == nil {
		return
	}
	var clear, detached bytes.Buffer
	must(signer.Clearsign(context.Background(), &clear, release, at))
	must(signer.DetachSign(context.Background(), &detached, release, at))
	t[dir+"InRelease"], t[dir+"Release.gpg"] = clear.Bytes(), detached.Bytes()
}

func sums(name string, data []byte) deb.File {
	h := deb.NewHasher()
	h.Write(data)
	return h.File(name)
}

// Compress packs data in the format of a file suffix.
func Compress(data []byte, suffix string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch suffix {
	case "":
		return data
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".xz":
		w, err = xz.NewWriter(&b)
	case ".zst":
		w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	case ".bz2":
		w, err = bzip2.NewWriter(&b, nil)
	default:
		err = fmt.Errorf("unknown suffix %q", suffix)
	}
	must(err)
	_, err = w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// must panics, since an error is a mistake of the test.
func must(err error) {
	if err != nil {
		panic(fmt.Errorf("upstreamtest: %w", err))
	}
}

package apptest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// SigningTime is the creation time of the keys of Signer.
var SigningTime = time.Date(2010, 1, 2, 3, 4, 5, 0, time.UTC)

// Signer returns a signer with a new key.
func Signer(t testing.TB) pgp.Signer {
	t.Helper()
	key, err := pgp.Generate("Test", "test@example.org", pgp.Ed25519, SigningTime)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// Deb builds a binary package with one file (deb(5)).
func Deb(name, version, arch string) []byte {
	archive := func(file, text string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		w.WriteHeader(&tar.Header{Name: file, Size: int64(len(text)), Mode: 0o644})
		io.WriteString(w, text)
		w.Close()
		return b.Bytes()
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar", archive("./control", fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: A <a@example.org>\nDescription: d\n", name, version, arch))},
		{"data.tar", archive("./usr/share/"+name, version)},
	} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
	}
	return b.Bytes()
}

// DebKey returns the key of the package that Deb builds with version 1 for amd64.
func DebKey(name string) string {
	data := Deb(name, "1", "amd64")
	h := deb.NewHasher()
	h.Write(data)
	control := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: amd64\n", name)
	paragraph, err := deb.ParseParagraph(control, deb.ModeControl)
	if err != nil {
		panic(err)
	}
	p, err := deb.BinaryPackage(paragraph, deb.Binary, h.File(name+"_1_amd64.deb"))
	if err != nil {
		panic(err)
	}
	return p.Key()
}

// Fill creates a local repository with packages.
func (p *Process) Fill(t *testing.T, repo string, debs ...[]byte) {
	t.Helper()
	p.Must(t, "POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, repo), nil)
	if len(debs) > 0 {
		p.Add(t, repo, debs...)
	}
}

// Add imports packages into a local repository. Their files are p0.deb, p1.deb …
func (p *Process) Add(t *testing.T, repo string, debs ...[]byte) {
	t.Helper()
	files := map[string][]byte{}
	for i, data := range debs {
		files[fmt.Sprintf("p%d.deb", i)] = data
	}
	if code, got := p.Form(t, "of-"+repo, files); code != 200 {
		t.Fatalf("upload for %s: %d %s", repo, code, got)
	}
	var report struct{ FailedFiles []string }
	if p.Must(t, "POST", "/api/repos/"+repo+"/file/of-"+repo, "", &report); len(report.FailedFiles) > 0 {
		t.Fatalf("failed files %v", report.FailedFiles)
	}
}

// Stock creates a local repository with packages, binary ones and sources.
func (p *Process) Stock(t *testing.T, repo string, sources []debtest.SourceSpec, specs ...debtest.Spec) {
	t.Helper()
	p.Must(t, "POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, repo), nil)
	files := map[string][]byte{}
	for _, spec := range specs {
		files[debtest.FileName(spec)] = debtest.Deb(spec)
	}
	for _, spec := range sources {
		maps.Copy(files, debtest.Source(spec))
	}
	if len(files) == 0 {
		return
	}
	if code, got := p.Form(t, "of-"+repo, files); code != 200 {
		t.Fatalf("upload for %s: %d %s", repo, code, got)
	}
	var report struct {
		FailedFiles []string
		Report      struct{ Added []string }
	}
	p.Must(t, "POST", "/api/repos/"+repo+"/file/of-"+repo, "", &report)
	if len(report.FailedFiles) > 0 || len(report.Report.Added) != len(specs)+len(sources) {
		t.Fatalf("import: %+v", report)
	}
}

// Keys returns the keys of the packages at a path, for example "/api/repos/r".
func (p *Process) Keys(t *testing.T, path string) []string {
	t.Helper()
	var keys []string
	p.Must(t, "GET", path+"/packages", "", &keys)
	return keys
}

// Names returns the packages at path, "name_version_arch", in the order of
// their keys.
func (p *Process) Names(t *testing.T, path string) string {
	t.Helper()
	keys := p.Keys(t, path)
	names := make([]string, len(keys))
	for i, key := range keys {
		parts := strings.Fields(strings.TrimPrefix(key, "P"))
		names[i] = parts[1] + "_" + parts[2] + "_" + parts[0]
	}
	return strings.Join(names, " ")
}

// Short returns keys without the prefix "P" and the hash of their files.
func Short(keys []string) string {
	for i, key := range keys {
		keys[i] = strings.TrimPrefix(key[:strings.LastIndexByte(key, ' ')], "P")
	}
	return strings.Join(keys, ", ")
}

// JSON returns the JSON of v.
func JSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

package apptest

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
)

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

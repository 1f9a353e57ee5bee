package index

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// archive has the paths of packages.
type archive map[string][]string

func (a archive) read(_ context.Context, key string) (Paths, error) {
	paths, ok := a[key]
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, driver.ErrNotFound)
	}
	return found{paths: paths}, nil
}

// found are the paths of a package, or why they cannot be read.
type found struct {
	paths []string
	why   string
}

func (p found) Use(_ context.Context, f func([]byte) error) (string, error) {
	for _, path := range p.paths {
		if err := f([]byte(path)); err != nil {
			return "", err
		}
	}
	return p.why, nil
}

// with returns a package that has paths, in a section.
func (a archive) with(name, version, arch, section string, paths ...string) *deb.Package {
	p := &deb.Package{Name: name, Version: version, Architecture: arch, Extra: map[string]string{}}
	if section != "" {
		p.Extra["Section"] = section
	}
	p.Files = []deb.File{{Name: fmt.Sprint(name, "_", version, "_", arch, ".deb"), Size: int64(len(paths)), SHA256: strings.Repeat("0", 64)}}
	slices.Sort(paths)
	a[p.Key()] = slices.Compact(paths)
	return p
}

// contentsOf stages the Contents of lists and returns the manifest with them.
func (w *world) contentsOf(t tester, lists map[string]*pkglist.List, prev *Set) *Set {
	t.Helper()
	m := &Set{Lists: map[string]Published{}, ByHash: true}
	for name, l := range lists {
		m.Lists[name] = Published{List: l.Ref()}
	}
	var err error
	m.Indexes, m.Contents, err = w.stager().Contents(context.Background(), prev, nil, lists, func(format string, args ...any) { t.Fatalf(format, args...) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// texts returns the texts of the Contents that a manifest names.
func (w *world) texts(t tester, m *Set) map[string]string {
	t.Helper()
	objects := w.Objects("public/")
	texts := map[string]string{}
	for _, x := range m.Indexes {
		packed := objects["public/dists/stable/"+path.Join(path.Dir(x.Path), "by-hash/SHA256", x.GZ.SHA256)]
		zip, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(zip)
		if err != nil {
			t.Fatal(err)
		}
		if sumOf(text) != x.Plain || sumOf([]byte(packed)) != x.GZ {
			t.Fatalf("%s is not as its manifest says", x.Path)
		}
		texts[x.Path] = string(text)
	}
	return texts
}

// expect computes Contents the plain way.
func expect(a archive, archs []string, packages map[string][]*deb.Package) map[string]string {
	lines := map[string]map[string][]string{} // by index and path: the packages that have it
	note := func(index, path, name string) {
		if lines[index] == nil {
			lines[index] = map[string][]string{}
		}
		lines[index][path] = append(lines[index][path], name)
	}
	for component, list := range packages {
		for _, p := range list {
			kind := map[deb.Kind]string{deb.Binary: "Contents-", deb.Udeb: "Contents-udeb-"}[p.Kind]
			for _, arch := range archs {
				if kind == "" || p.Architecture != arch && p.Architecture != "all" {
					continue
				}
				name := p.Name
				if s := p.Extra["Section"]; s != "" {
					name = s + "/" + name
				}
				for _, path := range a[p.Key()] {
					note(kind+arch, path, name)
					note(component+"/"+kind+arch, path, name)
				}
			}
		}
	}
	texts := map[string]string{}
	for index, of := range lines {
		var text strings.Builder
		text.WriteString("FILE LOCATION\n")
		for _, path := range slices.Sorted(maps.Keys(of)) {
			slices.Sort(of[path])
			text.WriteString(path + " " + strings.Join(slices.Compact(of[path]), ",") + "\n")
		}
		texts[index] = text.String()
	}
	return texts
}

func TestContents(t *testing.T) {
	w, a := newWorld(), archive{}
	w.st.Paths = a.read
	w.st.Header.Architectures = []string{"amd64", "arm64", "source"}
	alpha := a.with("alpha", "1", "amd64", "misc", "usr/share/alpha/file.txt", "usr/share/common")
	beta := a.with("beta", "2", "all", "net", "usr/share/common")
	older := a.with("beta", "1", "all", "net", "usr/share/common", "usr/share/with space")
	lists := map[string]*pkglist.List{"main": w.edit(t, nil, []*deb.Package{alpha, beta, older}, nil)}
	got := w.texts(t, w.contentsOf(t, lists, &Set{}))
	amd64 := "FILE LOCATION\nusr/share/alpha/file.txt misc/alpha\nusr/share/common misc/alpha,net/beta\nusr/share/with space net/beta\n"
	arm64 := "FILE LOCATION\nusr/share/common net/beta\nusr/share/with space net/beta\n"
	want := map[string]string{"Contents-amd64": amd64, "main/Contents-amd64": amd64, "Contents-arm64": arm64, "main/Contents-arm64": arm64}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	w.st.Paths = nil
	if m := w.contentsOf(t, lists, &Set{}); len(m.Indexes) > 0 || m.Contents != nil {
		t.Errorf("although they are to be skipped: %+v", m)
	}
}

// TestContentsUnreadable says which package has no readable paths, and goes on.
func TestContentsUnreadable(t *testing.T) {
	w, a := newWorld(), archive{}
	w.st.Header.Architectures = []string{"amd64"}
	good, bad := a.with("good", "1", "amd64", "", "usr/good"), a.with("bad", "1", "amd64", "", "usr/bad")
	w.st.Paths = func(ctx context.Context, key string) (Paths, error) {
		if key == bad.Key() {
			return found{why: "broken archive"}, nil
		}
		return a.read(ctx, key)
	}
	lists := map[string]*pkglist.List{"main": w.edit(t, nil, []*deb.Package{good, bad}, nil)}
	m, said := &Set{}, ""
	var err error
	m.Indexes, m.Contents, err = w.stager().Contents(t.Context(), &Set{}, nil, lists, func(format string, args ...any) { said += fmt.Sprintf(format, args...) })
	if err != nil {
		t.Fatal(err)
	}
	if want := "@y[!]@| @!Failed to generate package contents: @| broken archive\n"; said != want {
		t.Errorf("output is %q, want %q", said, want)
	}
	if got := w.texts(t, m)["Contents-amd64"]; got != "FILE LOCATION\nusr/good good\n" {
		t.Errorf("Contents is %q", got)
	}
}

// many are packages with paths, of all kinds, some of them with the same paths.
func many(a archive, from, to int) []*deb.Package {
	var list []*deb.Package
	for n := from; n < to; n++ {
		p := pkg(n)
		if n%9 > 0 {
			p.Extra["Section"] = fmt.Sprint("s", n%3)
		} else {
			delete(p.Extra, "Section")
		}
		a[p.Key()] = nil
		if p.Kind != deb.Source {
			a[p.Key()] = []string{fmt.Sprint("usr/bin/p", n), fmt.Sprint("usr/lib/shared", n%50), fmt.Sprint("usr/share/doc/p", n)}
		}
		list = append(list, p)
	}
	return list
}

// TestContentsSpliced edits two components at random. Contents has the lines
// that the plain way computes. It has the same bytes as an index made from
// nothing.
func TestContentsSpliced(t *testing.T) {
	t.Parallel()
	const size = 900
	rapid.Check(t, func(t *rapid.T) {
		w, a := newWorld(), archive{}
		w.st.Paths = a.read
		w.st.Header.Architectures = []string{"amd64", "arm64"}
		pool := many(a, 0, size)
		packages := map[string][]*deb.Package{}
		lists := map[string]*pkglist.List{}
		prev := &Set{}
		for range rapid.IntRange(1, 4).Draw(t, "publications") {
			component := rapid.SampledFrom([]string{"main", "contrib"}).Draw(t, "component")
			from := rapid.IntRange(0, size-1).Draw(t, "from")
			to := min(size, from+rapid.SampledFrom([]int{1, 30, size}).Draw(t, "to"))
			if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
				lists[component] = w.edit(t, lists[component], nil, pool[from:to])
				packages[component] = slices.DeleteFunc(slices.Clone(packages[component]), func(p *deb.Package) bool { return slices.Contains(pool[from:to], p) })
			} else {
				lists[component] = w.edit(t, lists[component], pool[from:to], nil)
				for _, p := range pool[from:to] {
					if !slices.Contains(packages[component], p) {
						packages[component] = append(packages[component], p)
					}
				}
			}
			if rapid.IntRange(0, 5).Draw(t, "drop a component") == 0 {
				delete(lists, "contrib")
				delete(packages, "contrib")
			}
			m := w.contentsOf(t, lists, prev)
			if diff := cmp.Diff(expect(a, w.st.Header.Architectures, packages), w.texts(t, m)); diff != "" {
				t.Fatal(diff)
			}
			if diff := cmp.Diff(w.contentsOf(t, lists, &Set{}).Indexes, m.Indexes); diff != "" {
				t.Fatalf("spliced and made from nothing: %s", diff)
			}
			prev = m
		}
	})
}

// TestContentsRuns has more paths than are in memory at a time, at first and as
// a change.
func TestContentsRuns(t *testing.T) {
	t.Parallel()
	w, a := newWorld(), archive{}
	w.st.Paths = a.read
	w.st.Header.Architectures = []string{"amd64"}
	var packages []*deb.Package
	for n := range 5 {
		var paths []string
		for i := range maxEdits / 4 {
			paths = append(paths, fmt.Sprintf("usr/%06d/%d", i, n%3))
		}
		packages = append(packages, a.with(fmt.Sprint("p", n), "1", "amd64", "", paths...))
	}
	lists := map[string]*pkglist.List{"main": w.edit(t, nil, packages, nil)}
	first := w.contentsOf(t, lists, &Set{})
	want := expect(a, w.st.Header.Architectures, map[string][]*deb.Package{"main": packages})
	if got := w.texts(t, first); !maps.Equal(got, want) {
		t.Error("made of several runs, Contents has another text")
	}
	none := map[string]*pkglist.List{"main": w.edit(t, lists["main"], []*deb.Package{a.with("q", "1", "amd64", "", "one")}, packages)}
	last := w.texts(t, w.contentsOf(t, none, first))
	if got := last["main/Contents-amd64"]; got != "FILE LOCATION\none q\n" || len(last) != 2 {
		t.Errorf("after all but one path were removed: %d files, %.100q", len(last), got)
	}
}

// TestContentsRequests holds that one more package costs the same in a long list
// as in a short one, and nothing if nothing has changed.
func TestContentsRequests(t *testing.T) {
	t.Parallel()
	for _, size := range []int{3000, 12000} {
		w, a := newWorld(), archive{}
		w.st.Paths = a.read
		w.st.Header.Architectures = []string{"amd64"}
		lists := map[string]*pkglist.List{"main": w.edit(t, nil, many(a, 0, size), nil)}
		prev := w.contentsOf(t, lists, &Set{})
		calls := w.counted(func() { w.contentsOf(t, lists, prev) })
		// The roots of the list of packages and of that of paths.
		if diff := cmp.Diff(map[string]int{"Open": 2}, calls); diff != "" {
			t.Errorf("%d packages, no change: %s", size, diff)
		}
		more := a.with("package-00700", "9", "amd64", "misc", "usr/bin/new", "usr/share/doc/package-00700/copyright")
		lists["main"] = w.edit(t, lists["main"], []*deb.Package{more}, nil)
		calls = w.counted(func() { w.contentsOf(t, lists, prev) })
		// Its two paths are in two chunks. Both are read and written, and rendered
		// for two indexes. Copied pieces lie between them. More requests are made
		// where a chunk ends.
		if calls["Open"] > 30 || calls["Put"] > 10 {
			t.Errorf("%d packages and one more: %v", size, calls)
		}
	}
}

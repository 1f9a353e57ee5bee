package index

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
	"aptless/core/formats/members/memberstest"
)

// tester has the methods of testing.T that the T of a property has, too.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// world is a store of lists and the stager of one distribution.
type world struct {
	*drivertest.Memory
	st Stager
}

func newWorld() *world {
	w := &world{st: Stager{
		Zips: &sync.Pool{}, Lists: pkglist.Store{Chunks: &lists.Store{Epoch: func() int64 { return 1 }}},
		Dist: paths.Dist{Prefix: ".", Name: "stable"}, Header: Header{ByHash: true, Digests: deb.AllDigests}, Folder: "private/publish/x/1-1",
	}}
	w.use(drivertest.NewMemory(time.Now))
	return w
}

// use makes m the storage of the world.
func (w *world) use(m *drivertest.Memory) {
	w.Memory, w.st.Blobs, w.st.Lists.Chunks.Blobs = m, m.Blobs, m.Blobs
}

// stager returns a stager of a new attempt.
func (w *world) stager() *Stager {
	st := w.st
	return &st
}

// staged returns the key of a file of an index.
func staged(path string, o Object) string { return File{path, o}.ByHash("public/dists/stable")[0] }

// edit returns the list with packages added and removed.
func (w *world) edit(t tester, l *pkglist.List, add, remove []*deb.Package) *pkglist.List {
	t.Helper()
	ctx := context.Background()
	if l == nil {
		var err error
		if l, err = w.st.Lists.Open(ctx, pkglist.Ref{}); err != nil {
			t.Fatal(err)
		}
	}
	e := l.Edit()
	for _, p := range remove {
		e.Remove(deb.Key{Name: p.Name, Version: p.Version, Architecture: p.Architecture})
	}
	for _, p := range add {
		if err := e.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	l, err := e.Apply(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *world) index(t tester, sp spec, l *pkglist.List, prev *Index) *Index {
	t.Helper()
	x, err := w.stager().index(context.Background(), sp, l, prev)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// index stages one index.
func (st *Stager) index(ctx context.Context, sp spec, l *pkglist.List, prev *Index) (*Index, error) {
	made, err := st.stageAll(ctx, nil, []*wanted{st.packages(sp, l, prev)}, func([]Index) error { return nil })
	if err != nil {
		return nil, err
	}
	return &made[0], nil
}

// counted returns the calls of Blobs that f makes, by method.
func (w *world) counted(f func()) map[string]int {
	before := w.Counts()
	f()
	calls := map[string]int{}
	for name, n := range w.Counts() {
		if n -= before[name]; n > 0 {
			calls[strings.TrimPrefix(name, "Blobs.")] = n
		}
	}
	return calls
}

// pkg is a package whose name, version, architecture and kind the number says.
func pkg(n int) *deb.Package {
	p := &deb.Package{Name: fmt.Sprintf("package-%05d", n/2), Version: fmt.Sprint(1 + n%2), Architecture: []string{"amd64", "arm64", "all", "amd64", "source"}[n%5],
		Depends: []string{fmt.Sprintf("package-%05d", n*7%997)}, Extra: map[string]string{"Section": "misc", "Description": fmt.Sprintf(" number %d\n long\n", n)}}
	switch {
	case p.Architecture == deb.SourceArch:
		p.Kind, p.SourceArchitecture = deb.Source, "any"
	case n%7 == 0:
		p.Kind = deb.Udeb
	}
	digest := sha256.Sum256(fmt.Append(nil, n))
	p.Files = []deb.File{{Name: fmt.Sprint(p.Name, "_", p.Version, "_", p.Architecture, ".deb"), Size: int64(n), MD5: hex.EncodeToString(digest[:16]), SHA256: hex.EncodeToString(digest[:])}}
	return p
}

func pkgs(from, to int) []*deb.Package {
	var all []*deb.Package
	for n := from; n < to; n++ {
		all = append(all, pkg(n))
	}
	return all
}

var (
	amd64   = spec{Path: "main/binary-amd64/Packages", Component: "main", Arch: "amd64", Kind: deb.Binary, PoolDir: "pool/main"}
	udebs   = spec{Path: "main/debian-installer/binary-arm64/Packages", Component: "main", Arch: "arm64", Kind: deb.Udeb, PoolDir: "pool/main"}
	sources = spec{Path: "main/source/Sources", Component: "main", Arch: "source", Kind: deb.Source, PoolDir: "pool/main"}
)

// verify checks an index against the packages of its list, and that it is there
// under all its digests.
func (w *world) verify(t tester, sp spec, l *pkglist.List, x *Index) {
	t.Helper()
	var want []byte
	for p, err := range l.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		all := p.Architecture == "all" && sp.Arch != "source"
		if p.Kind == sp.Kind && (p.Architecture == sp.Arch || all) {
			want = append(p.AppendStanza(want, sp.PoolDir+"/p/"+p.Name), '\n')
		}
	}
	objects := w.Objects("public/")
	dir := "public/dists/stable/" + path.Dir(sp.Path) + "/by-hash/"
	plain, packed := objects[dir+"SHA256/"+x.Plain.SHA256], objects[dir+"SHA256/"+x.GZ.SHA256]
	if plain != string(want) {
		t.Fatalf("%s has %d bytes, want %d", sp.Path, len(plain), len(want))
	}
	if x.Plain != sumOf([]byte(plain)) || x.GZ != sumOf([]byte(packed)) {
		t.Fatalf("%s is not as its manifest says", sp.Path)
	}
	zip, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatalf("%s.gz: %v", sp.Path, err)
	}
	if got, err := io.ReadAll(zip); err != nil || string(got) != plain {
		t.Fatalf("%s.gz is %d bytes, %v", sp.Path, len(got), err)
	}
	files := []Object{x.Plain, x.GZ}
	if want := w.stager().Suffixes(!w.st.SkipBz2); len(x.More) != len(want) {
		t.Fatalf("%s has %d more files, want %v", sp.Path, len(x.More), want)
	}
	for _, v := range x.More {
		files = append(files, v.File)
		file := []byte(objects[dir+"SHA256/"+v.File.SHA256])
		if got, err := memberstest.Unpack(v.Suffix, file); err != nil || string(got) != plain || v.File != sumOf(file) {
			t.Fatalf("%s%s is %d bytes, %v", sp.Path, v.Suffix, len(got), err)
		}
	}
	for _, o := range files {
		for _, name := range []string{"MD5Sum/" + o.MD5, "SHA1/" + o.SHA1, "SHA512/" + o.SHA512} {
			if objects[dir+name] != objects[dir+"SHA256/"+o.SHA256] {
				t.Fatalf("%s is not there as %s", sp.Path, name)
			}
		}
	}
	if left := w.Objects("private/publish/"); len(left) > 0 {
		t.Fatalf("left behind: %d objects", len(left))
	}
}

func TestStanza(t *testing.T) {
	w := newWorld()
	p := &deb.Package{
		Name: "alpha", Version: "1.0", Architecture: "amd64", Depends: []string{"beta (>= 1)", "c | d"},
		Files: []deb.File{{Name: "alpha_1.0_amd64.deb", Size: 782, MD5: "7db32e1372d5c66f49c1f373f4cb9961", SHA1: "243b39fca75fff56fe2942cccd047753caca131a",
			SHA256: "ea31d52e5811fa1a722272933e5f79643891cd07512430ee54a0f6fc3dcee06d", SHA512: "890f91d9"}},
		Extra: map[string]string{"Priority": "optional", "Section": "misc", "Installed-Size": "5", "Maintainer": "T <t@example.com>", "Replaces": "old", "Breaks": "x",
			"Description": " short alpha\n long line one\n", "Bugs": "http://b", "Homepage": "http://h", "Multi-Arch": "same", "Zeta-Field": "z"},
	}
	x := w.index(t, amd64, w.edit(t, nil, []*deb.Package{p}, nil), nil)
	const want = `Package: alpha
Priority: optional
Section: misc
Installed-Size: 5
Maintainer: T <t@example.com>
Architecture: amd64
Version: 1.0
Replaces: old
Depends: beta (>= 1), c | d
Breaks: x
Filename: pool/main/a/alpha/alpha_1.0_amd64.deb
Size: 782
MD5sum: 7db32e1372d5c66f49c1f373f4cb9961
SHA1: 243b39fca75fff56fe2942cccd047753caca131a
SHA256: ea31d52e5811fa1a722272933e5f79643891cd07512430ee54a0f6fc3dcee06d
SHA512: 890f91d9
Description: short alpha
 long line one
Bugs: http://b
Homepage: http://h
Multi-Arch: same
Zeta-Field: z

`
	got := w.Objects("public/")["public/dists/stable/main/binary-amd64/by-hash/SHA256/"+x.Plain.SHA256]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEmpty has an index without packages, at first and after it had some.
func TestEmpty(t *testing.T) {
	w := newWorld()
	none := w.edit(t, nil, nil, nil)
	x := w.index(t, amd64, none, nil)
	w.verify(t, amd64, none, x)
	if x.Plain.Size != 0 {
		t.Errorf("an empty index has %d bytes", x.Plain.Size)
	}
	some := w.edit(t, none, pkgs(0, 10), nil)
	full := w.index(t, amd64, some, x)
	w.verify(t, amd64, some, full)
	onlyArm := w.edit(t, nil, []*deb.Package{pkg(1)}, nil)
	if got := w.index(t, amd64, onlyArm, full); got.GZ != x.GZ || got.Plain != x.Plain {
		t.Errorf("an index without packages of its architecture is %+v, want %+v", got, x)
	}
}

// TestRequests holds that one more package costs the same in a long list as in a
// short one, and nothing if nothing has changed.
func TestRequests(t *testing.T) {
	t.Parallel()
	sizes := []int{1000, 10_000}
	if !testing.Short() {
		sizes = append(sizes, 50_000)
	}
	for _, size := range sizes {
		w := newWorld()
		before := w.edit(t, nil, pkgs(0, size), nil)
		prev := w.index(t, amd64, before, nil)
		if calls := w.counted(func() { w.index(t, amd64, before, prev) }); len(calls) > 0 {
			t.Errorf("%d packages, no change: %v", size, calls)
		}
		p := pkg(size/2 + 1)
		p.Version, p.Architecture, p.Kind = "3", "amd64", deb.Binary
		after := w.edit(t, before, []*deb.Package{p}, nil)
		var x *Index
		calls := w.counted(func() { x = w.index(t, amd64, after, prev) })
		// The chunk of the package, and of each file the range before it
		// and the range after it.
		if diff := cmp.Diff(map[string]int{"Open": 7, "Put": 3, "Copy": 9}, calls); diff != "" {
			t.Errorf("%d packages and one more: %s", size, diff)
		}
		w.verify(t, amd64, after, x)
	}
}

// TestByHashTurnedOn stages under all digests the files that were staged under
// one, though the list is the same.
func TestByHashTurnedOn(t *testing.T) {
	w := newWorld()
	l := w.edit(t, nil, pkgs(0, 1000), nil)
	w.st.Header.ByHash = false
	off := w.index(t, amd64, l, nil)
	if n := len(w.Objects("public/")); n != 3 {
		t.Fatalf("%d objects without by-hash", n)
	}
	w.st.Header.ByHash = true
	on := w.index(t, amd64, l, off)
	w.verify(t, amd64, l, on)
	if on.Plain != off.Plain || on.GZ != off.GZ {
		t.Error("the files differ")
	}
	w.st.Header.ByHash = false
	if calls := w.counted(func() { w.index(t, amd64, l, on) }); len(calls) > 0 {
		t.Errorf("turned off again: %v", calls)
	}
}

// TestIndexFails fails each call in turn: the error comes out, and nothing under
// a digest is anything else.
func TestIndexFails(t *testing.T) {
	t.Parallel()
	w := newWorld()
	before := w.edit(t, nil, pkgs(0, 1500), nil)
	prev := w.index(t, amd64, before, nil)
	after := w.edit(t, before, []*deb.Package{pkg(2001), pkg(2003)}, []*deb.Package{pkg(700)})
	run := func(fault ...drivertest.Fault) (*drivertest.Faults, *world, error) {
		faulty := newWorld()
		faulty.use(w.Clone())
		f := drivertest.NewFaults(faulty.Memory.Blobs, nil, nil, fault...)
		faulty.st.Blobs, faulty.st.Lists.Chunks.Blobs, faulty.st.Lists.Chunks.Parallel = f.Blobs, f.Blobs, 1
		l, err := faulty.st.Lists.Open(t.Context(), after.Ref())
		if err != nil {
			return f, faulty, err
		}
		_, err = faulty.stager().index(t.Context(), amd64, l, prev)
		return f, faulty, err
	}
	peace, _, err := run()
	if err != nil {
		t.Fatal(err)
	}
	calls := peace.Calls()
	if n := len(slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return !strings.HasPrefix(c, "Blobs.Open public/") })); n == 0 {
		t.Fatalf("nothing is copied: %q", calls)
	}
	for i := range calls {
		for _, when := range []drivertest.When{drivertest.Before, drivertest.Midway, drivertest.After} {
			_, faulty, err := run(drivertest.Fault{Call: i + 1, When: when})
			if err == nil {
				t.Errorf("%s failed %v: no error", calls[i], when)
			}
			for key, content := range faulty.Objects("public/") {
				if o := sumOf([]byte(content)); !slices.Contains([]string{o.MD5, o.SHA1, o.SHA256, o.SHA512}, path.Base(key)) {
					t.Errorf("%s failed %v: %s has other bytes", calls[i], when, key)
				}
			}
		}
	}
}

// sumOf returns the object of some bytes with all digests.
func sumOf(data []byte) Object { return (&Stager{Header: Header{Digests: deb.AllDigests}}).sum(data) }

package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Entry is a file or a folder in the tree of a publication.
type Entry struct {
	Name   string
	Folder bool
	Size   int64  `json:",omitempty"` // bytes; 0 for a folder
	SHA256 string `json:",omitempty"` // "" for a folder, and for Release and its signatures
}

// Browse returns the entries of a folder of a publication, ascending by name. dir is a
// path below the prefix, such as "dists/stable/main" or "pool/main/h"; "" is the prefix
// itself. The manifest and the lists have the answer: nothing is listed. A folder of
// package files takes one read of each chunk of the lists. The error matches
// driver.ErrNotFound for a folder without entries.
func (s *Store) Browse(ctx context.Context, n Name, dir string) ([]Entry, error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return nil, err
	}
	m, err := s.manifest(ctx, p.Manifest)
	if err != nil {
		return nil, err
	}
	f := folder{dir: path.Clean("/" + dir)[1:], entries: map[string]Entry{}}
	if err := s.browseIndexes(ctx, &p, m, &f); err != nil {
		return nil, err
	}
	if f.dir == "" || f.dir == "pool" || strings.HasPrefix(f.dir, "pool/") {
		for _, c := range p.components() {
			if err := s.browsePackages(ctx, &p, m, c, &f); err != nil {
				return nil, err
			}
		}
	}
	if len(f.entries) == 0 {
		return nil, &notFound{"no folder " + dir + " in " + p.Dist().String()}
	}
	list := make([]Entry, 0, len(f.entries))
	for _, e := range f.entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Difference is a package by which two revisions of a publication differ. Component is that
// of the package.
type Difference struct {
	pkglist.Pair
	Component string
}

// Differences yields how two revisions of a publication differ: by component, then in the
// order of pkglist.Diff. Both are generations of kept revisions. to 0 is the current one,
// and from 0 is the one before to. An unknown one matches driver.ErrNotFound.
func (s *Store) Differences(ctx context.Context, n Name, from, to int64) (iter.Seq2[Difference, error], error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return nil, err
	}
	if to == 0 {
		to = p.Generation
	}
	var sides [2]map[string]Component
	for i, rev := range p.Revisions {
		if rev.Generation == to {
			sides[1] = rev.Components
			if from == 0 && i > 0 {
				from = p.Revisions[i-1].Generation
			}
		}
	}
	for _, rev := range p.Revisions {
		if rev.Generation == from {
			sides[0] = rev.Components
		}
	}
	for i, generation := range []int64{from, to} {
		if sides[i] == nil {
			return nil, &notFound{fmt.Sprintf("no revision %d of %s is kept", generation, p.Dist())}
		}
	}
	return func(yield func(Difference, error) bool) {
		names := maps.Clone(sides[0])
		maps.Copy(names, sides[1])
		for _, c := range slices.Sorted(maps.Keys(names)) {
			if !s.differ(ctx, &p, sides[0][c], sides[1][c], func(pair pkglist.Pair, err error) bool { return yield(Difference{pair, c}, err) }) {
				return
			}
		}
	}, nil
}

// differ yields how a component differs from its former state. It leaves out packages of
// architectures that the publication does not have.
func (s *Store) differ(ctx context.Context, p *Publication, before, after Component, yield func(pkglist.Pair, error) bool) bool {
	was, err := s.Lists.Open(ctx, before.List)
	if err != nil {
		return yield(pkglist.Pair{}, err) && false
	}
	is, err := s.Lists.Open(ctx, after.List)
	if err != nil {
		return yield(pkglist.Pair{}, err) && false
	}
	for pair, err := range pkglist.Diff(ctx, was, is) {
		if err == nil {
			key := pair.Left
			if key == "" {
				key = pair.Right
			}
			k, err := deb.ParseKey(key)
			if err == nil && !p.scope().Publishes(&deb.Package{Architecture: k.Architecture}) {
				continue
			}
		}
		if !yield(pair, err) {
			return false
		}
	}
	return true
}

// folder collects the entries of one folder.
type folder struct {
	dir     string
	mu      sync.Mutex
	entries map[string]Entry
}

// below returns the part of a path below the folder; ok is false if it is elsewhere.
func (f *folder) below(name string) (string, bool) {
	if f.dir == "" {
		return name, true
	}
	return strings.CutPrefix(name, f.dir+"/")
}

// add adds the entry of a file with a path.
func (f *folder) add(name string, e Entry) {
	rest, ok := f.below(name)
	if !ok || rest == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if first, _, nested := strings.Cut(rest, "/"); nested {
		f.entries[first] = Entry{Name: first, Folder: true}
		return
	}
	e.Name = rest
	f.entries[rest] = e
}

// browseIndexes adds the files below dists.
func (s *Store) browseIndexes(ctx context.Context, p *Publication, m *tree.Manifest, f *folder) error {
	d := p.Dist()
	for _, name := range m.Names(d.Name) {
		at := path.Join("dists", name)
		for _, file := range m.FilesIn(d, name) {
			e := Entry{Size: file.Size, SHA256: file.SHA256}
			f.add(path.Join(at, file.Path), e)
			if !m.ByHash {
				continue
			}
			for _, key := range file.ByHash(at) {
				f.add(key, e)
			}
		}
		for _, file := range m.Signatures() {
			e := Entry{}
			if f.dir == at {
				info, err := s.Blobs.Stat(ctx, m.ReleaseFolder(d, name)+"/"+file)
				if err != nil && !errors.Is(err, driver.ErrNotFound) {
					return err
				}
				e.Size = info.Size
			}
			f.add(path.Join(at, file), e)
		}
	}
	return nil
}

// browsePackages adds the package files of a component.
func (s *Store) browsePackages(ctx context.Context, p *Publication, m *tree.Manifest, c string, f *folder) error {
	from, d, scope := m.Lists[c], p.Dist(), p.scope()
	if _, ok := f.below(from.PoolDir + "/"); ok && len(f.dir) < len(from.PoolDir) {
		f.add(from.PoolDir+"/x", Entry{}) // a folder above all package files of the component
		return nil
	}
	list, err := s.Lists.Open(ctx, from.List)
	if err != nil {
		return err
	}
	selected := list.Whole()
	if !d.Hashed() { // the folder of a package is known without its files
		selected, err = list.Matching(ctx, func(*pkglist.Chunk) bool { return true }, new(deb.Part), func(pkg *deb.Package) bool {
			in, err := d.PackageDir(from.PoolDir, pkg)
			if err != nil || pkg.Kind == deb.Installer || !scope.Publishes(pkg) {
				return false
			}
			if in == f.dir {
				return true
			}
			f.add(in+"/x", Entry{})
			return false
		})
		if err != nil {
			return err
		}
	}
	for pkg, err := range selected.All(ctx) {
		if err != nil {
			return err
		}
		if pkg.Kind == deb.Installer || !scope.Publishes(pkg.Package) {
			continue
		}
		for _, file := range pkg.Files {
			if at, err := d.Location(c, from.PoolDir, pkg.Package, file); err == nil {
				f.add(at, Entry{Size: file.Size, SHA256: file.SHA256})
			}
		}
	}
	return nil
}

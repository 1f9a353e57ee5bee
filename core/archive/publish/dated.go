package publish

import (
	"context"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// snapshotForm is the form of a snapshot's ID: the time at which what it shows
// was current (apt's option --snapshot).
const snapshotForm = "20060102T150405Z"

// Dated returns the object of a file as it was published at a time, by the
// default storage: name is below the place of the ID, with the prefix.
// driver.ErrNotFound if there was none, it is not known any more, or the time
// has not come.
func (s *Store) Dated(ctx context.Context, id, name string) (key string, err error) {
	at, err := time.Parse(snapshotForm, id)
	if err != nil || at.After(s.Now()) {
		return "", driver.ErrNotFound
	}
	records, err := s.All(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range records {
		below := name
		if r.Prefix != "." {
			var ok bool
			if below, ok = strings.CutPrefix(name, r.Prefix+"/"); !ok {
				continue
			}
		}
		rev := r.at(at)
		if r.Storage != "" || r.Dropping || rev == nil {
			continue
		}
		if file, ok := strings.CutPrefix(below, "dists/"); ok {
			key, err = s.datedIndex(ctx, &r, rev, file)
		} else if strings.HasPrefix(below, "pool/") {
			key, err = s.datedPackage(ctx, &r, rev, below)
		}
		if key != "" || err != nil {
			return key, err
		}
	}
	return "", driver.ErrNotFound
}

// at returns the revision that was current at a time; nil if it is not known.
func (r *Record) at(at time.Time) *Revision {
	for i := range slices.Backward(r.Revisions) {
		if !r.Revisions[i].Date.After(at) {
			return &r.Revisions[i]
		}
	}
	return nil
}

// datedIndex returns the object of a file of the distribution, under any of the
// names that it had; "" if there is none.
func (s *Store) datedIndex(ctx context.Context, r *Record, rev *Revision, file string) (string, error) {
	known := func(name string) bool { return strings.HasPrefix(file, name+"/") }
	if !slices.ContainsFunc(append(rev.Aliases, r.Distribution), known) {
		return "", nil
	}
	m, err := s.manifest(ctx, rev.Manifest)
	if err != nil {
		return "", err
	}
	for _, tree := range m.trees(r) {
		file, ok := strings.CutPrefix(file, tree+"/")
		if !ok {
			continue
		}
		if slices.Contains(m.signatures(), file) {
			return m.releaseFolder(r, tree) + "/" + file, nil
		}
		for _, f := range r.in(tree, m.files()) {
			keys := byHashKeys(r, f.Path, f.object)
			if f.Path == file || slices.Contains(keys, r.dists()+"/"+file) {
				return keys[0], nil
			}
		}
	}
	return "", nil
}

// datedPackage returns the object of a package file; "" if there is none.
func (s *Store) datedPackage(ctx context.Context, r *Record, rev *Revision, file string) (string, error) {
	m, err := s.manifest(ctx, rev.Manifest)
	if err != nil {
		return "", err
	}
	dir, base := path.Split(file)
	names := []string{path.Base(dir)} // a source package has the name of its directory
	if name, _, ok := strings.Cut(base, "_"); ok && name != names[0] {
		names = append(names, name)
	}
	for _, c := range m.Lists {
		if !r.hashed() && !strings.HasPrefix(dir, c.PoolDir+"/") {
			continue
		}
		list, err := s.Lists.Open(ctx, c.List)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			key, err := s.packageFile(r, list.ByName(ctx, name), c.PoolDir, path.Clean(dir), base)
			if key != "" || err != nil {
				return key, err
			}
		}
	}
	return "", nil
}

// packageFile returns the object of a file of those of the packages that are in
// a directory.
func (s *Store) packageFile(r *Record, packages iter.Seq2[*deb.Package, error], poolDir, dir, base string) (string, error) {
	for p, err := range packages {
		if err != nil {
			return "", err
		}
		if in, err := r.packageDir(poolDir, p); err != nil || in != dir {
			continue
		}
		for _, f := range p.Files {
			if f.Name == base {
				return s.PoolKey(f.SHA256), nil
			}
		}
	}
	return "", nil
}

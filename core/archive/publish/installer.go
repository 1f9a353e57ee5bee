package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// installerDir is where the files of an installer are, below the distribution.
func (r *Record) installerDir(component, arch string) string {
	images := "images"
	if r.Distribution == "focal" {
		images = "legacy-images"
	}
	return path.Join(component, "installer-"+arch, "current", images)
}

// ofInstaller says whether a file below the distribution is in such a directory.
func ofInstaller(name string) bool {
	_, rest, ok := strings.Cut(name, "/installer-")
	_, rest, _ = strings.Cut(rest, "/")
	return ok && strings.HasPrefix(rest, "current/")
}

// location is where a file of a package is published, below root, in a component
// with its pool directory.
func (r *Record) location(component, poolDir string, p *deb.Package, f deb.File) (string, error) {
	if p.Kind == deb.Installer {
		return path.Join("dists", r.Distribution, r.installerDir(component, p.Architecture), f.Name), nil
	}
	dir, err := r.packageDir(poolDir, p)
	return path.Join(dir, f.Name), err
}

// filesOf returns the files of a package that are published. An installer may
// name what would be in the place of its signed list.
func filesOf(p *deb.Package) []deb.File {
	if p.Kind != deb.Installer {
		return p.Files
	}
	good, _ := deb.InstallerFiles(p.Files)
	return good
}

// installersOf yields the installers that the publication has from a list.
func (r *Record) installersOf(ctx context.Context, list *pkglist.List) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		if !slices.ContainsFunc(list.Counts(), func(n pkglist.Count) bool { return n.Kind == deb.Installer && n.Packages > 0 }) {
			return
		}
		for p, err := range list.ByName(ctx, "installer") {
			if err != nil {
				yield(nil, err)
				return
			}
			if p.Kind == deb.Installer && r.publishes(p) && !yield(p, nil) {
				return
			}
		}
	}
}

// sums is where the list of an installer's files is.
func (r *Record) sums(component string, p *deb.Package) string {
	return path.Join(r.installerDir(component, p.Architecture), "SHA256SUMS")
}

// installers stages for each installer the list of its files, and its signature.
func (st *stager) installers(ctx context.Context, m, prev *manifest, lists map[string]*pkglist.List, signer pgp.Signer, verb string) error {
	m.Signers = signers(signer)
	for _, c := range slices.Sorted(maps.Keys(lists)) {
		for p, err := range st.record.installersOf(ctx, lists[c]) {
			if err != nil {
				return err
			}
			if err := st.installer(ctx, m, prev, st.record.sums(c, p), p, signer, verb); err != nil {
				return err
			}
		}
	}
	return nil
}

func (st *stager) installer(ctx context.Context, m, prev *manifest, name string, p *deb.Package, signer pgp.Signer, verb string) error {
	var text bytes.Buffer
	for _, f := range slices.SortedFunc(slices.Values(filesOf(p)), func(a, b deb.File) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(&text, "%s  %s\n", f.SHA256, f.Name)
	}
	list, err := st.text(ctx, prev, name, text.Bytes())
	if err != nil {
		return err
	}
	m.Releases = append(m.Releases, file{name, list})
	if signer == nil {
		return nil
	}
	signed := slices.IndexFunc(prev.Unlisted, func(f file) bool { return f.Path == name+".gpg" })
	if signed >= 0 && prev.Signers == m.Signers && st.staged(prev) && slices.Contains(prev.Releases, file{name, list}) {
		m.Unlisted = append(m.Unlisted, prev.Unlisted[signed])
		return nil
	}
	var detached bytes.Buffer
	if err := signer.DetachSign(ctx, &detached, text.Bytes(), st.store.Now()); err != nil {
		return unsigned(verb+": unable to detached sign file", err)
	}
	o, err := st.byHash(ctx, name+".gpg", detached.Bytes())
	if err != nil {
		return err
	}
	m.Unlisted = append(m.Unlisted, file{name + ".gpg", o})
	return nil
}

// signers is a digest of the keys by which a signer signs, as they are now: a
// key that has got another subkey or time is another. It is "" without a signer.
func signers(signer pgp.Signer) string {
	if signer == nil {
		return ""
	}
	h := sha256.New()
	for _, k := range signer.PublicKeys() {
		h.Write(k.Armor())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// applyInstallers brings the files of the installers to the manifest whose lists
// are to be brought to it next.
func (s *Store) applyInstallers(ctx context.Context, r *Record, m *manifest, lists []file) (stop bool, err error) {
	if len(lists) == 0 {
		return false, nil
	}
	files := newAppliers(ctx, maxLinks)
	each := func(c string) error {
		list, err := s.Lists.Open(ctx, m.Lists[c].List)
		if err != nil {
			return err
		}
		for p, err := range r.installersOf(ctx, list) {
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(lists, func(f file) bool { return f.Path == r.sums(c, p) }) {
				continue
			}
			for _, f := range filesOf(p) {
				name, err := r.location(c, m.Lists[c].PoolDir, p, f)
				if err != nil {
					return err
				}
				files.do(func(ctx context.Context) (bool, error) { return s.applyInstallerFile(ctx, r, name, f) })
			}
		}
		return nil
	}
	for _, c := range slices.Sorted(maps.Keys(m.Lists)) {
		if err := each(c); err != nil {
			files.Fail(err)
			break
		}
	}
	return files.wait()
}

// applyInstallerFile is applyOne for a file of an installer. As there, the ETag
// is read before the record; the row says whether there is anything to be done.
func (s *Store) applyInstallerFile(ctx context.Context, r *Record, name string, f deb.File) (superseded bool, err error) {
	for {
		opt := publishedAs(f, deb.Installer)
		if _, err := s.asIs(ctx, path.Join(r.root(), name), &opt); err != nil {
			return false, err
		}
		row, err := s.Table.Get(ctx, poolKey(r, name))
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return false, err
		}
		if stop, err := s.superseded(ctx, r); err != nil || stop {
			return stop, err
		}
		if string(row.Data) == f.SHA256 && !opt.IfAbsent {
			return false, nil
		}
		if err := s.replaceFile(ctx, r, row.Version, name, f, opt); !overtaken(err) {
			return false, err
		}
	}
}

// keepsInstaller says whether a list has a file in its installer of an
// architecture.
func (r *Record) keepsInstaller(ctx context.Context, list *pkglist.List, arch, name string) (bool, error) {
	for p, err := range r.installersOf(ctx, list) {
		if err != nil {
			return false, err
		}
		if p.Architecture == arch && slices.ContainsFunc(filesOf(p), func(f deb.File) bool { return f.Name == name }) {
			return true, nil
		}
	}
	return false, nil
}

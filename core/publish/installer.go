package publish

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/deb"
	"aptless/core/pgp"
	"aptless/core/pkglist"
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

// installers stages for each installer the list of its files, and its signature.
func (st *stager) installers(ctx context.Context, m *manifest, lists map[string]*pkglist.List, signer pgp.Signer, verb string) error {
	for _, c := range slices.Sorted(maps.Keys(lists)) {
		if !slices.ContainsFunc(lists[c].Counts(), func(n pkglist.Count) bool { return n.Kind == deb.Installer && n.Packages > 0 }) {
			continue
		}
		for p, err := range lists[c].ByName(ctx, "installer") {
			if err != nil {
				return err
			}
			if p.Kind != deb.Installer || !st.record.publishes(p) {
				continue
			}
			if err := st.installer(ctx, m, path.Join(st.record.installerDir(c, p.Architecture), "SHA256SUMS"), p, signer, verb); err != nil {
				return err
			}
		}
	}
	return nil
}

func (st *stager) installer(ctx context.Context, m *manifest, name string, p *deb.Package, signer pgp.Signer, verb string) error {
	var text bytes.Buffer
	for _, f := range slices.SortedFunc(slices.Values(p.Files), func(a, b deb.File) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(&text, "%s  %s\n", f.SHA256, f.Name)
	}
	o, err := st.byHash(ctx, name, text.Bytes())
	if err != nil {
		return err
	}
	m.Releases = append(m.Releases, file{name, o})
	if signer == nil {
		return nil
	}
	var detached bytes.Buffer
	if err := signer.DetachSign(ctx, &detached, text.Bytes(), st.store.Now()); err != nil {
		return unsigned(verb+": unable to detached sign file", err)
	}
	if o, err = st.byHash(ctx, name+".gpg", detached.Bytes()); err != nil {
		return err
	}
	m.Unlisted = append(m.Unlisted, file{name + ".gpg", o})
	return nil
}

// keepsInstaller says whether a list has a file in its installer of an
// architecture.
func keepsInstaller(ctx context.Context, list *pkglist.List, arch, name string) (bool, error) {
	for p, err := range list.ByName(ctx, "installer") {
		if err != nil {
			return false, err
		}
		if p.Kind == deb.Installer && p.Architecture == arch && slices.ContainsFunc(p.Files, func(f deb.File) bool { return f.Name == name }) {
			return true, nil
		}
	}
	return false, nil
}

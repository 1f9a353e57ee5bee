package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/index"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// Installers yields the installers that the distribution has from a list.
func (sc Scope) Installers(ctx context.Context, list *pkglist.List) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		if !slices.ContainsFunc(list.Counts(), func(n pkglist.Count) bool { return n.Kind == deb.Installer && n.Packages > 0 }) {
			return
		}
		for p, err := range list.ByName(ctx, "installer") {
			if err != nil {
				yield(nil, err)
				return
			}
			if p.Kind == deb.Installer && sc.Publishes(p) && !yield(p, nil) {
				return
			}
		}
	}
}

// keptInstaller returns the file of a name in a list's installer of an
// architecture, nil if there is none.
func (sc Scope) keptInstaller(ctx context.Context, list *pkglist.List, arch, name string) (*deb.File, error) {
	for p, err := range sc.Installers(ctx, list) {
		if err != nil {
			return nil, err
		}
		if p.Architecture != arch {
			continue
		}
		for _, f := range Of(p) {
			if f.Name == name {
				return &f, nil
			}
		}
	}
	return nil, nil
}

// InstallerLists stages for each installer the list of its files and, with a
// Signer, the signature of the list.
type InstallerLists struct {
	Stager *index.Stager
	Base   *index.Set // of the last publication
	Scope  Scope
	Signer pgp.Signer // nil: unsigned
	Now    time.Time  // of the signatures
}

// Stage returns the lists and their signatures.
func (l InstallerLists) Stage(ctx context.Context, byComponent map[string]*pkglist.List) (sums, signatures []index.File, err error) {
	signers := Signers(l.Signer)
	for _, c := range slices.Sorted(maps.Keys(byComponent)) {
		for p, err := range l.Scope.Installers(ctx, byComponent[c]) {
			if err != nil {
				return nil, nil, err
			}
			list, text, err := l.list(ctx, l.Scope.InstallerSums(c, p.Architecture), p)
			if err != nil {
				return nil, nil, err
			}
			sums = append(sums, list)
			if l.Signer == nil {
				continue
			}
			signature, err := l.sign(ctx, list, text, signers)
			if err != nil {
				return nil, nil, err
			}
			signatures = append(signatures, signature)
		}
	}
	return sums, signatures, nil
}

// list stages the list of an installer's files.
func (l InstallerLists) list(ctx context.Context, name string, p *deb.Package) (index.File, []byte, error) {
	var text bytes.Buffer
	for _, f := range slices.SortedFunc(slices.Values(Of(p)), func(a, b deb.File) int { return strings.Compare(a.Name, b.Name) }) {
		fmt.Fprintf(&text, "%s  %s\n", f.SHA256, f.Name)
	}
	list, err := l.Stager.Text(ctx, l.Base, name, text.Bytes())
	return list, text.Bytes(), err
}

// sign stages the signature of a list, unless the last publication has the same
// list signed by the same keys.
func (l InstallerLists) sign(ctx context.Context, list index.File, text []byte, signers string) (index.File, error) {
	name := list.Path + ".gpg"
	signed := slices.IndexFunc(l.Base.Unlisted, func(f index.File) bool { return f.Path == name })
	if signed >= 0 && l.Base.Unlisted[signed].Has(l.Stager.Digests()) && l.Base.Signers == signers && l.Stager.Staged(l.Base) && slices.Contains(l.Base.Releases, list) {
		return l.Base.Unlisted[signed], nil
	}
	var detached bytes.Buffer
	if err := l.Signer.DetachSign(ctx, &detached, text, l.Now); err != nil {
		return index.File{}, fmt.Errorf("unable to detached sign file: %w", err)
	}
	return l.Stager.Data(ctx, name, detached.Bytes())
}

// Signers is a digest of the public keys of a signer as they are now. A key
// that has got another subkey or another expiry gives another digest. It is ""
// without a signer.
func Signers(signer pgp.Signer) string {
	if signer == nil {
		return ""
	}
	h := sha256.New()
	for _, k := range signer.PublicKeys() {
		h.Write(k.Armor())
	}
	return hex.EncodeToString(h.Sum(nil))
}

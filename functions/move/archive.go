package move

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/transfer"
	"aptless/core/engine/lists"
	"aptless/core/engine/named"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// Archive is an APT repository that moves in: the tree of a prefix.
type Archive struct {
	Tree          Tree
	From          string       // its address or folder; names the identities of the objects
	Distributions []string     // a flat one ends with "/" or is "."
	Prefix        string       // of the new publications
	As            string       // the new name of a flat distribution
	Ring          *pgp.Keyring // keys that may sign; nil verifies no signature
	Now           func() time.Time
	Say           func(phase string, done, total int) // nil for none
}

// maxArchive bounds the packages of a component that wait to be stored, in bytes.
const maxArchive = 16 << 20

// archiving makes objects of an archive.
type archiving struct {
	Archive
	folder   *Folder
	objects  []transfer.Object
	needs    needs
	Problems []string
}

// problem notes a package that does not move.
func (a *archiving) problem(format string, args ...any) {
	if len(a.Problems) < maxProblems {
		a.Problems = append(a.Problems, fmt.Sprintf(format, args...))
	}
}

// maxProblems bounds the problems of a report.
const maxProblems = 10_000

// Convert makes a transfer folder of an archive: for each distribution a publication of
// the same name, and for each component a repository. It returns the packages that do
// not move, each with the reason.
func (a Archive) Convert(ctx context.Context, folder *Folder) (transfer.Manifest, []string, error) {
	c := &archiving{Archive: a, folder: folder, needs: needs{seen: map[string]bool{}}}
	if c.Say == nil {
		c.Say = func(string, int, int) {}
	}
	if err := folder.Begin(); err != nil {
		return transfer.Manifest{}, nil, err
	}
	defer folder.Leave()
	for _, d := range a.Distributions {
		if err := c.distribution(ctx, d); err != nil {
			return transfer.Manifest{}, c.Problems, fmt.Errorf("%s: %w", d, err)
		}
	}
	m, err := folder.Finish(c.objects, len(c.needs.files), c.needs.bytes, a.Now())
	return m, c.Problems, err
}

// release is a Release file and its place.
type release struct {
	deb.Paragraph
	dir  string            // of the file
	flat bool              // the indexes are beside it
	sums map[string]string // SHA-256 by name
}

// release reads and verifies the Release of a distribution.
func (a *archiving) release(ctx context.Context, name string) (release, error) {
	r := release{dir: "dists/" + name, flat: name == "." || strings.HasSuffix(name, "/"), sums: map[string]string{}}
	if r.flat {
		r.dir = path.Clean(name)
	}
	data, err := a.signed(ctx, r.dir)
	if err != nil {
		return r, err
	}
	if r.Paragraph, err = deb.ParseParagraph(string(data), deb.ModeRelease); err != nil {
		return r, err
	}
	for line := range strings.Lines(r.Get("SHA256")) {
		if words := strings.Fields(line); len(words) == 3 {
			r.sums[words[2]] = words[0]
		}
	}
	return r, nil
}

// signed returns the text of a Release, verified if there is a ring.
func (a *archiving) signed(ctx context.Context, dir string) ([]byte, error) {
	data, err := text(ctx, a.Tree, path.Join(dir, "InRelease"), maxRelease)
	if err == nil {
		if a.Ring == nil {
			plain, _, err := pgp.StripClearsign(data)
			return plain, err
		}
		plain, _, err := a.Ring.VerifyClearsigned(data, a.Now())
		return plain, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if data, err = text(ctx, a.Tree, path.Join(dir, "Release"), maxRelease); err != nil || a.Ring == nil {
		return data, err
	}
	signature, err := text(ctx, a.Tree, path.Join(dir, "Release.gpg"), maxRelease)
	if err != nil {
		return nil, err
	}
	_, err = a.Ring.VerifyDetached(data, signature, a.Now())
	return data, err
}

// distribution makes the objects of a distribution.
func (a *archiving) distribution(ctx context.Context, name string) error {
	r, err := a.release(ctx, name)
	if err != nil {
		return err
	}
	components, target := strings.Fields(r.Get("Components")), name
	if r.flat {
		if a.As == "" {
			return errors.New("a flat archive gets a name by --as")
		}
		components, target = []string{"main"}, a.As
	}
	p := &transfer.Publication{Components: map[string]publish.Component{}, Settings: publish.Settings{
		Name: publish.Name{Prefix: a.Prefix, Distribution: target}, Kind: publish.Local, Origin: r.Get("Origin"), Label: r.Get("Label"), Suite: r.Get("Suite"),
		Codename: r.Get("Codename"), Version: r.Get("Version"), NotAutomatic: r.Get("NotAutomatic"), ButAutomaticUpgrades: r.Get("ButAutomaticUpgrades"),
		ByHash: true, SkipContents: !r.has("Contents-"), OnlyGiven: !r.flat}}
	archs := map[string]bool{}
	for _, c := range components {
		c = path.Base(c)
		list, err := a.component(ctx, r, c, archs)
		if err != nil {
			return fmt.Errorf("component %s: %w", c, err)
		}
		own := &repo.Repo{UUID: named.UUIDOf("migrate apt\x00" + a.From + "\x00" + name + "\x00" + c), Name: repoName(a.Prefix, target, c, len(components)),
			Comment: "moved from " + a.From, DefaultDistribution: target, DefaultComponent: c, List: list}
		a.objects = append(a.objects, transfer.Object{Repo: own})
		p.Components[c] = publish.Component{UUID: own.UUID, Name: own.Name, List: list}
	}
	delete(archs, deb.AllArch)
	for _, arch := range strings.Fields(r.Get("Architectures")) {
		if arch != deb.AllArch {
			archs[arch] = true
		}
	}
	for arch := range archs {
		p.Architectures = append(p.Architectures, arch)
	}
	slices.Sort(p.Architectures)
	a.objects = append(a.objects, transfer.Object{Publication: p})
	return nil
}

// repoName names the repository of a component.
func repoName(prefix, distribution, component string, components int) string {
	name := strings.ReplaceAll(distribution, "/", "-")
	if prefix != "." {
		name = strings.ReplaceAll(prefix, "/", "-") + "-" + name
	}
	if components > 1 {
		name += "-" + component
	}
	return name
}

// has reports whether the Release lists an index whose base name begins so.
func (r *release) has(begin string) bool {
	for name := range r.sums {
		if strings.HasPrefix(path.Base(name), begin) {
			return true
		}
	}
	return false
}

// suffixes of indexes, the cheapest to read first.
var suffixes = []string{"", ".gz", ".xz", ".zst", ".bz2"}

// indexes returns the names of the indexes of a component with their kinds of packages,
// each in one compression.
func (r *release) indexes(component string) map[string]deb.Kind {
	found := map[string]deb.Kind{}
	best := map[string]int{}
	add := func(plain string, kind deb.Kind) {
		for i, s := range suffixes {
			_, listed := r.sums[plain+s]
			if _, had := best[plain]; listed && !had {
				best[plain] = i
				found[plain+s] = kind
			}
		}
	}
	if r.flat {
		add("Packages", deb.Binary)
		add("Sources", deb.Source)
		return found
	}
	for _, arch := range append(strings.Fields(r.Get("Architectures")), deb.AllArch) {
		add(component+"/binary-"+arch+"/Packages", deb.Binary)
		add(component+"/debian-installer/binary-"+arch+"/Packages", deb.Udeb)
	}
	add(component+"/source/Sources", deb.Source)
	return found
}

// component reads the indexes of a component, has the folder take the files, and returns
// the list.
func (a *archiving) component(ctx context.Context, r release, component string, archs map[string]bool) (lists.Ref, error) {
	list, err := a.folder.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return lists.Ref{}, err
	}
	edit := list.Edit()
	apply := func() (err error) {
		list, err = edit.Apply(ctx, func(c *pkglist.ConflictError) error {
			a.problem("%v: another package of its name, version and architecture is in component %s", c.Added, component)
			return nil
		})
		if err == nil {
			edit = list.Edit()
		}
		return err
	}
	indexes := r.indexes(component)
	names := make([]string, 0, len(indexes))
	for name := range indexes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		err := a.index(ctx, r, name, indexes[name], func(p *deb.Package) error {
			archs[p.Architecture] = true
			if err := edit.Add(p); err != nil {
				a.problem("%v: %v", p, err)
				return nil
			}
			if edit.Size() < maxArchive {
				return nil
			}
			return apply()
		})
		if err != nil {
			return lists.Ref{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := apply(); err != nil {
		return lists.Ref{}, err
	}
	return list.Ref(), nil
}

// found is a package of an index, and the reason why it does not move, if any.
type found struct {
	*deb.Package
	problem string
}

// index calls f for each package of an index whose files the folder has then.
func (a *archiving) index(ctx context.Context, r release, name string, kind deb.Kind, f func(*deb.Package) error) error {
	data, err := text(ctx, a.Tree, path.Join(r.dir, name), maxIndex)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != r.sums[name] {
		return errors.New("its SHA-256 is not that in Release")
	}
	suffix := path.Ext(name)
	if !slices.Contains(suffixes, suffix) || !strings.Contains(path.Base(name), ".") {
		suffix = ""
	}
	plain := io.Reader(bytes.NewReader(data))
	if suffix != "" {
		if plain, err = deb.Decompress(plain, suffix, int64(len(data)), maxIndex); err != nil {
			return err
		}
	}
	in, done := deb.NewParagraphReader(plain, deb.ModeControl), 0
	pipe := parallel.Pipe[deb.Paragraph, found]{Workers: 8,
		Work: func(ctx context.Context, _ *parallel.Lease, p deb.Paragraph) (found, error) {
			return a.take(ctx, r, p, kind)
		},
		Use: func(_ context.Context, v found) error {
			if done++; done%100 == 0 {
				a.Say("packages", done, 0)
			}
			if v.problem != "" {
				a.problem("%s: %s", name, v.problem)
				return nil
			}
			for _, file := range v.Files {
				a.needs.file(file.SHA256, file.Size)
			}
			return f(v.Package)
		},
	}
	return pipe.Run(ctx, func(yield func(deb.Paragraph, error) bool) {
		for {
			p, err := in.Next()
			if errors.Is(err, io.EOF) || !yield(p, err) || err != nil {
				return
			}
		}
	})
}

// take reads a stanza, and has the folder take its files. An error is that of the context.
func (a *archiving) take(ctx context.Context, r release, stanza deb.Paragraph, kind deb.Kind) (found, error) {
	p, dir, err := deb.PackageFromIndex(stanza, kind)
	if err != nil {
		return found{problem: fmt.Sprintf("%s %s: %v", stanza.Get("Package"), stanza.Get("Version"), err)}, nil
	}
	for _, f := range p.Files {
		err := a.file(ctx, path.Join(dir, f.Name), f)
		if ctx.Err() != nil {
			return found{}, context.Cause(ctx)
		}
		if err != nil {
			return found{problem: fmt.Sprintf("%v: %v", p, err)}, nil
		}
	}
	return found{Package: p}, nil
}

// file has the folder take a file of the archive.
func (a *archiving) file(ctx context.Context, name string, f deb.File) error {
	if len(f.SHA256) != 2*sha256.Size {
		return fmt.Errorf("file %s has no SHA-256 in the index", f.Name)
	}
	if a.folder.HasFile(f.SHA256, f.Size) {
		return nil
	}
	if !filepath.IsLocal(name) {
		return fmt.Errorf("file %.200q is outside of the archive", name)
	}
	body, _, err := a.Tree.Open(ctx, name)
	if plain, plainErr := url.PathUnescape(name); errors.Is(err, fs.ErrNotExist) && plainErr == nil && plain != name && filepath.IsLocal(plain) {
		body, _, err = a.Tree.Open(ctx, plain) // some programs write paths as in URLs
	}
	if err != nil {
		return err
	}
	defer body.Close()
	return a.folder.Keep(f.SHA256, io.LimitReader(body, cmp.Or(f.Size, maxIndex)+1))
}

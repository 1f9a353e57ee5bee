package mirror

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/query"
	"aptless/core/archive/upstream"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Limits of what is taken of an archive.
const (
	flushAt  = 8192 // packages that are held before they are stored
	maxSkips = 100  // lines about packages that are skipped
)

// stage stores the list of the packages that the mirror is to have, and the
// queue of files that the pool lacks.
func (u *update) stage(ctx context.Context, release *upstream.Release) error {
	prev, err := u.Packages(ctx, u.mirror)
	if err != nil {
		return err
	}
	staged, dirs, err := u.index(ctx, release, prev)
	if err != nil {
		return err
	}
	if staged, err = u.filtered(ctx, staged); err != nil {
		return err
	}
	if n := u.versions(); n > 0 {
		if staged, err = staged.Newest(ctx, n); err != nil {
			return err
		}
	}
	u.at.Staged = staged.Ref()
	return u.enqueue(ctx, release, prev, staged, dirs)
}

// versions returns how many versions of each name and architecture are kept, 0
// for all.
func (u *update) versions() int {
	if u.args.LatestOnly {
		return 1
	}
	return u.mirror.KeepVersions
}

// index reads the indexes into a list. A package that the previous list has too
// gets all the digests that are known of its files; of the others the
// directories are returned, by index key.
func (u *update) index(ctx context.Context, release *upstream.Release, prev *pkglist.List) (*pkglist.List, *sorter, error) {
	list, err := u.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return nil, nil, err
	}
	in := &indexReader{skipper: skipper{u: u}, prev: prev, list: list, dirs: &sorter{store: u.Lists.Chunks}}
	for found, err := range u.listed(ctx, release) {
		if bad := (*upstream.StanzaError)(nil); errors.As(err, &bad) {
			in.skip(bad, "%v", bad)
			continue
		}
		if err != nil {
			return nil, nil, failure(ctx, err)
		}
		if p := found.Package; !u.args.IgnoreChecksums && slices.ContainsFunc(p.Files, func(f deb.File) bool { return !proven(f) }) {
			in.skip(errNoChecksums, "%v: %v", p, errNoChecksums)
			continue
		}
		if in.held = append(in.held, found); len(in.held) == flushAt {
			if err := in.flush(ctx); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := in.flush(ctx); err != nil {
		return nil, nil, err
	}
	if in.skipped > 0 && (u.strict() || in.list.Count() == 0) {
		return nil, nil, failure(ctx, fmt.Errorf("%d packages cannot be taken, the first is %w", in.skipped, in.first))
	}
	u.at.Partial.SkippedStanzas, u.at.Partial.Partial = in.skipped, in.skipped > 0
	return in.list, in.dirs, nil
}

var errNoChecksums = errors.New("no checksums in packages index")

// indexReader takes packages of indexes into a list, many at a time.
type indexReader struct {
	skipper
	prev, list *pkglist.List
	held       []upstream.Listed
	dirs       *sorter
}

// flush stores what is held.
func (in *indexReader) flush(ctx context.Context) error {
	packages := make([]*deb.Package, len(in.held))
	for i, found := range in.held {
		packages[i] = found.Package
	}
	known := map[string][]deb.File{}
	for p, err := range in.prev.Find(ctx, packages) {
		if err != nil {
			return err
		}
		known[p.ShortKey()] = p.Files
	}
	edit := in.list.Edit()
	for _, found := range in.held {
		p := found.Package
		if files, ok := known[p.ShortKey()]; ok && agree(p.Files, files) {
			p.Files = files
		} else if key, err := pkglist.IndexKey(p); err == nil {
			if err := in.dirs.add(ctx, key, []byte(found.Dir)); err != nil {
				return err
			}
		}
		if err := edit.Add(p); err != nil {
			in.say("%s", err)
		}
	}
	list, err := edit.Apply(ctx, func(c *pkglist.ConflictError) error {
		in.say("%v: duplicate in packages index", c.Added)
		return nil
	})
	in.list, in.held = list, in.held[:0]
	return err
}

// listed yields what all indexes list, one after another.
func (u *update) listed(ctx context.Context, release *upstream.Release) iter.Seq2[upstream.Listed, error] {
	m := u.mirror
	reader := &upstream.Reader{Asker: u.asker(), Archive: m.archive(), Release: release, Trust: u.trust,
		Unlisted: m.SkipComponentCheck || m.NoRelease, Unchecked: u.args.IgnoreChecksums}
	return func(yield func(upstream.Listed, error) bool) {
		for _, x := range reader.Indexes(upstream.Wanted{Components: m.Components, Architectures: m.Architectures,
			Sources: m.DownloadSources, Udebs: m.DownloadUdebs, Installer: m.DownloadInstaller}) {
			for found, err := range reader.Packages(ctx, x) {
				if !yield(found, err) {
					return
				}
			}
		}
	}
}

// skipper says which packages are skipped, as long as they are not too many.
type skipper struct {
	u       *update
	n       int
	skipped int   // stanzas that describe no package
	first   error // why the first of them does not
}

// skip says that a stanza describes no package that can be taken.
func (s *skipper) skip(why error, format string, args ...any) {
	if s.skipped++; s.first == nil {
		s.first = why
	}
	s.say(format, args...)
}

func (s *skipper) say(format string, args ...any) {
	if s.n++; s.n <= maxSkips {
		s.u.attempt.Printf("@y[!]@| @!skipping package "+format+"@|\n", args...)
	}
}

// proven reports whether an index says by a digest what a file is.
func proven(f deb.File) bool { return f.MD5 != "" || f.SHA1 != "" || f.SHA256 != "" || f.SHA512 != "" }

// agree reports whether files are those of an index, as far as that says; a size
// of 0 says nothing.
func agree(index, files []deb.File) bool {
	return slices.EqualFunc(index, files, func(want, got deb.File) bool {
		if want.Name != got.Name || want.Size != got.Size && want.Size != 0 || !proven(want) {
			return false
		}
		for _, d := range [][2]string{{want.MD5, got.MD5}, {want.SHA1, got.SHA1}, {want.SHA256, got.SHA256}, {want.SHA512, got.SHA512}} {
			if d[0] != "" && d[0] != d[1] {
				return false
			}
		}
		return true
	})
}

// filtered returns the packages that the mirror's filter lets through.
func (u *update) filtered(ctx context.Context, list *pkglist.List) (*pkglist.List, error) {
	q, err := parseFilter(u.mirror.Filter)
	if err != nil {
		return nil, failure(ctx, err)
	}
	if q == nil {
		return list, nil
	}
	chosen, err := query.Select(ctx, list, q)
	if err == nil && u.mirror.FilterWithDeps {
		o := u.Dependencies
		if o.Architectures = u.mirror.Architectures; len(o.Architectures) == 0 { // a flat archive that does not say
			o.Architectures = list.Architectures(false)
		}
		chosen, err = query.Closure(ctx, chosen, nil, o)
	}
	if err == nil && u.mirror.DownloadSources {
		chosen, err = query.Sources(ctx, chosen)
	}
	if errors.Is(err, deb.ErrRelation) || errors.Is(err, query.ErrNoArchitectures) {
		return nil, failure(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	return chosen.Store(ctx)
}

// entry is a file that is to be fetched.
type entry struct {
	Path string   // relative to the archive's root, or to Release
	Want deb.File // as upstream says
	Of   deb.Key  `json:",omitzero"` // of the package that it is the only file of
	Kind deb.Kind // of its package
	Meta bool     // Path is relative to Release; the file may be missing
}

// key is the entry's in the queue: the files of packages come last. Two packages
// may list one path with different files, one of which the archive has: each is
// an entry of its own.
func (e entry) key() []byte {
	if e.Meta {
		return []byte("1/" + e.Path)
	}
	f := e.Want
	return fmt.Appendf(nil, "2/%s\x00%d %.16s", e.Path, f.Size, cmp.Or(f.SHA256, f.SHA512, f.SHA1, f.MD5))
}

// enqueue stores the queue, and counts what clients are told of.
func (u *update) enqueue(ctx context.Context, release *upstream.Release, prev, staged *pkglist.List, dirs *sorter) error {
	wanted, err := u.wanted(ctx, prev, staged, dirs)
	if err != nil {
		return err
	}
	metadata := u.metadata(release)
	slices.SortFunc(metadata, func(a, b entry) int { return strings.Compare(a.Path, b.Path) })
	list, err := u.Lists.Chunks.Build(ctx, lists.Schema{}, func(yield func(lists.Record, error) bool) {
		for _, e := range metadata {
			val, err := json.Marshal(e)
			if !yield(lists.Record{Key: e.key(), Val: val}, err) {
				return
			}
		}
		for r, err := range u.lacking(ctx, wanted.all(ctx)) {
			if !yield(r, err) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	u.at.Detail.RemainingDownloadSize, u.at.Detail.RemainingNumberOfPackages = u.at.Detail.TotalDownloadSize, u.at.Detail.TotalNumberOfPackages
	u.at.Queue, u.probed = list.Ref(), true
	return nil
}

// wanted returns the entries of the files of the packages that the previous list
// does not have as they are staged.
func (u *update) wanted(ctx context.Context, prev, staged *pkglist.List, dirs *sorter) (*sorter, error) {
	wanted := &sorter{store: u.Lists.Chunks}
	next, stop := iter.Pull2(dirs.all(ctx))
	defer stop()
	dir, err, more := next()
	for c, changeErr := range pkglist.Changes(ctx, prev, staged) {
		if changeErr != nil {
			return nil, changeErr
		}
		if c.New == nil || c.Old != nil && c.New.Equal(c.Old) {
			continue
		}
		key, keyErr := pkglist.IndexKey(c.New)
		if keyErr != nil {
			return nil, keyErr
		}
		for more && err == nil && bytes.Compare(dir.Key, key) < 0 { // both are in index order
			dir, err, more = next()
		}
		if err != nil {
			return nil, err
		}
		in := ""
		if more && bytes.Equal(dir.Key, key) {
			in = string(dir.Val)
		}
		if err := wanted.addFiles(ctx, c.New, in); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// addFiles adds an entry for each file of a package whose index names files
// below the directory dir.
func (s *sorter) addFiles(ctx context.Context, p *deb.Package, dir string) error {
	for _, e := range entries(p) {
		var err error
		if e.Path, err = upstream.FilePath(dir, strings.TrimPrefix(e.Want.Name, "./")); err != nil {
			return failure(ctx, err)
		}
		val, err := json.Marshal(e)
		if err == nil {
			err = s.add(ctx, e.key(), val)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entries returns those of the files of a package, without their paths.
func entries(p *deb.Package) []entry {
	list := make([]entry, 0, len(p.Files))
	for _, f := range p.Files {
		e := entry{Want: f, Kind: p.Kind}
		if len(p.Files) == 1 {
			e.Of = deb.Key{Architecture: p.Architecture, Name: p.Name, Version: p.Version}
		}
		list = append(list, e)
	}
	return list
}

// Files are looked for in the pool so many at a time, of so many that are held.
const (
	probes     = 16
	maxProbing = 1024
)

// lacking yields the entries whose file the pool does not have, and counts them.
func (u *update) lacking(ctx context.Context, wanted iter.Seq2[lists.Record, error]) iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		held := make([]lists.Record, 0, maxProbing)
		probe := func() bool {
			lacking, err := u.probe(ctx, held)
			held = held[:0]
			for _, r := range lacking {
				if !yield(r, nil) {
					return false
				}
			}
			return err == nil || yield(lists.Record{}, err)
		}
		for r, err := range wanted {
			if err != nil {
				yield(r, err)
				return
			}
			if held = append(held, r); len(held) == maxProbing && !probe() {
				return
			}
		}
		probe()
	}
}

// probe returns those of some entries whose file the pool does not have.
func (u *update) probe(ctx context.Context, wanted []lists.Record) ([]lists.Record, error) {
	files, there := make([]entry, len(wanted)), make([]bool, len(wanted))
	err := parallel.Each(ctx, probes, len(wanted), func(ctx context.Context, i int) (err error) {
		if err = json.Unmarshal(wanted[i].Val, &files[i]); err == nil && files[i].Want.SHA256 != "" {
			there[i], err = u.Pool.Has(ctx, files[i].Want.SHA256)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var lacking []lists.Record
	for i, r := range wanted {
		if !there[i] {
			u.at.Detail.TotalNumberOfPackages++
			u.at.Detail.TotalDownloadSize += files[i].Want.Size
			lacking = append(lacking, r)
		}
	}
	return lacking, nil
}

// metadata returns the AppStream (DEP-11) and the translation files that Release
// lists.
func (u *update) metadata(release *upstream.Release) []entry {
	if u.mirror.Flat() {
		return nil
	}
	var dirs []string
	if u.mirror.DownloadAppStream {
		dirs = append(dirs, "/dep11/")
	}
	if u.mirror.DownloadTranslations {
		dirs = append(dirs, "/i18n/")
	}
	var files []entry
	for _, c := range u.mirror.Components {
		for _, dir := range dirs {
			for _, f := range release.Below(c + dir) {
				if f.SHA256 != "" && path.Clean(f.Name) == f.Name && len(f.Name) <= upstream.MaxPath {
					files = append(files, entry{Path: f.Name, Want: f, Meta: true})
				}
			}
		}
	}
	return files
}

// what is how the task's output calls a file that is no package's.
func (e entry) what() string {
	if strings.Contains(e.Path, "/dep11/") {
		return "AppStream file"
	}
	return "translation file"
}

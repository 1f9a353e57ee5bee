package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"aptless/core/chunks"
	"aptless/core/deb"
	"aptless/core/pkglist"
	"aptless/core/query"
	"aptless/core/upstream"
)

// Limits of what is taken of an archive.
const (
	flushAt  = 20_000 // packages that are held before they are stored
	maxSkips = 100    // lines about packages that are skipped
	maxPath  = 900    // of a file, in bytes
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
	if u.args.LatestOnly {
		if staged, err = staged.Latest(ctx); err != nil {
			return err
		}
	}
	u.at.Staged = staged.Ref()
	return u.enqueue(ctx, release, prev, staged, dirs)
}

// index reads the indexes into a list. A package that the previous list has too
// gets all the digests that are known of its files; of the others the
// directories are returned, by short key.
func (u *update) index(ctx context.Context, release *upstream.Release, prev *pkglist.List) (*pkglist.List, map[string]string, error) {
	known := map[string][]deb.File{}
	for p, err := range prev.All(ctx) {
		if err != nil {
			return nil, nil, err
		}
		known[p.ShortKey()] = p.Files
	}
	list, err := u.Lists.Open(ctx, pkglist.Ref{})
	if err != nil {
		return nil, nil, err
	}
	skips := skipper{u: u}
	edit, held := list.Edit(), 0
	flush := func() (err error) {
		list, err = edit.Apply(ctx, func(c *pkglist.ConflictError) error {
			skips.say("%v: duplicate in packages index", c.Added)
			return nil
		})
		if err == nil {
			edit, held = list.Edit(), 0
		}
		return err
	}
	dirs := map[string]string{}
	for found, err := range u.listed(ctx, release) {
		if errors.Is(err, deb.ErrInvalid) {
			skips.say("%s", err)
			continue
		}
		if err != nil {
			return nil, nil, failure(ctx, err)
		}
		p := found.Package
		if !u.args.IgnoreChecksums && slices.ContainsFunc(p.Files, func(f deb.File) bool { return !proven(f) }) {
			skips.say("%v: no checksums in packages index", p)
			continue
		}
		short := p.ShortKey()
		if files, ok := known[short]; ok && agree(p.Files, files) {
			p.Files = files
		} else if _, ok := dirs[short]; !ok {
			dirs[short] = found.Dir
		}
		if err := edit.Add(p); err != nil {
			skips.say("%s", err)
			continue
		}
		if held++; held == flushAt {
			if err := flush(); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := flush(); err != nil {
		return nil, nil, err
	}
	return list, dirs, nil
}

// listed yields what all indexes list, one after another.
func (u *update) listed(ctx context.Context, release *upstream.Release) iter.Seq2[upstream.Listed, error] {
	m := u.mirror
	reader := &upstream.Reader{Asker: u.asker(), Archive: m.archive(), Release: release, Trust: u.trust,
		Unlisted: u.args.IgnoreChecksums || m.SkipComponentCheck}
	return func(yield func(upstream.Listed, error) bool) {
		for _, x := range m.archive().Indexes(upstream.Wanted{Components: m.Components, Architectures: m.Architectures,
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
	u *update
	n int
}

func (s *skipper) say(format string, args ...any) {
	if s.n++; s.n <= maxSkips {
		s.u.attempt.Printf("@y[!]@| @!skipping package "+format+"@|\n", args...)
	}
}

// proven reports whether an index says by a digest what a file is.
func proven(f deb.File) bool { return f.MD5 != "" || f.SHA1 != "" || f.SHA256 != "" || f.SHA512 != "" }

// agree reports whether files are those of an index, as far as that says.
func agree(index, files []deb.File) bool {
	return slices.EqualFunc(index, files, func(want, got deb.File) bool {
		if want.Name != got.Name || want.Size != got.Size || !proven(want) {
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
		o.Architectures = u.mirror.Architectures
		chosen, err = query.Closure(ctx, chosen, nil, o)
	}
	if err == nil && u.mirror.DownloadSources {
		chosen, err = query.Sources(ctx, chosen)
	}
	if errors.Is(err, deb.ErrRelation) || errors.Is(err, query.ErrNoArchitectures) || errors.Is(err, query.ErrSource) {
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

// key is the entry's in the queue: what clients are told of comes last.
func (e entry) key() []byte {
	if e.Meta {
		return []byte("1/" + e.Path)
	}
	return []byte("2/" + e.Path)
}

// enqueue stores the queue, and counts what clients are told of.
func (u *update) enqueue(ctx context.Context, release *upstream.Release, prev, staged *pkglist.List, dirs map[string]string) error {
	wanted := map[string]entry{} // by path
	for c, err := range pkglist.Changes(ctx, prev, staged) {
		if err != nil {
			return err
		}
		if c.New == nil || c.Old != nil && c.New.Equal(c.Old) {
			continue
		}
		for _, f := range c.New.Files {
			e := entry{Want: f, Kind: c.New.Kind}
			if len(c.New.Files) == 1 {
				e.Of = deb.Key{Architecture: c.New.Architecture, Name: c.New.Name, Version: c.New.Version}
			}
			if e.Path, err = upstream.FilePath(dirs[c.New.ShortKey()], strings.TrimPrefix(f.Name, "./")); err == nil && len(e.Path) > maxPath {
				err = fmt.Errorf("path %.100q: %w", e.Path, upstream.ErrPath)
			}
			if err != nil {
				return failure(ctx, err)
			}
			if _, ok := wanted[e.Path]; !ok {
				wanted[e.Path] = e
			}
		}
	}
	queue, err := u.lacking(ctx, wanted)
	if err != nil {
		return err
	}
	for _, e := range queue {
		u.at.Detail.TotalDownloadSize += e.Want.Size
	}
	u.at.Detail.RemainingDownloadSize = u.at.Detail.TotalDownloadSize
	u.at.Detail.TotalNumberOfPackages, u.at.Detail.RemainingNumberOfPackages = len(queue), len(queue)
	queue = append(queue, u.metadata(release)...)
	slices.SortFunc(queue, func(a, b entry) int { return strings.Compare(string(a.key()), string(b.key())) })
	list, err := u.Lists.Chunks.Build(ctx, chunks.Kind{}, func(yield func(chunks.Record, error) bool) {
		for _, e := range queue {
			val, err := json.Marshal(e)
			if !yield(chunks.Record{Key: e.key(), Val: val}, err) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	u.at.Queue, u.probed = list.Ref(), true
	return nil
}

// probes is how many files are looked for in the pool at the same time.
const probes = 16

// lacking returns the entries whose file the pool does not have.
func (u *update) lacking(ctx context.Context, wanted map[string]entry) ([]entry, error) {
	all := make([]entry, 0, len(wanted))
	for _, e := range wanted {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.Path, b.Path) })
	there := make([]bool, len(all))
	err := each(ctx, probes, len(all), func(ctx context.Context, i int) (err error) {
		if all[i].Want.SHA256 != "" {
			there[i], err = u.Pool.Has(ctx, all[i].Want.SHA256)
		}
		return err
	})
	lacking := all[:0]
	for i, e := range all {
		if !there[i] {
			lacking = append(lacking, e)
		}
	}
	return lacking, err
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
				if f.SHA256 != "" && path.Clean(f.Name) == f.Name && len(f.Name) <= maxPath {
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

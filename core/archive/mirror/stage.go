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
	"strconv"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/query"
	"aptless/core/archive/upstream"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// stage stores the list of the new packages, and the queue of the files that the
// pool lacks.
func (u *update) stage(ctx context.Context, release *upstream.Release) error {
	prev, err := u.Packages(ctx, u.mirror)
	if err != nil {
		return err
	}
	staged, dirs, err := u.index(ctx, release, prev)
	if err != nil {
		return err
	}
	if staged, err = u.applyFilter(ctx, staged); err != nil {
		return err
	}
	if n := u.versions(); n > 0 {
		if staged, err = staged.Newest(ctx, n); err != nil {
			return err
		}
	}
	u.cursor.Staged = staged.Ref()
	return u.enqueue(ctx, release, prev, staged, dirs)
}

// versions returns how many versions per name and architecture to keep, 0 for
// all.
func (u *update) versions() int {
	if u.args.LatestOnly {
		return 1
	}
	return u.mirror.KeepVersions
}

// index reads the indexes into a list. A package that is also in prev gets all
// known digests of its files. For each other package the sorter holds the
// directory of its files, by index key.
func (u *update) index(ctx context.Context, release *upstream.Release, prev *pkglist.List) (*pkglist.List, *sorter, error) {
	in := &indexReader{warnings: warnings{u: u}, prev: prev, list: prev, edit: prev.Edit(), listed: map[keySum]textSum{}, dirs: &sorter{store: u.Lists.Chunks}}
	var err error
	if in.texts, err = u.texts(ctx, prev); err != nil {
		return nil, nil, err
	}
	for found, err := range u.listed(ctx, release, in) {
		if bad := (*upstream.StanzaError)(nil); errors.As(err, &bad) {
			in.skip(bad, "%v", bad)
			continue
		}
		if err != nil {
			return nil, nil, failure(ctx, err)
		}
		if p := found.Package; !u.args.IgnoreChecksums && slices.ContainsFunc(p.Files, func(f deb.File) bool { return !hasDigest(f) }) {
			in.skip(errNoChecksums, "%v: %v", p, errNoChecksums)
			continue
		}
		if err := in.take(ctx, found); err != nil {
			return nil, nil, err
		}
	}
	if err := in.lookUp(ctx); err != nil {
		return nil, nil, err
	}
	if err := in.removeUnlisted(ctx); err != nil {
		return nil, nil, err
	}
	if err := in.flush(ctx); err != nil {
		return nil, nil, err
	}
	if n := in.partial.SkippedStanzas; n > 0 && (u.strict() || in.list.Count() == 0) {
		return nil, nil, failure(ctx, fmt.Errorf("%d packages cannot be taken, the first is %w", n, in.first))
	}
	u.cursor.Partial = in.partial
	u.cursor.Texts, err = in.texts.list(ctx)
	return in.list, in.dirs, err
}

var errNoChecksums = errors.New("no checksums in packages index")

// texts returns the texts for an update. It is nil if the update takes files that differ
// from their index, or leaves out packages of the index.
func (u *update) texts(ctx context.Context, prev *pkglist.List) (*texts, error) {
	if u.args.IgnoreChecksums || u.mirror.Filter != "" || u.versions() > 0 {
		return nil, nil
	}
	t := &texts{store: u.Lists.Chunks, changes: &sorter{store: u.Lists.Chunks}, repeated: map[string]bool{}}
	last := u.mirror.Last
	ref := last.Texts.Ref
	if last.Fingerprint != u.fingerprint || last.Incomplete || last.Texts.Form != textsForm || last.Texts.Of != prev.Ref().Digest {
		ref = lists.Ref{}
	}
	err := t.load(ctx, ref)
	if errors.Is(err, lists.ErrDamaged) { // every stanza is read then
		err = t.load(ctx, lists.Ref{})
	}
	return t, err
}

// listed yields the packages of all indexes, index by index, without known ones.
func (u *update) listed(ctx context.Context, release *upstream.Release, in *indexReader) iter.Seq2[upstream.Listed, error] {
	m := u.mirror
	reader := &upstream.Reader{Asker: u.loggingAsker(), Archive: m.archive(), Release: release, Trust: u.trust,
		Unlisted: m.SkipComponentCheck || m.NoRelease, Unchecked: u.args.IgnoreChecksums}
	if in.texts != nil {
		reader.Known = in.known
	}
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

// applyFilter returns the packages that match the mirror's filter.
func (u *update) applyFilter(ctx context.Context, list *pkglist.List) (*pkglist.List, error) {
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
		if o.Architectures = u.mirror.Architectures; len(o.Architectures) == 0 { // a flat archive whose Release names none
			o.Architectures = list.Architectures(false)
		}
		chosen, err = query.Closure(ctx, chosen, nil, o)
	}
	if err == nil && u.mirror.DownloadSources {
		chosen, err = query.Sources(ctx, chosen)
	}
	if errors.Is(err, deb.ErrRelation) || errors.Is(err, query.ErrNoArchitectures) || errors.Is(err, query.ErrSlow) {
		return nil, failure(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	return chosen.Store(ctx)
}

// entry is a file to fetch.
type entry struct {
	Path string   // relative to the archive's root; if Meta, to Release
	Want deb.File // size and digests in the index
	Of   deb.Key  `json:",omitzero"` // the package, if this is its only file
	Kind deb.Kind // of the package
	Meta bool     // no package's file: it may be missing
	// Again: an earlier entry of the queue has the same SHA-256.
	Again bool `json:",omitempty"`
}

// key returns the entry's key in the queue. Files of packages sort last. Two
// packages may list one path with different digests, of which the archive has
// one. So the key includes the digest.
func (e entry) key() []byte {
	if e.Meta {
		return []byte("1/" + e.Path)
	}
	f := e.Want
	return fmt.Appendf(nil, "2/%s\x00%d %.16s", e.Path, f.Size, cmp.Or(f.SHA256, f.SHA512, f.SHA1, f.MD5))
}

// enqueue stores the queue and sets the totals of the progress.
func (u *update) enqueue(ctx context.Context, release *upstream.Release, prev, staged *pkglist.List, dirs *sorter) error {
	wanted, err := u.filesToFetch(ctx, prev, staged, dirs)
	if err != nil {
		return err
	}
	metadata := u.metadata(release)
	slices.SortFunc(metadata, func(a, b entry) int { return strings.Compare(a.Path, b.Path) })
	seen := map[uint64]bool{}
	for _, e := range metadata {
		seen[digestPrefix(e.Want.SHA256)] = true
	}
	list, err := u.Lists.Chunks.Build(ctx, lists.Schema{}, func(yield func(lists.Record, error) bool) {
		for _, e := range metadata {
			val, err := json.Marshal(e)
			if !yield(lists.Record{Key: e.key(), Val: val}, err) {
				return
			}
		}
		for r, err := range u.notInPool(ctx, wanted.all(ctx), seen) {
			if !yield(r, err) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	u.cursor.Detail.RemainingDownloadSize, u.cursor.Detail.RemainingNumberOfPackages = u.cursor.Detail.TotalDownloadSize, u.cursor.Detail.TotalNumberOfPackages
	u.cursor.Queue, u.cursor.Begun, u.probed = list.Ref(), beginAhead, true
	return nil
}

// filesToFetch returns the entries of all files of packages that are new or
// changed since prev.
func (u *update) filesToFetch(ctx context.Context, prev, staged *pkglist.List, dirs *sorter) (*sorter, error) {
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

// addFiles adds an entry for each file of a package. File names are relative to
// dir.
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

// entries returns an entry for each file of a package, without its path.
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

// notInPool collects probeBatch entries, then asks the pool for concurrentProbes
// of them at a time.
const (
	concurrentProbes = 16
	probeBatch       = 1024
)

// notInPool yields and counts the entries whose file the pool lacks. seen has the
// digestPrefix of the files of earlier entries.
func (u *update) notInPool(ctx context.Context, wanted iter.Seq2[lists.Record, error], seen map[uint64]bool) iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		held := make([]lists.Record, 0, probeBatch)
		probe := func() bool {
			lacking, err := u.probe(ctx, held, seen)
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
			if held = append(held, r); len(held) == probeBatch && !probe() {
				return
			}
		}
		probe()
	}
}

// probe returns the entries of a batch whose file the pool lacks. It marks an entry
// that repeats the file of an earlier one, and adds the other files to seen.
func (u *update) probe(ctx context.Context, wanted []lists.Record, seen map[uint64]bool) ([]lists.Record, error) {
	files, there := make([]entry, len(wanted)), make([]bool, len(wanted))
	err := parallel.Each(ctx, concurrentProbes, len(wanted), func(ctx context.Context, i int) (err error) {
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
			u.cursor.Detail.TotalNumberOfPackages++
			u.cursor.Detail.TotalDownloadSize += files[i].Want.Size
			begins := digestPrefix(files[i].Want.SHA256)
			if seen[begins] {
				files[i].Again = true
				if r.Val, err = json.Marshal(files[i]); err != nil {
					return nil, err
				}
			}
			seen[begins] = true
			lacking = append(lacking, r)
		}
	}
	return lacking, nil
}

// digestPrefix returns the first 64 bits of a digest in hex. Two files with one
// prefix cost one needless probe of the pool.
func digestPrefix(sha256 string) uint64 {
	n, _ := strconv.ParseUint(sha256[:min(16, len(sha256))], 16, 64)
	return n
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

// description names a metadata file in the task's output.
func (e entry) description() string {
	if strings.Contains(e.Path, "/dep11/") {
		return "AppStream file"
	}
	return "translation file"
}

package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// manifest says what the tree of a publication is to be, and what of earlier
// ones is still in it.
type manifest struct {
	Generation int64
	Date       time.Time
	Folder     string // private, with Release and its signatures
	Signed     bool
	Signers    string               `json:",omitempty"` // digest of the keys that signed Unlisted
	ByHash     bool                 // its files are there under all their digests
	Lists      map[string]published // by component
	Indexes    []index
	Contents   *lists.Ref // of the list of Lists' paths; nil if it was not made
	Releases   []file     // beside the indexes
	Unlisted   []file     `json:",omitempty"` // that Release does not list
	Aliases    []string   `json:",omitempty"` // other names under which all is there but installers
	Retired    []retired  // by-hash objects that older Releases name
	Expired    []string   // keys of by-hash objects that are to go
	Same       []string   // paths of files that the tree had when this was committed,
	Kept       []string   `json:",omitempty"` // and those of these aliases too
}

// published is what a component publishes and where its package files are.
type published struct {
	List    lists.Ref
	PoolDir string
}

// file is a file below the distribution that is also there by hash.
type file struct {
	Path string
	object
}

// retired is a by-hash object that the Release of a generation was the last to name.
type retired struct {
	Key        string
	Generation int64
	At         time.Time
	Alias      string `json:",omitempty"` // in whose tree it is
}

// How long superseded by-hash objects stay: both must have passed.
const (
	keepGenerations = 3
	keepFor         = 7 * 24 * time.Hour
)

// A publication that changes every minute has many of them, and each is named in
// every manifest: more than so many stay for an hour, and as long as a revision
// names them that the publication can be rolled back to.
const (
	maxRetired = 8192
	keepMany   = time.Hour
)

// outlived says whether what was superseded at a time, being of a generation, need
// not stay any longer in a later one.
func outlived(generation int64, superseded time.Time, now int64, date time.Time) bool {
	return generation <= now-keepGenerations && date.Sub(superseded) >= keepFor
}

// files returns all files that are there by hash: the mutable names in the
// order in which they are applied.
func (m *manifest) files() []file {
	return slices.DeleteFunc(append(m.listed(), m.Unlisted...), func(f file) bool {
		return slices.ContainsFunc(m.Indexes, func(x index) bool { return x.Packed && x.Path == f.Path })
	})
}

// listed returns all files that Release lists.
func (m *manifest) listed() []file {
	var files []file
	for _, x := range m.Indexes {
		files = append(files, file{x.Path, x.Plain}, file{x.Path + ".gz", x.GZ})
		for _, v := range x.More {
			files = append(files, file{x.Path + v.Suffix, v.File})
		}
	}
	return append(files, m.Releases...)
}

// signatures are the files that apt looks at, in the order in which they are
// applied, InRelease last.
func (m *manifest) signatures() []string {
	if !m.Signed {
		return []string{"Release"}
	}
	return []string{"Release", "Release.gpg", "InRelease"}
}

func (s *Store) manifest(ctx context.Context, key string) (*manifest, error) {
	r, _, err := s.Blobs.Open(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var m manifest
	if err := json.NewDecoder(io.LimitReader(r, 256<<20)).Decode(&m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", key, err)
	}
	for _, f := range m.files() {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

// indexes stages the indexes and the Release files beside them.
func (st *stager) indexes(ctx context.Context, m, prev *manifest, lists map[string]*pkglist.List) error {
	for _, c := range slices.Sorted(maps.Keys(lists)) {
		for _, arch := range st.record.Architectures {
			specs := []spec{{Path: c + "/binary-" + arch + "/Packages", Component: c, Arch: arch, Kind: deb.Binary}}
			if arch == deb.SourceArch {
				specs = []spec{{Path: c + "/source/Sources", Component: c, Arch: arch, Kind: deb.Source}}
			} else if slices.ContainsFunc(lists[c].Counts(), func(n pkglist.Count) bool { return n.Kind == deb.Udeb && n.Packages > 0 }) {
				specs = append(specs, spec{Path: c + "/debian-installer/binary-" + arch + "/Packages", Component: c, Arch: arch, Kind: deb.Udeb})
			}
			for _, sp := range specs {
				sp.PoolDir = m.Lists[c].PoolDir
				if err := st.indexAndRelease(ctx, m, prev, sp, lists[c]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (st *stager) indexAndRelease(ctx context.Context, m, prev *manifest, sp spec, list *pkglist.List) error {
	var last *index
	if i := slices.IndexFunc(prev.Indexes, func(x index) bool { return x.Path == sp.Path }); i >= 0 {
		last = &prev.Indexes[i]
	}
	x, err := st.index(ctx, sp, list, last)
	if err != nil {
		return err
	}
	m.Indexes = append(m.Indexes, *x)
	name := path.Dir(sp.Path) + "/Release"
	o, err := st.text(ctx, prev, name, st.record.componentRelease(sp.Component, sp.Arch))
	if err != nil {
		return err
	}
	m.Releases = append(m.Releases, file{name, o})
	return nil
}

// text stages a file, unless the last publication had it.
func (st *stager) text(ctx context.Context, prev *manifest, name string, text []byte) (object, error) {
	if f := (file{name, sum(text)}); slices.Contains(prev.Releases, f) && st.staged(prev) {
		return f.object, nil
	}
	return st.byHash(ctx, name, text)
}

// staged says whether what prev staged is there under all the digests that it
// has to have for this publication.
func (st *stager) staged(prev *manifest) bool { return prev.ByHash || !st.record.ByHash }

func (st *stager) put(ctx context.Context, key string, data []byte) error {
	_, err := st.store.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{Size: int64(len(data)), CacheControl: mutable, ContentType: "text/plain; charset=utf-8"})
	return err
}

func (st *stager) save(ctx context.Context, m *manifest) (string, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	key := m.Folder + "/manifest.json"
	return key, st.put(ctx, key, data)
}

// same returns the paths that have equal files in both manifests.
func same(m, prev *manifest) []string {
	had := map[file]bool{}
	for _, f := range prev.files() {
		had[f] = true
	}
	var paths []string
	for _, f := range m.files() {
		if had[f] {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// byHash returns the keys of all that the manifest has by hash, each with the
// alias in whose tree it is.
func (m *manifest) byHash(r *Record) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, tree := range m.trees(r) {
			alias := tree
			if tree == r.Distribution {
				alias = ""
			}
			for _, f := range r.in(tree, m.files()) {
				for _, key := range byHashBelow(r.tree(tree), f.Path, f.object) {
					if !yield(key, alias) {
						return
					}
				}
			}
		}
	}
}

// retire notes which by-hash objects the new Release no longer names, and
// which of those noted before have stayed long enough.
func retire(r *Record, m, prev *manifest) {
	live := map[string]bool{}
	for key := range m.byHash(r) {
		live[key] = true
	}
	if !r.Applied { // whoever was to remove them may have been given up
		for _, key := range prev.Expired {
			if !live[key] {
				m.Expired = append(m.Expired, key)
			}
		}
	}
	// A name that is given up may become that of another publication.
	left := func(alias string) bool { return alias != "" && !slices.Contains(m.Aliases, alias) }
	noted := map[string]bool{}
	for _, old := range prev.Retired {
		switch {
		case live[old.Key] || noted[old.Key]:
		case left(old.Alias), outlived(old.Generation, old.At, m.Generation, m.Date):
			m.Expired = append(m.Expired, old.Key)
		default:
			m.Retired = append(m.Retired, old)
		}
		noted[old.Key] = true
	}
	for key, alias := range prev.byHash(r) {
		switch {
		case live[key] || noted[key]:
		case left(alias):
			m.Expired = append(m.Expired, key)
		default:
			m.Retired = append(m.Retired, retired{key, prev.Generation, m.Date, alias})
		}
		noted[key] = true
	}
	oldest := prev.Generation
	for _, rev := range r.Revisions {
		oldest = min(oldest, rev.Generation)
	}
	for len(m.Retired) > maxRetired {
		first := m.Retired[0] // they are in the order in which they were retired
		if first.Generation >= oldest || first.Generation > m.Generation-keepGenerations || m.Date.Sub(first.At) < keepMany {
			break
		}
		m.Expired, m.Retired = append(m.Expired, first.Key), m.Retired[1:]
	}
}

package publish

import (
	"context"
	"fmt"
	"path"
	"slices"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
	"aptless/core/formats/members"
)

// object is a file of the tree: its size and digests.
type object struct {
	Size                      int64
	MD5, SHA1, SHA256, SHA512 string
}

// index is an index file, plain and compressed.
type index struct {
	Path   string // below the distribution, without suffix: "main/binary-amd64/Packages"
	List   string // what it was made from: equal if the index would be equal
	ByHash bool   // it was staged under all its digests, not under that of SHA-256 only
	Packed bool   // only the compressed file is in the tree; Release lists both
	Plain  object
	GZ     object
	Pieces []piece // what it consists of, in order
	More   []variant
}

// variant is a compressed file of an index, besides that of gzip.
type variant struct {
	Suffix  string
	File    object
	Members []members.Member // one for each piece
}

// variant returns the file of a suffix besides .gz: nil if there is none.
func (x *index) variant(suffix string) *variant {
	i := slices.IndexFunc(x.More, func(v variant) bool { return v.Suffix == suffix })
	if i < 0 {
		return nil
	}
	return &x.More[i]
}

// only returns the index with some of its variants: nil if it has not all of them.
func (x *index) only(suffixes []string) *index {
	some := *x
	some.More = nil
	for _, suffix := range suffixes {
		v := x.variant(suffix)
		if v == nil {
			return nil
		}
		some.More = append(some.More, *v)
	}
	return &some
}

// spec says what an index is to have.
type spec struct {
	Path, Component, Arch string
	Kind                  deb.Kind
	PoolDir               string
}

// has says whether a package belongs to the index.
func (sp spec) has(p *deb.Package) bool {
	return p.Kind == sp.Kind && deb.MatchArchitecture(p.Architecture, sp.Arch)
}

// form changes with every change to the bytes that are made of a list, so that
// nothing made otherwise is taken over.
const form = "2"

// params says what an index depends on besides its list.
func (sp spec) params() string {
	return fmt.Sprintf("%s %s %d %s", sp.PoolDir, sp.Arch, sp.Kind, form)
}

// stager puts what no reader asks for yet.
type stager struct {
	store  *Store
	record *Record
	folder string // private, of this attempt

	packings map[string]members.Packing // those that were needed, by suffix
}

// index stages an index of a list of packages. prev is the index of the last
// publication: if it would not change it is returned without any request, and
// what does not change in it is copied from where it was staged.
func (st *stager) index(ctx context.Context, sp spec, list *pkglist.List, prev *index) (*index, error) {
	src := &source{params: sp.params(), suffixes: st.suffixes(!st.record.SkipBz2)}
	for _, c := range list.Chunks() {
		if holds(c, sp) {
			src.chunks = append(src.chunks, c.Chunk)
		}
	}
	src.render = func(ctx context.Context, c lists.Chunk) ([]byte, error) {
		packages, err := list.ReadChunk(ctx, pkglist.Chunk{Chunk: c})
		if err != nil {
			return nil, err
		}
		return sp.stanzas(packages, st.record.packageDir)
	}
	return st.splice(ctx, src, &index{Path: sp.Path, List: digest(list.Ref()) + " " + src.params, ByHash: st.record.ByHash}, prev)
}

// stanzas returns for each of the packages that belongs to the index a stanza
// and an empty line. dir returns where the package's files are.
func (sp spec) stanzas(packages []*deb.Package, dir func(poolDir string, p *deb.Package) (string, error)) ([]byte, error) {
	var plain []byte
	for _, p := range packages {
		if !sp.has(p) {
			continue
		}
		in, err := dir(sp.PoolDir, p)
		if err != nil {
			return nil, err
		}
		plain = p.AppendStanza(plain, in)
		plain = append(plain, '\n')
	}
	return plain, nil
}

// suffixes returns those of the compressed files that an index has besides .gz.
func (st *stager) suffixes(bz2 bool) []string {
	var suffixes []string
	if bz2 {
		suffixes = append(suffixes, ".bz2")
	}
	for _, name := range st.store.Compressions {
		suffixes = append(suffixes, "."+name)
	}
	return suffixes
}

// splice stages the index x of a source.
func (st *stager) splice(ctx context.Context, src *source, x, prev *index) (*index, error) {
	if prev != nil && prev.List == x.List && (prev.ByHash || !x.ByHash) {
		if some := prev.only(src.suffixes); some != nil {
			return some, nil
		}
	}
	out, err := st.outputs(ctx, src, x.Packed)
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", x.Path, err)
	}
	defer out.abort()
	src.blobs, src.zips, src.packings, src.last = st.store.Blobs, &st.store.zips, st.packings, prev
	src.key = func(f object) string { return byHashKeys(st.record, x.Path, f)[0] }
	err = src.each(ctx, src.jobs(prev), st.parallel(), out.add)
	if err == nil {
		err = out.stage(st, src, x)
	}
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", x.Path, err)
	}
	return x, nil
}

// CheckCompressions refuses what Store.Compressions cannot be.
func CheckCompressions(names []string) error {
	for i, name := range names {
		if name != "xz" && name != "zst" {
			return fmt.Errorf("indexes cannot be compressed as %q: xz and zst are there to choose from", name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("compression %q is named twice", name)
		}
	}
	return nil
}

// defaultParallel is how many parts of an index are made at the same time.
const defaultParallel = 8

func (st *stager) parallel() int {
	if n := st.store.Lists.Chunks.Parallel; n > 0 {
		return n
	}
	return defaultParallel
}

func digest(ref lists.Ref) string { return fmt.Sprintf("%v", ref.Digest) }

// holds says whether any package of a chunk belongs to the index.
func holds(c pkglist.Chunk, sp spec) bool {
	for _, n := range c.Counts {
		if n.Kind == sp.Kind && deb.MatchArchitecture(n.Architecture, sp.Arch) {
			return true
		}
	}
	return false
}

// sum returns the object that bytes are.
func sum(data []byte) object {
	h := deb.NewHasher()
	h.Write(data)
	return objectOf(h)
}

func objectOf(h *deb.Hasher) object {
	f := h.File("")
	return object{f.Size, f.MD5, f.SHA1, f.SHA256, f.SHA512}
}

// byHash stages a file of the directory of an index under each of its digests.
func (st *stager) byHash(ctx context.Context, name string, data []byte) (object, error) {
	s := st.spool(ctx, "file")
	defer s.abort()
	if _, err := s.Write(data); err != nil {
		return object{}, err
	}
	return st.stage(ctx, name, s)
}

// stage is byHash of what a spool was given.
func (st *stager) stage(ctx context.Context, name string, s *spool) (object, error) {
	o := objectOf(s.hash)
	keys := byHashKeys(st.record, name, o)
	if err := s.store(keys[0], o, byDigest(o.Size)); err != nil {
		return object{}, err
	}
	if !st.record.ByHash {
		return o, nil
	}
	return o, st.copyByHash(ctx, keys[0], o.Size, keys[1:])
}

// byDigest describes a file that is found by its digest.
func byDigest(size int64) driver.PutOptions {
	return driver.PutOptions{IfAbsent: true, Size: size, CacheControl: immutable, ContentType: "application/octet-stream"}
}

// copyByHash stages what is there by hash under more keys of that kind.
func (st *stager) copyByHash(ctx context.Context, from string, size int64, keys []string) error {
	for _, key := range keys {
		if _, err := st.store.Blobs.Copy(ctx, key, from, byDigest(size)); unlessExists(err) != nil {
			return err
		}
	}
	return nil
}

// byHashKeys returns the keys under which a file is found by its digests, that
// of SHA-256 first: it is where the file is staged, whether or not clients are
// told of it.
func byHashKeys(r *Record, name string, o object) []string { return byHashBelow(r.dists(), name, o) }

// byHashBelow is byHashKeys in one of the publication's trees.
func byHashBelow(tree, name string, o object) []string {
	dir := path.Join(tree, path.Dir(name), "by-hash")
	return []string{dir + "/SHA256/" + o.SHA256, dir + "/MD5Sum/" + o.MD5, dir + "/SHA1/" + o.SHA1, dir + "/SHA512/" + o.SHA512}
}

// check refuses what is no digest, so that a damaged manifest names no other key.
func (o object) check() error {
	if !isDigest(o.SHA256) {
		return fmt.Errorf("manifest names %q: %w", o.SHA256, driver.ErrInvalid)
	}
	return nil
}

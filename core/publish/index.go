package publish

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path"

	"github.com/klauspost/compress/gzip"

	"aptless/core/chunks"
	"aptless/core/deb"
	"aptless/core/driver"
	"aptless/core/pkglist"
)

// object is a file of the tree: its size and digests.
type object struct {
	Size                      int64
	MD5, SHA1, SHA256, SHA512 string
}

// index is an index file, plain and compressed.
type index struct {
	Path  string // below the distribution, without suffix: "main/binary-amd64/Packages"
	List  string // what it was made from: equal if the index would be equal
	Plain object
	GZ    object
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

// gzipLevel is that of all indexes; equal input gives equal bytes.
const gzipLevel = 6

// stager puts what no reader asks for yet.
type stager struct {
	store  *Store
	record *Record
	folder string // private, of this attempt
}

// index renders and stages an index, chunk by chunk of its list. prev is the
// index of the last publication; if nothing in it would change it is returned
// without any request.
func (st *stager) index(ctx context.Context, sp spec, list *pkglist.List, prev *index) (*index, error) {
	from := fmt.Sprintf("%s %s %s %d %s", digest(list.Ref()), sp.PoolDir, sp.Arch, sp.Kind, "1")
	if prev != nil && prev.List == from {
		return prev, nil
	}
	var plain, packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzipLevel)
	if err != nil {
		return nil, err
	}
	var stanza []byte
	for _, c := range list.Chunks() {
		if !holds(c, sp) {
			continue
		}
		packages, err := list.ReadChunk(ctx, c)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if !sp.has(p) {
				continue
			}
			dir, err := p.PoolDir()
			if err != nil {
				return nil, err
			}
			stanza = p.AppendStanza(stanza[:0], path.Join(sp.PoolDir, dir))
			stanza = append(stanza, '\n')
			plain.Write(stanza)
			zip.Write(stanza)
		}
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	x := &index{Path: sp.Path, List: from}
	if x.Plain, err = st.byHash(ctx, sp.Path, plain.Bytes()); err != nil {
		return nil, err
	}
	x.GZ, err = st.byHash(ctx, sp.Path, packed.Bytes())
	return x, err
}

func digest(ref chunks.Ref) string { return fmt.Sprintf("%v", ref.Digest) }

// holds says whether any package of a chunk may belong to the index.
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
	f := h.File("")
	return object{f.Size, f.MD5, f.SHA1, f.SHA256, f.SHA512}
}

// byHash stages a file of the directory of an index under each of its digests.
func (st *stager) byHash(ctx context.Context, name string, data []byte) (object, error) {
	o := sum(data)
	keys := byHashKeys(st.record, name, o)
	opt := driver.PutOptions{IfAbsent: true, CacheControl: immutable, ContentType: "application/octet-stream"}
	first := opt
	first.SHA256, first.Size = o.SHA256, o.Size
	if _, err := st.store.Blobs.Put(ctx, keys[0], bytes.NewReader(data), first); err != nil && !errors.Is(err, driver.ErrExists) {
		return object{}, err
	}
	if !st.record.ByHash {
		return o, nil
	}
	for _, key := range keys[1:] {
		if _, err := st.store.Blobs.Copy(ctx, key, keys[0], opt); err != nil && !errors.Is(err, driver.ErrExists) {
			return object{}, err
		}
	}
	return o, nil
}

// What caches may do with a file that never changes, and with one that does.
const (
	immutable = "public, max-age=31536000, immutable"
	mutable   = "public, max-age=0, s-maxage=30"
)

// byHashKeys returns the keys under which a file is found by its digests, that
// of SHA-256 first: it is where the file is staged, whether or not clients are
// told of it.
func byHashKeys(r *Record, name string, o object) []string {
	dir := path.Join(r.dists(), path.Dir(name), "by-hash")
	return []string{dir + "/SHA256/" + o.SHA256, dir + "/MD5Sum/" + o.MD5, dir + "/SHA1/" + o.SHA1, dir + "/SHA512/" + o.SHA512}
}

// check refuses what is no digest, so that a damaged manifest names no other key.
func (o object) check() error {
	if b, err := hex.DecodeString(o.SHA256); err != nil || len(b) != 32 {
		return fmt.Errorf("manifest names %q: %w", o.SHA256, driver.ErrInvalid)
	}
	return nil
}

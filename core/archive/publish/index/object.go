package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
	"aptless/core/formats/members"
)

// Object is a file of the tree: its size in bytes and its digests, as
// hexadecimal digits. Digests that the Release did not list are "", but never SHA256.
type Object struct {
	Size                      int64
	MD5, SHA1, SHA256, SHA512 string
}

// Has reports whether the object has all digests of a set.
func (o Object) Has(d deb.Digests) bool {
	return (d&deb.MD5 == 0 || o.MD5 != "") && (d&deb.SHA1 == 0 || o.SHA1 != "") && (d&deb.SHA512 == 0 || o.SHA512 != "")
}

// Check refuses a digest that is none, so that a damaged manifest names no other
// key. The error matches driver.ErrInvalid.
func (o Object) Check() error {
	if !paths.IsDigest(o.SHA256) {
		return fmt.Errorf("manifest names %q: %w", o.SHA256, driver.ErrInvalid)
	}
	return nil
}

// File is a file below the distribution that is also there by hash.
type File struct {
	Path string // below the distribution: "main/binary-amd64/Packages.gz"
	Object
}

// ByHash returns the keys of the file by its digests in a tree, that of SHA-256
// first. The file is staged there, whether or not clients are told of by-hash.
func (f File) ByHash(tree string) []string {
	return paths.ByHash(tree, deb.File{Name: f.Path, MD5: f.MD5, SHA1: f.SHA1, SHA256: f.SHA256, SHA512: f.SHA512})
}

// Index is an index file, plain and compressed.
type Index struct {
	Path   string // below the distribution, without suffix: "main/binary-amd64/Packages"
	List   string // digest and parameters: equal for equal indexes
	ByHash bool   // staged under all its digests, not under that of SHA-256 only
	Packed bool   // only the compressed file is in the tree; Release lists both
	Plain  Object
	GZ     Object
	Pieces []Piece   // in order
	More   []Variant // compressed files besides that of gzip

	PlainStates, GZStates *States `json:",omitempty"` // nil for a small file
}

// Variant is a compressed file of an index, besides that of gzip.
type Variant struct {
	Suffix  string // ".bz2"
	File    Object
	Members []members.Member // one for each piece
	States  *States          `json:",omitempty"` // nil for a small file
}

// Piece is the contribution of a chunk to an index. A chunk that contributes
// nothing has none.
type Piece struct {
	Chunk lists.Digest `json:"c"`
	Plain int64        `json:"p"`           // bytes
	GZ    int64        `json:"z"`           // bytes of the gzip member
	Sums  *[2]uint32   `json:"s,omitempty"` // CRC-32C of the plain bytes and of the member; nil in older manifests
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumsOf returns the sums of a piece.
func sumsOf(plain, gz []byte) *[2]uint32 {
	return &[2]uint32{crc32.Checksum(plain, castagnoli), crc32.Checksum(gz, castagnoli)}
}

// States are the states of the digests of a file at the multiples of a distance. A later
// file that begins with equal bytes goes on from the last of them, and hashes the rest.
type States struct {
	Every   int64       `json:"e"` // bytes from one state to the next
	Digests deb.Digests `json:"d"`
	States  []byte      `json:"s"` // one after another, the first after Every bytes: see deb.Hasher
	Sum     uint32      `json:"c"` // CRC-32C of the fields above and of the digest of the file
}

// Bounds of States: 256 KiB or more lie between two of them, and a file has no more than
// 48. A file that grows over that keeps every second one.
const (
	minEvery  = 256 << 10
	maxStates = 48
)

// seal sets the sum of the states of an object.
func (s *States) seal(of Object) *States {
	s.Sum = s.sum(of)
	return s
}

func (s *States) sum(of Object) uint32 {
	n := append(binary.LittleEndian.AppendUint64([]byte(of.SHA256), uint64(s.Every)), byte(s.Digests))
	return crc32.Update(crc32.Checksum(n, castagnoli), castagnoli, s.States)
}

// sound reports whether the states are as they were sealed for an object.
func (s *States) sound(of Object) bool {
	return s.sum(of) == s.Sum && s.Every >= minEvery && s.Every%minEvery == 0
}

// Published is the list of a component and the directory of its package files.
type Published struct {
	List    lists.Ref
	PoolDir string // below paths.Dist.Root
}

// Set is the index files of a distribution, and the lists they were made of.
type Set struct {
	ByHash   bool                 // the files are there under all their digests
	Lists    map[string]Published // by component
	Indexes  []Index
	Contents *lists.Ref // of the list of all paths; nil if it was not made
	Releases []File     // beside the indexes: component Releases, AppStream, skeleton files
	Unlisted []File     `json:",omitempty"` // not listed by Release: signatures of installers
	Skeleton string     `json:",omitempty"` // state of the files of operators
	Signers  string     `json:",omitempty"` // digest of the keys that signed Unlisted
}

// Lender is another publication of the storage, or indexes that were rendered ahead. Its
// indexes are copied where this publication needs equal ones.
type Lender struct {
	Tree string // key prefix of its distribution
	Set  *Set
	// Ahead says that no publication has the indexes, so no reader has verified them. Their
	// bytes are verified before they are copied.
	Ahead bool
	// Paths is Set.Contents if a row names it: a collection may delete other lists. For
	// example, that of a publication that is dropped now.
	Paths *lists.Ref
}

// Listed returns all files that Release lists.
func (s *Set) Listed() []File {
	var files []File
	for i := range s.Indexes {
		files = append(files, s.Indexes[i].files()...)
	}
	return append(files, s.Releases...)
}

// Files returns all files that are there by hash: the mutable names in the order
// in which they are applied.
func (s *Set) Files() []File {
	packed := map[string]bool{}
	for _, x := range s.Indexes {
		packed[x.Path] = x.Packed
	}
	return slices.DeleteFunc(append(s.Listed(), s.Unlisted...), func(f File) bool { return packed[f.Path] })
}

// Find returns the index with a path, nil if there is none.
func (s *Set) Find(path string) *Index {
	i := slices.IndexFunc(s.Indexes, func(x Index) bool { return x.Path == path })
	if i < 0 {
		return nil
	}
	return &s.Indexes[i]
}

// files returns the files of the index as Release lists them.
func (x *Index) files() []File {
	files := []File{{x.Path, x.Plain}, {x.Path + ".gz", x.GZ}}
	for _, v := range x.More {
		files = append(files, File{x.Path + v.Suffix, v.File})
	}
	return files
}

// stored returns the files of the index that are in the tree.
func (x *Index) stored() []File {
	if x.Packed {
		return x.files()[1:]
	}
	return x.files()
}

// variant returns the file with a suffix besides .gz, nil if there is none.
func (x *Index) variant(suffix string) *Variant {
	i := slices.IndexFunc(x.More, func(v Variant) bool { return v.Suffix == suffix })
	if i < 0 {
		return nil
	}
	return &x.More[i]
}

// only returns the index with some of its variants, nil if it lacks one of them, or a
// digest.
func (x *Index) only(suffixes []string, d deb.Digests) *Index {
	if slices.ContainsFunc(x.files(), func(f File) bool { return !f.Has(d) }) {
		return nil
	}
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

package index

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
	"aptless/core/formats/members"
)

// Stager stages files that no reader asks for yet. It belongs to one attempt at
// one publication.
type Stager struct {
	Blobs driver.Blobs
	Lists pkglist.Store
	// Paths finds the paths in a binary package's archive by the key of the
	// package. nil makes no Contents.
	Paths        func(ctx context.Context, key string) (Paths, error)
	Zips         *sync.Pool // of *gzip.Writer: to make one takes longer than to compress a small piece
	Compressions []string   // besides gz and bz2: see CheckCompressions
	Dist         paths.Dist
	Header       Header
	SkipBz2      bool
	GzipLevel    int    // 1 to 9; 0 is DefaultGzipLevel. Zips has writers of this level only
	Folder       string // key prefix of private objects, of this attempt alone
	Root         string // key prefix of the files; "" is that of the distribution
	Inventory    bool   // files are listed in the folder before they are staged

	// Lenders have equal indexes, which are copied, and equal pieces of other indexes.
	Lenders []Lender

	// SpoolLimit is up to how many bytes of a file stay in memory until its digest is
	// known; 0 is 64 MiB. A larger file costs three requests more, which cost little on
	// one machine.
	SpoolLimit int

	// Tasks bounds the memory of attempts while they stage. Parts bounds the
	// parts of indexes that are made at the same time. An attempt that holds some
	// of Tasks may wait for Parts, and never the other way round. Nil is without
	// a bound.
	Tasks, Parts *parallel.Budget

	// OutOfTime says that the slice of the task is over. Pause then saves how far
	// staging has come and returns the error that ends the slice. nil: no limit.
	OutOfTime func() bool
	Pause     func(ctx context.Context, p Progress) error
	Begun     Progress // by earlier slices

	// HashAll lets indexes pass over no bytes of the last ones: see digester. Say gets a
	// line for an index whose States were wrong; it may be nil.
	HashAll bool
	Say     func(format string, args ...any)

	inventories int                        // that are written
	listed      map[string]bool            // keys in inventories, and the keys in unlisted
	unlisted    []string                   // keys that the next inventory lists
	packings    map[string]members.Packing // in use, by suffix
}

// Progress is how far the slices of a task have come with staging.
type Progress struct {
	Indexes []Index       // that are staged
	Paths   *PathProgress // of the list of paths, nil before it is begun
}

// PathProgress is how far the list of paths is made.
type PathProgress struct {
	Component string      // that is being added; the components before it are done
	Packages  int         // of its changes that are added
	Fresh     bool        // the list is made by an external sort
	List      *lists.Ref  // edited so far
	Runs      []lists.Ref // of the external sort
}

// Paths are the paths in a package's archive.
type Paths interface {
	// Use calls f for each path, ascending, with bytes that are valid during the
	// call. It returns why the archive could not be read, "" if it could.
	Use(ctx context.Context, f func(path []byte) error) (unreadable string, err error)
}

// tree is the key prefix of the files.
func (st *Stager) tree() string { return cmp.Or(st.Root, st.Dist.Tree(st.Dist.Name)) }

// Put writes a private file of the attempt.
func (st *Stager) Put(ctx context.Context, key string, data []byte) error {
	_, err := st.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{Size: int64(len(data)), CacheControl: paths.Mutable, ContentType: "text/plain; charset=utf-8"})
	return err
}

// UnlessExists returns nil for driver.ErrExists: the object is there already.
func UnlessExists(err error) error {
	if errors.Is(err, driver.ErrExists) {
		return nil
	}
	return err
}

// Suffixes returns the suffixes of the compressed files of an index besides
// .gz.
func (st *Stager) Suffixes(bz2 bool) []string {
	var suffixes []string
	if bz2 {
		suffixes = append(suffixes, ".bz2")
	}
	for _, name := range st.Compressions {
		suffixes = append(suffixes, "."+name)
	}
	return suffixes
}

// level is the level of .gz files.
func (st *Stager) level() int { return cmp.Or(st.GzipLevel, DefaultGzipLevel) }

// Form changes with every change to the bytes that are made of a list, so that
// nothing made otherwise is copied.
const Form = "3"

// form is Form with the settings on which the bytes of all indexes depend.
func (st *Stager) form() string {
	if st.level() == DefaultGzipLevel {
		return Form
	}
	return fmt.Sprintf("%s-gz%d", Form, st.level())
}

// CheckGzipLevel refuses a level that Stager.GzipLevel cannot have.
func CheckGzipLevel(level int) error {
	if level < 0 || level > gzip.BestCompression {
		return fmt.Errorf("gzip level %d: 1 to %d are possible", level, gzip.BestCompression)
	}
	return nil
}

// CheckCompressions refuses names that Stager.Compressions cannot have: it takes
// xz and zst, each once.
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

func (st *Stager) parallel() int {
	if n := st.Lists.Chunks.Parallel; n > 0 {
		return n
	}
	return defaultParallel
}

// Digests are the digests that the files get.
func (st *Stager) Digests() deb.Digests { return st.Header.digests() }

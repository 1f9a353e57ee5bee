package index

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
	"aptless/core/formats/members"
)

// each does the jobs and passes their parts to use, in order. Several chunks are
// rendered at the same time. Copied pieces stream by, one in memory.
func (src *source) each(ctx context.Context, jobs []job, workers int, use func(part) error) error {
	type made struct {
		job  job
		part part // none if the job is to copy
	}
	pipe := parallel.Pipe[job, made]{
		Workers: workers, Budget: src.memory,
		Weight: func(j job) int64 { return partWeight * j.chunks[0].Bytes },
		Work: func(ctx context.Context, _ *parallel.Lease, j job) (made, error) {
			if j.copied != nil {
				return made{job: j}, nil
			}
			p, err := src.make(ctx, j.chunks[0])
			return made{j, p}, err
		},
		Use: func(ctx context.Context, m made) error {
			if m.job.copied != nil {
				return src.copy(ctx, m.job, use)
			}
			return use(m.part)
		},
	}
	return pipe.Run(ctx, func(yield func(job, error) bool) {
		for _, j := range jobs {
			if !yield(j, nil) {
				return
			}
		}
	})
}

// partWeight is how many bytes a part takes for each of its chunk: the records,
// the text, and its compressed forms.
const partWeight = 4

// errUnusable says that the last index is lost, or is not as its manifest says.
// Its pieces are rendered instead of copied.
var errUnusable = errors.New("last index is not usable")

// copy copies pieces of the last index with one request for each compressed
// file. It renders the pieces that cannot be copied.
func (src *source) copy(ctx context.Context, j job, use func(part) error) error {
	taken, err := src.take(ctx, j, use)
	if !errors.Is(err, errUnusable) {
		return err
	}
	if j.first == 0 && src.passes {
		return fmt.Errorf("%w: %w", errStates, err)
	}
	for _, c := range j.chunks[taken:] {
		p, err := src.make(ctx, c)
		if err != nil {
			return err
		}
		if err := use(p); err != nil {
			return err
		}
	}
	return nil
}

// take reads pieces of the last index. Their plain bytes are those of the plain file. If
// it is not in the tree, or the manifest has no sums of pieces, they are unpacked. Both
// ways check sums of all bytes. take returns how many pieces were used.
func (src *source) take(ctx context.Context, j job, use func(part) error) (int, error) {
	zipped, err := src.openFile(ctx, src.last.Path+".gz", src.last.GZ, j.offset, j.gz)
	if err != nil {
		return 0, err
	}
	defer zipped.Close()
	var plain *ranged // nil: unpacked
	if !src.last.Packed && !slices.ContainsFunc(j.copied, func(p Piece) bool { return p.Sums == nil }) {
		if plain, err = src.openFile(ctx, src.last.Path, src.last.Plain, j.at, j.plain); err != nil {
			return 0, err
		}
		defer plain.Close()
	}
	others := make([]*memberReader, len(src.suffixes))
	for i, suffix := range src.suffixes {
		if others[i], err = src.members(ctx, suffix, j); err != nil {
			return 0, err
		}
		defer others[i].Close()
	}
	var zip gzip.Reader
	p, at := part{more: make([]members.Packed, len(others))}, int64(0)
	for i, want := range j.copied {
		p.piece, p.passed = want, false
		p.gz, p.plain = resize(p.gz, want.GZ), resize(p.plain, want.Plain)
		if err := cut(io.ReadFull(zipped, p.gz)); err != nil {
			return i, err
		}
		if at += want.Plain; j.first == 0 && at <= src.packedFrom {
			if p.plain, p.passed = nil, true; crc32.Checksum(p.gz, castagnoli) != want.Sums[1] {
				return i, fmt.Errorf("piece %d: %w: other bytes than the manifest says", i, errUnusable)
			}
		} else if err := p.fill(plain, &zip); err != nil {
			return i, fmt.Errorf("piece %d: %w", i, err)
		}
		for k, others := range others {
			if err := others.next(&p.more[k]); err != nil {
				return i, err
			}
		}
		if err := use(p); err != nil {
			return i, err
		}
	}
	return len(j.copied), nil
}

// fill fills p.plain from the plain file or, without one, from the member p.gz. It checks
// the sums of the piece, and sets them if they are not known.
func (p *part) fill(plain *ranged, zip *gzip.Reader) error {
	if plain != nil {
		if err := cut(io.ReadFull(plain, p.plain)); err != nil {
			return err
		}
	} else if err := unzip(zip, *p); err != nil {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	known := p.piece.Sums
	p.piece.Sums = sumsOf(p.plain, p.gz)
	if known != nil && *known != *p.piece.Sums {
		return fmt.Errorf("%w: other bytes than the manifest says", errUnusable)
	}
	return nil
}

// ranged is a part of an Object.
type ranged struct {
	*bufio.Reader
	io.Closer
}

// openFile reads bytes of a file of the last index. name is the file's path.
func (src *source) openFile(ctx context.Context, name string, of Object, offset, length int64) (*ranged, error) {
	r, info, err := src.blobs.Open(ctx, File{name, of}.ByHash(src.tree)[0], &driver.Range{Offset: offset, Length: length})
	if errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrInvalid) {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	if err != nil {
		return nil, err
	}
	if info.Size != of.Size {
		r.Close()
		return nil, fmt.Errorf("%w: %d bytes instead of %d", errUnusable, info.Size, of.Size)
	}
	return &ranged{bufio.NewReaderSize(r, 256<<10), r}, nil
}

// sound reports whether the files of an index have the bytes of their digests. It reads
// several at the same time.
func (st *Stager) sound(ctx context.Context, x *Index, tree string) (bool, error) {
	var calls []*parallel.Call[bool]
	for _, f := range x.stored() {
		calls = append(calls, parallel.Start(func() (bool, error) { return st.soundFile(ctx, f, tree) }))
	}
	sound := true
	var errs error
	for _, call := range calls {
		ok, err := call.Result()
		sound, errs = sound && ok, errors.Join(errs, err)
	}
	return sound, errs
}

// soundFile reports whether an object has the bytes of its digests. One that is lost has
// not.
func (st *Stager) soundFile(ctx context.Context, f File, tree string) (bool, error) {
	src := &source{blobs: st.Blobs, tree: tree}
	r, err := src.openFile(ctx, f.Path, f.Object, 0, f.Size)
	if errors.Is(err, errUnusable) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	digests := st.Header.digests() | deb.SHA256
	hash := deb.NewHasherOf(digests)
	if _, err := io.Copy(hash, r.Reader); err != nil {
		return false, err
	}
	has := hash.File(f.Path)
	return has.Size == f.Size && has.SHA256 == f.SHA256 && (digests&deb.MD5 == 0 || has.MD5 == f.MD5) &&
		(digests&deb.SHA1 == 0 || has.SHA1 == f.SHA1) && (digests&deb.SHA512 == 0 || has.SHA512 == f.SHA512), nil
}

// cut turns the error of bytes that end too early into errUnusable.
func cut(_ int, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	return err
}

// memberReader reads the members of consecutive pieces of the last index.
type memberReader struct {
	io.Closer
	bits members.Splitter
	want []members.Member
}

func (src *source) members(ctx context.Context, suffix string, j job) (*memberReader, error) {
	v := src.last.variant(suffix)
	from := int64(len(src.packings[suffix].Head())) * 8
	for _, m := range v.Members[:j.first] {
		from += m.Bits
	}
	want := v.Members[j.first : j.first+len(j.copied)]
	to := from
	for _, m := range want {
		to += m.Bits
	}
	r, err := src.openFile(ctx, src.last.Path+suffix, v.File, from/8, (to+7)/8-from/8)
	if err != nil {
		return nil, err
	}
	ms := &memberReader{Closer: r, bits: members.Splitter{From: r.Reader}, want: want}
	if _, err := ms.bits.Read(nil, from%8); cut(0, err) != nil {
		r.Close()
		return nil, cut(0, err)
	}
	return ms, nil
}

func (ms *memberReader) next(p *members.Packed) error {
	p.Member, ms.want = ms.want[0], ms.want[1:]
	data, err := ms.bits.Read(p.Data, p.Bits)
	if err != nil {
		return cut(0, err)
	}
	p.Data = data
	if !p.Sound() {
		return fmt.Errorf("%w: a member is not what it was", errUnusable)
	}
	return nil
}

// resize returns a slice of n bytes, b itself if it has room for them.
func resize(b []byte, n int64) []byte { return slices.Grow(b[:0], int(n))[:n] }

// unzip fills p.plain from the member p.gz, and fails unless that is all of it.
func unzip(zip *gzip.Reader, p part) error {
	if err := zip.Reset(bytes.NewReader(p.gz)); err != nil {
		return err
	}
	if _, err := io.ReadFull(zip, p.plain); err != nil {
		return err
	}
	if n, err := zip.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return fmt.Errorf("no end after %d bytes: %v", len(p.plain), err)
	}
	return nil
}

package publish

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/members"
)

// An index is the concatenation of what the chunks of its list contribute, and
// its compressed file that of one gzip member for each of them. Equal chunks
// contribute equal bytes, so those of the last publication are copied.

// piece is what a chunk contributes to an index. Chunks that contribute nothing
// have none.
type piece struct {
	Chunk lists.Digest `json:"c"`
	Plain int64        `json:"p"` // bytes
	GZ    int64        `json:"z"` // bytes of the gzip member
}

// gzipLevel is that of all indexes; equal input gives equal bytes.
const gzipLevel = 6

// maxPiece is how many bytes a piece of a manifest may have to be believed: more
// than a chunk of the largest content makes.
const maxPiece = 4 * lists.MaxContent

// job is a part of an index that is made at once: one chunk to be rendered, or
// several whose pieces are next to each other in the last index.
type job struct {
	chunks []lists.Chunk
	copied []piece // one for each chunk; nil if it is to be rendered
	first  int     // number of the first piece in the last index
	offset int64   // of it in the compressed file
	gz     int64   // bytes of them all
}

// part is a piece with its bytes. Whoever is given one does not keep them.
type part struct {
	piece     piece
	plain, gz []byte
	more      []members.Packed // for each of the source's packings
}

// source makes an index, from the chunks of a list and from the last index.
type source struct {
	chunks []lists.Chunk                                      // all that contribute, in order
	render func(context.Context, lists.Chunk) ([]byte, error) // what one contributes: never nothing
	params string                                             // what the bytes depend on besides the chunks

	blobs    driver.Blobs
	zips     *sync.Pool                 // of the store
	packings map[string]members.Packing // besides gzip, by suffix
	suffixes []string                   // of them, in order
	key      func(f object) string      // of a compressed file of the last index
	last     *index
}

// jobs plans the index: what the last one has is to be copied, in as few ranges
// as there are changes between them.
func (src *source) jobs(prev *index) []job {
	type place struct {
		piece  piece
		number int
		offset int64
	}
	had := map[lists.Digest]place{}
	if prev != nil && src.made(prev) {
		var offset int64
		for i, p := range prev.Pieces {
			had[p.Chunk] = place{p, i, offset}
			offset += p.GZ
		}
	}
	var jobs []job
	for _, c := range src.chunks {
		old, found := had[c.Digest]
		if !found {
			jobs = append(jobs, job{chunks: []lists.Chunk{c}})
			continue
		}
		if len(jobs) > 0 {
			last := &jobs[len(jobs)-1]
			if last.copied != nil && last.first+len(last.copied) == old.number {
				last.add(c, old.piece)
				continue
			}
		}
		next := job{first: old.number, offset: old.offset}
		next.add(c, old.piece)
		jobs = append(jobs, next)
	}
	return jobs
}

func (j *job) add(c lists.Chunk, p piece) {
	j.chunks, j.copied = append(j.chunks, c), append(j.copied, p)
	j.gz += p.GZ
}

// made says whether an index was made as this one is to be, and its pieces are
// all of it.
func (src *source) made(prev *index) bool {
	var plain, gz int64
	for _, p := range prev.Pieces {
		if p.Plain <= 0 || p.Plain > maxPiece || p.GZ <= 0 || p.GZ > maxPiece {
			return false
		}
		plain += p.Plain
		gz += p.GZ
	}
	_, params, _ := strings.Cut(prev.List, " ")
	for _, suffix := range src.suffixes {
		v := prev.variant(suffix)
		if v == nil || len(v.Members) != len(prev.Pieces) {
			return false
		}
		for _, m := range v.Members {
			if m.Bits <= 0 || m.Bits > 8*maxPiece {
				return false
			}
		}
	}
	return params == src.params && plain == prev.Plain.Size && gz == prev.GZ.Size
}

// each does the jobs and calls use with the parts that they make, in their
// order. Several chunks are rendered at the same time; parts that are copied
// stream by, with one piece in memory.
func (src *source) each(ctx context.Context, jobs []job, workers int, use func(part) error) error {
	type made struct {
		job  job
		part part // nothing if the job is to copy
	}
	pipe := parallel.Pipe[job, made]{
		Workers: workers,
		Work: func(ctx context.Context, j job) (made, error) {
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

// make renders what a chunk contributes.
func (src *source) make(ctx context.Context, c lists.Chunk) (part, error) {
	plain, err := src.render(ctx, c)
	if err != nil {
		return part{}, err
	}
	p := part{plain: plain, gz: src.member(nil, plain)}
	p.piece = piece{c.Digest, int64(len(plain)), int64(len(p.gz))}
	for _, suffix := range src.suffixes {
		m, err := members.Pack(src.packings[suffix], plain)
		if err != nil {
			return part{}, fmt.Errorf("%s: %w", suffix, err)
		}
		p.more = append(p.more, m)
	}
	return p, nil
}

// member appends a gzip member, without a name or a time, to dst.
func (src *source) member(dst, plain []byte) []byte {
	to := bytes.NewBuffer(dst)
	zip, ok := src.zips.Get().(*gzip.Writer)
	if ok {
		zip.Reset(to)
	} else {
		zip, _ = gzip.NewWriterLevel(to, gzipLevel) // fails for levels that do not exist
	}
	defer src.zips.Put(zip)
	zip.Write(plain) // a Buffer takes all
	zip.Close()
	return to.Bytes()
}

// errUnusable says that the last index is not there or not what its manifest
// says: what it was to give is rendered.
var errUnusable = errors.New("last index is not usable")

// copy takes pieces from the last index with one request for each compressed
// file, and renders those that cannot be taken.
func (src *source) copy(ctx context.Context, j job, use func(part) error) error {
	taken, err := src.take(ctx, j, use)
	if !errors.Is(err, errUnusable) {
		return err
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

// take reads pieces of the last index, and takes the plain bytes from them: the
// sums in the members are checked thereby. It returns how many were used.
func (src *source) take(ctx context.Context, j job, use func(part) error) (int, error) {
	zipped, err := src.open(ctx, src.last.GZ, j.offset, j.gz)
	if err != nil {
		return 0, err
	}
	defer zipped.Close()
	others := make([]*memberReader, len(src.suffixes))
	for i, suffix := range src.suffixes {
		if others[i], err = src.members(ctx, suffix, j); err != nil {
			return 0, err
		}
		defer others[i].Close()
	}
	var zip gzip.Reader
	p := part{more: make([]members.Packed, len(others))}
	for i, want := range j.copied {
		p.piece = want
		p.gz, p.plain = resize(p.gz, want.GZ), resize(p.plain, want.Plain)
		if err := cut(io.ReadFull(zipped, p.gz)); err != nil {
			return i, err
		}
		if err := unzip(&zip, p); err != nil {
			return i, fmt.Errorf("%w: piece %d: %w", errUnusable, i, err)
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

// ranged is a part of an object.
type ranged struct {
	*bufio.Reader
	io.Closer
}

// open reads bytes of a compressed file of the last index.
func (src *source) open(ctx context.Context, of object, offset, length int64) (*ranged, error) {
	r, info, err := src.blobs.Open(ctx, src.key(of), &driver.Range{Offset: offset, Length: length})
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

// cut says of bytes that end too early that the last index is not usable.
func cut(_ int, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	return err
}

// memberReader reads what pieces of the last index were compressed to.
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
	r, err := src.open(ctx, v.File, from/8, (to+7)/8-from/8)
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

// resize returns a slice of n bytes, that of before if it has them.
func resize(b []byte, n int64) []byte { return slices.Grow(b[:0], int(n))[:n] }

// unzip fills p.plain from the member p.gz, and is sure that it is all of it.
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

package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/members"
)

// source makes an index from the chunks of a list and from the last index.
type source struct {
	chunks []lists.Chunk                                      // the chunks that contribute, in order
	render func(context.Context, lists.Chunk) ([]byte, error) // returns the bytes of a chunk: never none
	params string                                             // on which the bytes depend besides the chunks

	memory   *parallel.Budget
	blobs    driver.Blobs
	zips     *sync.Pool
	packings map[string]members.Packing // besides gzip, by suffix
	suffixes []string                   // of packings, in order
	level    int                        // of gzip
	tree     string                     // key prefix of the distribution
	last     *Index

	passes     bool  // some file passes over bytes of the last index: see digester
	packedFrom int64 // plain bytes of a packed index over which its digester passes
}

// job is a part of an index that is made at once. It has one chunk to be
// rendered, or several chunks whose pieces are next to each other in the last
// index.
type job struct {
	chunks []lists.Chunk
	copied []Piece // one for each chunk; nil if it is to be rendered
	first  int     // number of the first copied piece in the last index
	offset int64   // of the first copied piece in the .gz file
	gz     int64   // bytes of all copied pieces in the .gz file
	at     int64   // of the first copied piece in the plain file
	plain  int64   // bytes of all copied pieces in the plain file
}

// part is a piece with its bytes, which are valid until the next part is made.
type part struct {
	piece     Piece
	passed    bool // plain is not filled: it is passed over
	plain, gz []byte
	more      []members.Packed // for each of the source's packings
}

// DefaultGzipLevel is the level of .gz files; equal input gives equal bytes.
const DefaultGzipLevel = 6

// maxPiece bounds the size of a piece that a manifest may claim, in bytes: more
// than a chunk of the largest content makes.
const maxPiece = 4 * lists.MaxContent

func (j *job) add(c lists.Chunk, p Piece) {
	j.chunks, j.copied = append(j.chunks, c), append(j.copied, p)
	j.gz += p.GZ
	j.plain += p.Plain
}

// jobs plans the index: pieces of the last one are copied, in as few ranges as
// there are changes between them.
func (src *source) jobs(prev *Index) []job {
	type position struct {
		piece  Piece
		number int
		offset int64
		at     int64
	}
	had := map[lists.Digest]position{}
	if prev != nil && src.reusable(prev) {
		var offset, at int64
		for i, p := range prev.Pieces {
			had[p.Chunk] = position{p, i, offset, at}
			offset, at = offset+p.GZ, at+p.Plain
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
		next := job{first: old.number, offset: old.offset, at: old.at}
		next.add(c, old.piece)
		jobs = append(jobs, next)
	}
	return jobs
}

// reusable reports whether an index was made as this one is to be, and its
// pieces are all of it.
func (src *source) reusable(prev *Index) bool {
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

// make renders the piece of a chunk.
func (src *source) make(ctx context.Context, c lists.Chunk) (part, error) {
	plain, err := src.render(ctx, c)
	if err != nil {
		return part{}, err
	}
	p := part{plain: plain}
	zipped := parallel.Start(func() ([]byte, error) { return src.member(nil, plain), nil })
	for _, suffix := range src.suffixes {
		m, packErr := members.Pack(src.packings[suffix], plain)
		if packErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", suffix, packErr))
		}
		p.more = append(p.more, m)
	}
	var zipErr error
	p.gz, zipErr = zipped.Result()
	p.piece = Piece{c.Digest, int64(len(plain)), int64(len(p.gz)), sumsOf(plain, p.gz)}
	return p, errors.Join(err, zipErr)
}

// member appends a gzip member, without a name or a time, to dst.
func (src *source) member(dst, plain []byte) []byte {
	to := bytes.NewBuffer(dst)
	zip, ok := src.zips.Get().(*gzip.Writer)
	if ok {
		zip.Reset(to)
	} else {
		zip, _ = gzip.NewWriterLevel(to, src.level) // fails for levels that do not exist
	}
	defer src.zips.Put(zip)
	zip.Write(plain) // a Buffer takes all
	zip.Close()
	return to.Bytes()
}

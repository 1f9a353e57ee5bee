package lists

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrDamaged reports that an object of a list is missing or that its content
// does not match its name.
var ErrDamaged = errors.New("damaged list")

// Magic words. An object begins with its magic word; the digest covers it too.
const (
	chunkMagic = "aptless chunk 1\n"
	rootMagic  = "aptless list 1\n"
)

// Digest is a SHA-256. Its text is lower-case hexadecimal. The zero Digest is
// that of the empty list; its text is empty.
type Digest [sha256.Size]byte

func (d Digest) String() string {
	if d == (Digest{}) {
		return ""
	}
	return hex.EncodeToString(d[:])
}

// MarshalText makes a Digest a JSON string.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the output of MarshalText.
func (d *Digest) UnmarshalText(text []byte) error {
	*d = Digest{}
	if len(text) == 0 {
		return nil
	}
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("digest %.100q: %w", text, ErrDamaged)
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return fmt.Errorf("digest %.100q: %w", text, ErrDamaged)
	}
	return nil
}

// Chunk describes one chunk of a list. A root consists of them.
type Chunk struct {
	Digest      Digest
	Epoch       int64
	Count       int   // of records
	Bytes       int64 // of keys and values
	First, Last []byte
	Summary     []byte // made by Schema.Summary
}

// digestOf returns the name of the object with this magic word and content.
func digestOf(magic string, content []byte) (d Digest) {
	h := sha256.New()
	h.Write([]byte(magic))
	h.Write(content)
	h.Sum(d[:0])
	return d
}

// listDigest returns the digest of a list's content, made from the digests and
// counts of its chunks. It is zero for the empty list.
func listDigest(chunks []Chunk) (d Digest) {
	if len(chunks) == 0 {
		return d
	}
	h := sha256.New()
	var count [8]byte
	for i := range chunks {
		h.Write(chunks[i].Digest[:])
		binary.BigEndian.PutUint64(count[:], uint64(chunks[i].Count))
		h.Write(count[:])
	}
	h.Sum(d[:0])
	return d
}

func appendRecords(dst []byte, records []Record) []byte {
	for _, r := range records {
		dst = appendBytes(dst, r.Key)
		dst = appendBytes(dst, r.Val)
	}
	return dst
}

// decodeRecords reads the content of a chunk. The records share its memory. A
// count below 0 means unknown; any other count must be correct.
func decodeRecords(content []byte, count int) ([]Record, error) {
	if count > MaxRecords {
		return nil, fmt.Errorf("chunk of %d records: %w", count, ErrDamaged)
	}
	records := make([]Record, 0, min(max(count, 0), len(content)/2))
	d := decoder{rest: content}
	var last []byte
	for len(d.rest) > 0 {
		r := Record{Key: d.bytes(MaxKey), Val: d.bytes(MaxValue)}
		if d.failed || len(records) == MaxRecords || bytes.Compare(last, r.Key) >= 0 {
			return nil, fmt.Errorf("record %d of a chunk: %w", len(records), ErrDamaged)
		}
		records, last = append(records, r), r.Key
	}
	if count >= 0 && len(records) != count {
		return nil, fmt.Errorf("chunk of %d records has %d: %w", count, len(records), ErrDamaged)
	}
	return records, nil
}

func appendRoot(dst []byte, chunks []Chunk) []byte {
	for i := range chunks {
		c := &chunks[i]
		dst = appendBytes(dst, c.First)
		dst = appendBytes(dst, c.Last)
		dst = binary.AppendUvarint(dst, uint64(c.Count))
		dst = binary.AppendUvarint(dst, uint64(c.Bytes))
		dst = append(dst, c.Digest[:]...)
		dst = binary.AppendUvarint(dst, uint64(c.Epoch))
		dst = appendBytes(dst, c.Summary)
	}
	return dst
}

// decodeRoot reads the content of a root. The chunks share its memory.
func decodeRoot(content []byte) ([]Chunk, error) {
	var chunks []Chunk
	d := decoder{rest: content}
	var last []byte
	for len(d.rest) > 0 {
		c := Chunk{
			First: d.bytes(MaxKey),
			Last:  d.bytes(MaxKey),
			Count: int(d.number(MaxRecords)),
			Bytes: int64(d.number(MaxContent)),
		}
		copy(c.Digest[:], d.take(len(c.Digest)))
		c.Epoch = int64(d.number(1<<63 - 1))
		c.Summary = d.bytes(MaxContent)
		order := bytes.Compare(c.First, c.Last)
		if d.failed || bytes.Compare(last, c.First) >= 0 || order > 0 || (order == 0) != (c.Count == 1) || c.Count == 0 {
			return nil, fmt.Errorf("chunk %d of a list: %w", len(chunks), ErrDamaged)
		}
		chunks, last = append(chunks, c), c.Last
	}
	return chunks, nil
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// decoder consumes content from the front. Once failed, it returns zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) number(limit uint64) uint64 {
	n, size := binary.Uvarint(d.rest)
	if d.failed || size <= 0 || n > limit {
		d.failed = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) take(n int) []byte {
	if d.failed || n > len(d.rest) {
		d.failed = true
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) bytes(limit int) []byte {
	return d.take(int(d.number(uint64(limit))))
}

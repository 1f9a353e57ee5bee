package lists

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
)

// ErrTooLarge reports that a key, value, group or root exceeds its limit.
var ErrTooLarge = errors.New("list content too large")

// Store reads and writes lists. It may be used by many goroutines at once.
type Store struct {
	Blobs driver.Blobs
	Epoch func() int64 // returns the collection epoch in which new objects are written
	Cache *Cache       // may be nil

	// Ahead bounds the bytes of chunks that all readers together have prefetched.
	// Nil means no bound.
	Ahead *parallel.Budget

	// Parallel is the number of concurrent requests of one reader or writer; 0
	// means 8. With 1 the caller's goroutine makes all requests one by one, so
	// equal work makes equal calls.
	Parallel int

	encoders sync.Pool // of *zstd.Encoder; each takes some megabytes
	decoding sync.Once // creates decoder
	decoder  *zstd.Decoder
}

const defaultParallel = 8

func (s *Store) parallel() int {
	if s.Parallel > 0 {
		return s.Parallel
	}
	return defaultParallel
}

// Ref is the reference to a list that a row stores. The zero Ref is the empty list.
type Ref struct {
	// Digest depends on the content alone. Two lists of one Schema have equal
	// digests if and only if their records are equal.
	Digest Digest `json:"digest,omitzero"`

	// Root and Epoch name the root object. Lists of equal content may have
	// different roots, which name the same chunks in different epochs.
	Root  Digest `json:"root,omitzero"`
	Epoch int64  `json:"epoch,omitzero"`

	Count int `json:"count,omitzero"` // of records
}

// ObjectKey returns the storage key of an object. The collector marks objects by
// this key.
func ObjectKey(epoch int64, d Digest) string {
	name := d.String()
	return fmt.Sprintf("private/chunks/%d/%.2s/%s", epoch, name, name)
}

// zstdWindow is the window of the compression in bytes. Few chunks are larger.
const zstdWindow = 1 << 20

// seal returns the object with the content: magic word and zstd frame.
func (s *Store) seal(magic string, content []byte) []byte {
	e, ok := s.encoders.Get().(*zstd.Encoder)
	if !ok {
		var err error
		if e, err = zstd.NewWriter(nil, zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderConcurrency(1)); err != nil {
			panic(err) // the options are constant
		}
	}
	defer s.encoders.Put(e)
	return e.EncodeAll(content, append(make([]byte, 0, len(magic)+len(content)/3), magic...))
}

// unseal returns the content of an object.
func (s *Store) unseal(magic string, object []byte) ([]byte, error) {
	s.decoding.Do(func() {
		var err error
		if s.decoder, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxContent), zstd.WithDecoderLowmem(true)); err != nil {
			panic(err) // the options are constant
		}
	})
	frame, ok := bytes.CutPrefix(object, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("object without %q: %w", magic, ErrDamaged)
	}
	content, err := s.decoder.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return content, nil
}

// read returns the content with digest d. It verifies objects not from the cache.
func (s *Store) read(ctx context.Context, magic string, epoch int64, d Digest) ([]byte, error) {
	if object, ok := s.Cache.get(d); ok {
		return s.unseal(magic, object)
	}
	key := ObjectKey(epoch, d)
	object, err := s.fetch(ctx, key)
	if err != nil {
		return nil, err
	}
	content, err := s.unseal(magic, object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if digestOf(magic, content) != d {
		return nil, fmt.Errorf("%s has other content: %w", key, ErrDamaged)
	}
	s.Cache.put(d, object)
	return content, nil
}

// fetch reads an object. A missing object is ErrDamaged, not driver.ErrNotFound,
// because the list itself exists for the caller.
func (s *Store) fetch(ctx context.Context, key string) ([]byte, error) {
	body, info, err := s.Blobs.Open(ctx, key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if info.Size < 0 || info.Size > MaxContent {
		return nil, fmt.Errorf("%s of %d bytes: %w", key, info.Size, ErrDamaged)
	}
	object := make([]byte, info.Size)
	if _, err := io.ReadFull(body, object); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return object, nil
}

// put stores the content with digest d in an epoch.
func (s *Store) put(ctx context.Context, magic string, content []byte, d Digest, epoch int64) error {
	object := s.seal(magic, content)
	key := ObjectKey(epoch, d)
	if len(object) > MaxContent {
		return fmt.Errorf("%s of %d bytes: %w", key, len(object), ErrTooLarge)
	}
	if _, err := s.Blobs.Put(ctx, key, bytes.NewReader(object), driver.PutOptions{Size: int64(len(object))}); err != nil {
		return err
	}
	s.Cache.put(d, object)
	return nil
}

// ReadChunk returns the records of a chunk. The records share memory; the caller
// must not change them. That holds for all records that a List yields.
func (s *Store) ReadChunk(ctx context.Context, c Chunk) ([]Record, error) {
	content, err := s.read(ctx, chunkMagic, c.Epoch, c.Digest)
	if err != nil {
		return nil, err
	}
	records, err := decodeRecords(content, c.Count)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ObjectKey(c.Epoch, c.Digest), err)
	}
	return records, nil
}

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

// Store reads and writes lists. It may be used by many goroutines at once.
type Store struct {
	Blobs driver.Blobs
	Epoch func() int64 // the collection epoch, for the keys of what is written
	Cache *Cache       // may be nil

	// Ahead bounds the chunks that all readers together keep ahead of their
	// callers. Nil is without a bound.
	Ahead *parallel.Budget

	// Parallel is how many objects one reader or writer of a list asks for at
	// once; 0 means 8. With 1 the calls are made one after another by the
	// caller's goroutine, so equal work makes equal calls.
	Parallel int

	encoders sync.Pool // as many as were needed at once: each takes some megabytes
	decoding sync.Once // makes the decoder
	decoder  *zstd.Decoder
}

const defaultParallel = 8

func (s *Store) parallel() int {
	if s.Parallel > 0 {
		return s.Parallel
	}
	return defaultParallel
}

// Ref is what a row stores of a list. The zero Ref is the empty list.
type Ref struct {
	// Digest depends on the content alone: lists of one Kind have equal
	// digests exactly if they have equal records.
	Digest Digest `json:"digest,omitzero"`

	// Root and Epoch name the root object. Lists of equal content may have
	// several, which find the same chunks in different epochs.
	Root  Digest `json:"root,omitzero"`
	Epoch int64  `json:"epoch,omitzero"`

	Count int `json:"count,omitzero"` // of records
}

// ObjectKey returns the key of an object of the list's storage. The collector
// finds by it what lives.
func ObjectKey(epoch int64, d Digest) string {
	name := d.String()
	return fmt.Sprintf("private/chunks/%d/%.2s/%s", epoch, name, name)
}

// zstdWindow is how far back the compression looks; chunks are seldom larger.
const zstdWindow = 1 << 20

// seal returns the object that has the content.
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

// read returns the content named d. What is not cached is verified.
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

// fetch reads an object. One that is missing is damage and not
// driver.ErrNotFound: for the caller the list exists.
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

// put stores the content named d in an epoch.
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

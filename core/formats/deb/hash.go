package deb

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"runtime"
	"sync"
)

// Two goroutines share the hashing of large inputs. Starting one and waiting for
// it pays off only for many bytes at once.
const (
	hashDirect = 64 << 10  // the first bytes, hashed as they come
	hashBatch  = 256 << 10 // further bytes, hashed in batches of this size
)

// Hasher computes the size and the digests of the bytes written to it.
type Hasher struct {
	size                      int64
	md5, sha1, sha256, sha512 hash.Hash
	direct                    int64  // bytes that may still be hashed directly
	batch                     []byte // collected bytes at the end of the input
}

// NewHasher returns a Hasher to which nothing has been written.
func NewHasher() *Hasher {
	h := &Hasher{md5: md5.New(), sha1: sha1.New(), sha256: sha256.New(), sha512: sha512.New(), direct: hashDirect}
	if runtime.GOMAXPROCS(0) == 1 {
		h.direct = 1<<63 - 1
	}
	return h
}

// Write never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	h.size += int64(n)
	if h.size <= h.direct {
		h.hash(p)
		return n, nil
	}
	for len(p) > 0 {
		if len(h.batch) == 0 && len(p) >= hashBatch {
			h.hashShared(p)
			break
		}
		if h.batch == nil {
			h.batch = make([]byte, 0, hashBatch)
		}
		k := min(len(p), hashBatch-len(h.batch))
		h.batch = append(h.batch, p[:k]...)
		p = p[k:]
		if len(h.batch) == hashBatch {
			h.hashShared(h.batch)
			h.batch = h.batch[:0]
		}
	}
	return n, nil
}

func (h *Hasher) hash(p []byte) { writeAll(p, h.md5, h.sha1, h.sha256, h.sha512) }

// hashShared is hash with two goroutines of about equal work.
func (h *Hasher) hashShared(p []byte) {
	var other sync.WaitGroup
	other.Go(func() { writeAll(p, h.md5, h.sha256) })
	writeAll(p, h.sha1, h.sha512)
	other.Wait()
}

func writeAll(p []byte, hashes ...hash.Hash) {
	for _, h := range hashes {
		h.Write(p) // a hash.Hash never fails
	}
}

// File returns the bytes written so far as a file with this name.
func (h *Hasher) File(name string) File {
	h.hash(h.batch)
	h.batch = h.batch[:0]
	return File{
		Name:   name,
		Size:   h.size,
		MD5:    hex.EncodeToString(h.md5.Sum(nil)),
		SHA1:   hex.EncodeToString(h.sha1.Sum(nil)),
		SHA256: hex.EncodeToString(h.sha256.Sum(nil)),
		SHA512: hex.EncodeToString(h.sha512.Sum(nil)),
	}
}

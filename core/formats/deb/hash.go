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

// Digests is a set of kinds of digests.
type Digests uint8

// The kinds of digests.
const (
	MD5 Digests = 1 << iota
	SHA1
	SHA256
	SHA512
	AllDigests = MD5 | SHA1 | SHA256 | SHA512
)

// Hasher computes the size and the digests of the bytes written to it.
type Hasher struct {
	size                      int64
	md5, sha1, sha256, sha512 hash.Hash      // nil: not wanted
	halves                    [2][]hash.Hash // all of them, in two parts of about equal work
	direct                    int64          // bytes that may still be hashed directly
	batch                     []byte         // collected bytes at the end of the input
}

// NewHasher returns a Hasher of all digests to which nothing has been written.
func NewHasher() *Hasher { return NewHasherOf(AllDigests) }

// NewHasherOf returns a Hasher of some digests. Its File has "" for the others.
func NewHasherOf(d Digests) *Hasher {
	h := &Hasher{direct: hashDirect}
	take := func(kind Digests, half int, made hash.Hash) hash.Hash {
		if d&kind == 0 {
			return nil
		}
		h.halves[half] = append(h.halves[half], made)
		return made
	}
	fewer := 0 // MD5 takes twice as long as SHA-256: without the other two each has a half
	if d&(SHA1|SHA512) == 0 {
		fewer = 1
	}
	h.md5, h.sha1 = take(MD5, 0, md5.New()), take(SHA1, 1, sha1.New())
	h.sha256, h.sha512 = take(SHA256, fewer, sha256.New()), take(SHA512, 1, sha512.New())
	if len(h.halves[0]) == 0 || len(h.halves[1]) == 0 || runtime.GOMAXPROCS(0) == 1 {
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

func (h *Hasher) hash(p []byte) {
	writeAll(p, h.halves[0])
	writeAll(p, h.halves[1])
}

// hashShared is hash with two goroutines of about equal work.
func (h *Hasher) hashShared(p []byte) {
	var other sync.WaitGroup
	other.Go(func() { writeAll(p, h.halves[0]) })
	writeAll(p, h.halves[1])
	other.Wait()
}

// flush hashes the collected bytes.
func (h *Hasher) flush() {
	if len(h.batch) >= hashDirect {
		h.hashShared(h.batch)
	} else {
		h.hash(h.batch)
	}
	h.batch = h.batch[:0]
}

func writeAll(p []byte, hashes []hash.Hash) {
	for _, h := range hashes {
		h.Write(p) // a hash.Hash never fails
	}
}

// File returns the bytes written so far as a file with this name.
func (h *Hasher) File(name string) File {
	h.flush()
	return File{Name: name, Size: h.size, MD5: digits(h.md5), SHA1: digits(h.sha1), SHA256: digits(h.sha256), SHA512: digits(h.sha512)}
}

// digits returns the digest so far in hexadecimal digits, "" if it is not wanted.
func digits(h hash.Hash) string {
	if h == nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

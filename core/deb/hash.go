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

// concurrentWrite is the number of bytes from which a write is hashed by two
// goroutines: starting one costs what a few hundred bytes take to hash.
const concurrentWrite = 16 << 10

// Hasher computes the size and the digests of what is written to it.
type Hasher struct {
	size                      int64
	md5, sha1, sha256, sha512 hash.Hash
}

// NewHasher returns a Hasher to which nothing has been written.
func NewHasher() *Hasher {
	return &Hasher{md5: md5.New(), sha1: sha1.New(), sha256: sha256.New(), sha512: sha512.New()}
}

// Write never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	if len(p) < concurrentWrite || runtime.GOMAXPROCS(0) == 1 {
		writeAll(p, h.md5, h.sha1, h.sha256, h.sha512)
		return len(p), nil
	}
	var other sync.WaitGroup
	other.Go(func() { writeAll(p, h.md5, h.sha256) })
	writeAll(p, h.sha1, h.sha512)
	other.Wait()
	return len(p), nil
}

func writeAll(p []byte, hashes ...hash.Hash) {
	for _, h := range hashes {
		h.Write(p) // never fails: hash.Hash
	}
}

// File returns what has been written as a file of that name.
func (h *Hasher) File(name string) File {
	return File{
		Name:   name,
		Size:   h.size,
		MD5:    hex.EncodeToString(h.md5.Sum(nil)),
		SHA1:   hex.EncodeToString(h.sha1.Sum(nil)),
		SHA256: hex.EncodeToString(h.sha256.Sum(nil)),
		SHA512: hex.EncodeToString(h.sha512.Sum(nil)),
	}
}

package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"aptless/core/formats/deb"
)

// maxKnown bounds the files that an attempt remembers, some 200 bytes each.
const maxKnown = 1 << 15

// known remembers files and records whose rows this attempt has stored. So the new list
// is completed without reading these rows. The zero known is empty.
type known struct {
	mu    sync.Mutex
	files map[[sha256Len]byte]knownFile // by SHA-256
}

// Lengths of digests in bytes.
const (
	md5Len    = 16
	sha1Len   = 20
	sha256Len = 32
	sha512Len = 64
)

// knownFile has the digests of a file, which take less memory than their text. record is
// the digest of the stored record of its package, zero if there is none.
type knownFile struct {
	size   int64
	md5    [md5Len]byte
	sha1   [sha1Len]byte
	sha512 [sha512Len]byte
	record keySum
}

// add remembers a file, and the record of its package; nil for none.
func (t *known) add(f deb.File, p *deb.Package) {
	var key [sha256Len]byte
	one := knownFile{size: f.Size}
	if !unhex(key[:], f.SHA256) || !unhex(one.md5[:], f.MD5) || !unhex(one.sha1[:], f.SHA1) || !unhex(one.sha512[:], f.SHA512) {
		return
	}
	if p != nil {
		one.record = sumOf(deb.AppendPackage(nil, p))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.files == nil {
		t.files = map[[sha256Len]byte]knownFile{}
	}
	if len(t.files) < maxKnown {
		t.files[key] = one
	}
}

// unhex decodes a digest of the length of dst.
func unhex(dst []byte, text string) bool {
	if len(text) != hex.EncodedLen(len(dst)) {
		return false
	}
	_, err := hex.Decode(dst, []byte(text))
	return err == nil
}

func (t *known) get(digest string) (f knownFile, ok bool) {
	var key [sha256Len]byte
	if !unhex(key[:], digest) {
		return f, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok = t.files[key]
	return f, ok
}

// file returns a remembered file under a name.
func (t *known) file(digest, name string) (deb.File, bool) {
	f, ok := t.get(digest)
	if !ok {
		return deb.File{}, false
	}
	return deb.File{Name: name, Size: f.size, SHA256: digest, MD5: hex.EncodeToString(f.md5[:]),
		SHA1: hex.EncodeToString(f.sha1[:]), SHA512: hex.EncodeToString(f.sha512[:])}, true
}

// hasRecord reports whether the record of the package has been stored as it is.
func (t *known) hasRecord(p *deb.Package) bool {
	if len(p.Files) != 1 {
		return false
	}
	f, ok := t.get(p.Files[0].SHA256)
	return ok && f.record != keySum{} && f.record == sumOf(deb.AppendPackage(nil, p))
}

// keySum is a digest of a key or a record. It takes less memory than the bytes.
type keySum [16]byte

func sumOf(data []byte) (s keySum) {
	whole := sha256.Sum256(data)
	copy(s[:], whole[:])
	return s
}

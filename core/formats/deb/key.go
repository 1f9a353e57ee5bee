package deb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrKey says that a string is no key of a package.
var ErrKey = errors.New("not a package key")

// Key is a parsed package key.
type Key struct {
	Architecture string // "source" for source packages
	Name         string
	Version      string // "" for installers
	FilesHash    string // lower-case hexadecimal, at least 8 digits
}

// String returns the key as clients see it.
func (k Key) String() string { return k.Short() + " " + k.FilesHash }

// Short returns the key without the files' hash. A list has at most one
// package with a short key.
func (k Key) Short() string { return "P" + k.Architecture + " " + k.Name + " " + k.Version }

// ParseKey parses a key. It accepts exactly the results of Key.String; anything
// else is ErrKey.
func ParseKey(s string) (Key, error) {
	rest, ok := strings.CutPrefix(s, "P")
	parts := strings.Split(rest, " ")
	if !ok || len(parts) != 4 {
		return Key{}, fmt.Errorf("%.300q: %w", s, ErrKey)
	}
	k := Key{parts[0], parts[1], parts[2], parts[3]}
	digits := len(k.FilesHash)
	if k.Architecture == "" || k.Name == "" || digits < 8 || digits > 16 || !isHex(k.FilesHash) ||
		digits > 8 && k.FilesHash[0] == '0' {
		return Key{}, fmt.Errorf("%.300q: %w", s, ErrKey)
	}
	return k, nil
}

// Key returns the package's key: "P<architecture> <name> <version> <files' hash>".
func (p *Package) Key() string { return p.ShortKey() + " " + p.filesHashText() }

// ShortKey returns the key without the files' hash.
func (p *Package) ShortKey() string {
	return "P" + p.Architecture + " " + p.Name + " " + p.Version
}

// String returns the package as messages name it: "name_version_architecture".
func (p *Package) String() string {
	return p.Name + "_" + p.Version + "_" + p.Architecture
}

// 64-bit FNV-1a.
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

// FilesHash returns the hash that distinguishes packages with one short key. It
// is 64-bit FNV-1a over each file's name, size (8 bytes, big-endian), MD5, SHA1
// and SHA256. Digests are in hexadecimal, and empty if unknown. Clients compute
// it too. SHA512 is not included.
func (p *Package) FilesHash() uint64 {
	h := uint64(fnvOffset)
	for i := range p.Files {
		f := &p.Files[i]
		h = fnvAdd(h, f.Name)
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(f.Size))
		for _, c := range size {
			h = (h ^ uint64(c)) * fnvPrime
		}
		h = fnvAdd(h, f.MD5)
		h = fnvAdd(h, f.SHA1)
		h = fnvAdd(h, f.SHA256)
	}
	return h
}

func fnvAdd(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

// filesHashText is padded to 8 digits, not 16, as in aptly's keys.
func (p *Package) filesHashText() string {
	text := strconv.FormatUint(p.FilesHash(), 16)
	return strings.Repeat("0", max(0, 8-len(text))) + text
}

// Equal reports whether p and q are the same package: a list with one does not
// change when the other is added. Fields outside of the identity are not
// compared.
func (p *Package) Equal(q *Package) bool {
	return p.Name == q.Name && p.Version == q.Version && p.Architecture == q.Architecture &&
		p.SourceArchitecture == q.SourceArchitecture && p.Source == q.Source &&
		(p.Kind == Source) == (q.Kind == Source) && p.FilesHash() == q.FilesHash()
}

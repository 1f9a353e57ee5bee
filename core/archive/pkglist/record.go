package pkglist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// appendName appends the common key prefix of all packages of a name.
func appendName(dst []byte, name string) []byte {
	return append(append(dst, name...), 0)
}

// recordKey returns the record key of a short key.
func recordKey(name, version, arch string) ([]byte, error) {
	if !plain(name, deb.MaxNameLen) || !plain(arch, deb.MaxArchitectureLen) ||
		version != "" && !plain(version, deb.MaxVersionLen) {
		return nil, fmt.Errorf("package %.300q: %w", name+"_"+version+"_"+arch, deb.ErrInvalid)
	}
	key := make([]byte, 0, 2*(len(name)+len(version)+len(arch))+16)
	key = appendName(key, name)
	start := len(key)
	key = deb.VersionSortKey(key, version)
	for i := start; i < len(key); i++ {
		key[i] = ^key[i]
	}
	key = append(append(key, arch...), 0)
	key = append(append(key, version...), 0)
	return append(key, byte(len(arch))), nil
}

// IndexKey returns the bytes that define index order. They are as unique as the short
// key.
func IndexKey(p *deb.Package) ([]byte, error) { return recordKey(p.Name, p.Version, p.Architecture) }

// plain reports whether s can be a part of a package key and of a record key.
// Spaces separate the parts of the former, zero bytes those of the latter.
func plain(s string, limit int) bool {
	for i := range len(s) {
		if s[i] <= ' ' {
			return false
		}
	}
	return s != "" && len(s) <= limit
}

// identity is the part of a record that is read without decoding the package.
type identity struct {
	name, version, arch string
	hash                uint64
	kind                deb.Kind
}

// valueHead is the length of the value before the encoded package, in bytes.
const valueHead = 8 + 1

func recordValue(p *deb.Package) []byte {
	val := binary.BigEndian.AppendUint64(nil, p.FilesHash())
	return deb.AppendPackage(append(val, byte(p.Kind)), p)
}

func parseRecord(r lists.Record) (id identity, err error) {
	if id.name, id.version, id.arch, err = parseKey(r.Key); err != nil {
		return id, err
	}
	if len(r.Val) < valueHead {
		return id, fmt.Errorf("record of package %s: %w", id.name, lists.ErrDamaged)
	}
	id.hash, id.kind = binary.BigEndian.Uint64(r.Val), deb.Kind(r.Val[valueHead-1])
	return id, nil
}

// parseKey splits a record key from both ends. The bytes between the name and the
// architecture may be any.
func parseKey(key []byte) (name, version, arch string, err error) {
	nameEnd, end := bytes.IndexByte(key, 0), len(key)-2
	if nameEnd > 0 && key[end] == 0 {
		archEnd := bytes.LastIndexByte(key[:end], 0)
		archStart := archEnd - int(key[end+1])
		if nameEnd < archStart && archStart < archEnd {
			return string(key[:nameEnd]), string(key[archEnd+1 : end]), string(key[archStart:archEnd]), nil
		}
	}
	return "", "", "", fmt.Errorf("record key %.300q: %w", key, lists.ErrDamaged)
}

// key returns the package's key.
func (id *identity) key() string {
	return deb.Key{
		Architecture: id.arch, Name: id.name, Version: id.version, FilesHash: hashText(id.hash),
	}.String()
}

// hashText returns the hash of files as in package keys: at least 8 hex digits.
func hashText(hash uint64) string {
	text := strconv.FormatUint(hash, 16)
	return strings.Repeat("0", max(0, 8-len(text))) + text
}

// Decode returns the package of a record of a list.
func Decode(r lists.Record) (*deb.Package, error) { return decodeValue(r.Val) }

// decodePart returns the named parts of the package of a record's value.
func decodePart(val []byte, part *deb.Part) (*deb.Package, error) {
	if len(val) < valueHead {
		return nil, fmt.Errorf("package record of %d bytes: %w", len(val), lists.ErrDamaged)
	}
	p, err := deb.DecodePart(val[valueHead:], part)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", lists.ErrDamaged, err)
	}
	return p, nil
}

func decodeValue(val []byte) (*deb.Package, error) {
	if len(val) < valueHead {
		return nil, fmt.Errorf("package record of %d bytes: %w", len(val), lists.ErrDamaged)
	}
	p, err := deb.DecodePackage(val[valueHead:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", lists.ErrDamaged, err)
	}
	return p, nil
}

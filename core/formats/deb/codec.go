package deb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrRecord says that bytes are no record of a package.
var ErrRecord = errors.New("not a package record")

// recordVersion is the first byte of a record. Each layout has its own.
const recordVersion = 1

// MaxRecord bounds the records that DecodePackage reads, in bytes.
const MaxRecord = MaxParagraph + 4<<20

// Forms of a digest in a record.
const (
	digestNone = iota
	digestRaw  // lower-case hex of the right length, as bytes
	digestText // anything else, as text
)

var digestLens = [...]int{md5Len, sha1Len, sha256Len, sha512Len}

func (f *File) digests() [4]*string { return [...]*string{&f.MD5, &f.SHA1, &f.SHA256, &f.SHA512} }

// AppendPackage appends the record of p to dst. Packages with the same content
// have the same bytes.
func AppendPackage(dst []byte, p *Package) []byte {
	dst = append(dst, recordVersion, byte(p.Kind))
	for _, s := range [...]string{p.Name, p.Version, p.Architecture, p.SourceArchitecture, p.Source} {
		dst = appendString(dst, s)
	}
	for _, name := range relationNames {
		items := *p.relation(name)
		dst = binary.AppendUvarint(dst, uint64(len(items)))
		for _, s := range items {
			dst = appendString(dst, s)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Extra)))
	var space [32]string
	for _, name := range sortedNames(space[:0], p.Extra) {
		dst = appendString(dst, name)
		dst = appendString(dst, p.Extra[name])
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Files)))
	for i := range p.Files {
		f := &p.Files[i]
		dst = appendString(dst, f.Name)
		dst = binary.AppendUvarint(dst, uint64(f.Size))
		for j, digest := range f.digests() {
			dst = appendDigest(dst, *digest, digestLens[j])
		}
	}
	return dst
}

func sortedNames(dst []string, fields map[string]string) []string {
	for name := range fields {
		dst = append(dst, name)
	}
	slices.Sort(dst)
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendDigest(dst []byte, digest string, length int) []byte {
	switch {
	case digest == "":
		return append(dst, digestNone)
	case len(digest) != length || !isHex(digest):
		return appendString(append(dst, digestText), digest)
	}
	dst = append(dst, digestRaw)
	for i := 0; i < len(digest); i += 2 {
		dst = append(dst, hexDigit(digest[i])<<4|hexDigit(digest[i+1]))
	}
	return dst
}

const hexDigits = "0123456789abcdef"

func hexDigit(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c - 'a' + 10
}

// extra reads fields in ascending order of their names.
func (d *decoder) extra() map[string]string {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	fields := make(map[string]string, n)
	last := ""
	for i := range n {
		name := d.string()
		d.failed = d.failed || i > 0 && name <= last
		if d.failed {
			break
		}
		fields[name], last = d.string(), name
	}
	return fields
}

// openRecord reads the beginning of a record: kind, name, version, architectures and source.
func openRecord(data []byte) (d decoder, p *Package, err error) {
	if len(data) > MaxRecord {
		return d, nil, fmt.Errorf("%d bytes: %w", len(data), ErrRecord)
	}
	d = decoder{rest: string(data)}
	if v := d.byte(); v != recordVersion {
		return d, nil, fmt.Errorf("version %d: %w", v, ErrRecord)
	}
	p = &Package{Kind: Kind(d.byte())}
	for _, s := range [...]*string{&p.Name, &p.Version, &p.Architecture, &p.SourceArchitecture, &p.Source} {
		*s = d.string()
	}
	return d, p, nil
}

// DecodePackage reads a record. The strings of the package share one copy of
// data. It returns ErrRecord for bytes that AppendPackage does not write.
func DecodePackage(data []byte) (*Package, error) {
	d, p, err := openRecord(data)
	if err != nil {
		return nil, err
	}
	d.failed = d.failed || p.Kind > Installer
	for _, name := range relationNames {
		if n := d.count(1); n > 0 {
			items := make([]string, n)
			for i := range items {
				items[i] = d.string()
			}
			*p.relation(name) = items
		}
	}
	p.Extra = d.extra()
	if n := d.count(2 + len(digestLens)); n > 0 {
		p.Files = make([]File, n)
		for i := range p.Files {
			d.file(&p.Files[i])
		}
	}
	if d.failed || d.rest != "" {
		return nil, ErrRecord
	}
	return p, nil
}

// Part names the parts of a record that a reader needs. Kind, name, version,
// architectures and source are always read.
type Part struct {
	Relations []string // names of relation fields
	Extra     []string // names of other fields
	Source    bool     // a reader without it looks at no source, and at no architecture of a source package
}

// Needs adds the part with a field, named as for Package.Field.
func (w *Part) Needs(field string) {
	switch field {
	case "Name", "Version", "$Version", "$Architecture", "$PackageType":
		return
	case "Architecture", "Source", "$Source", "$SourceVersion":
		w.Source = true
		return
	}
	if new(Package).relation(field) != nil {
		w.Relations = append(w.Relations, field)
		return
	}
	w.Extra = append(w.Extra, field)
}

// OnlyProvides reports whether a reader needs no more than the key of a package, its kind
// and Provides.
func (w *Part) OnlyProvides() bool {
	return !w.Source && len(w.Extra) == 0 && !slices.ContainsFunc(w.Relations, func(name string) bool { return name != "Provides" })
}

// DecodePart reads the named parts of a record. The other fields of the package are
// empty, and it has no files. It may accept bytes that AppendPackage does not write.
func DecodePart(data []byte, w *Part) (*Package, error) {
	d, p, err := openRecord(data)
	if err != nil {
		return nil, err
	}
	for _, name := range relationNames {
		n := d.count(1)
		if n == 0 || !slices.Contains(w.Relations, name) {
			for range n {
				d.string()
			}
			continue
		}
		items := make([]string, n)
		for i := range items {
			items[i] = d.string()
		}
		*p.relation(name) = items
	}
	if len(w.Extra) > 0 {
		for range d.count(2) {
			name, value := d.string(), d.string()
			if !slices.Contains(w.Extra, name) {
				continue
			}
			if p.Extra == nil {
				p.Extra = make(map[string]string, len(w.Extra))
			}
			p.Extra[name] = value
		}
	}
	if d.failed || p.Kind > Installer {
		return nil, ErrRecord
	}
	return p, nil
}

// RecordProvides returns the items of Provides in a record without reading the
// rest. It may return ErrRecord for bytes that AppendPackage does not write.
func RecordProvides(data []byte) ([]string, error) {
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("%d bytes: %w", len(data), ErrRecord)
	}
	d := decoder{rest: string(data)}
	if v := d.byte(); v != recordVersion {
		return nil, fmt.Errorf("version %d: %w", v, ErrRecord)
	}
	d.byte()
	for range 5 {
		d.string()
	}
	for _, name := range relationNames {
		n := d.count(1)
		if name != "Provides" {
			for range n {
				d.string()
			}
			continue
		}
		var items []string
		for range n {
			items = append(items, d.string())
		}
		if d.failed {
			return nil, ErrRecord
		}
		return items, nil
	}
	return nil, ErrRecord
}

// CutFiles splits a record into the bytes before its files, and the files. It builds no
// other part of the package. It may accept bytes that AppendPackage does not write.
func CutFiles(data []byte) (head []byte, files []File, err error) {
	d, p, err := openRecord(data)
	if err != nil {
		return nil, nil, err
	}
	for range relationNames {
		for range d.count(1) {
			d.string()
		}
	}
	for range d.count(2) {
		d.string()
		d.string()
	}
	head = data[:len(data)-len(d.rest)]
	files = make([]File, d.count(2+len(digestLens)))
	for i := range files {
		d.file(&files[i])
	}
	if d.failed || d.rest != "" || p.Kind > Installer {
		return nil, nil, ErrRecord
	}
	return head, files, nil
}

// decoder reads a record from the front. After a failure it yields zeros.
type decoder struct {
	rest   string
	failed bool
}

func (d *decoder) take(n int) string {
	if d.failed || n > len(d.rest) {
		d.failed = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) byte() byte {
	if s := d.take(1); s != "" {
		return s[0]
	}
	return 0
}

// uvarint reads a number in its shortest encoding.
func (d *decoder) uvarint() uint64 {
	var n uint64
	for shift := 0; ; shift += 7 {
		b := d.byte()
		if d.failed || shift == 63 && b > 1 || shift > 0 && b == 0 {
			d.failed = true
			return 0
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.failed = true
		return ""
	}
	return d.take(int(n))
}

// count reads a number of entries of at least size bytes each. So a record never
// allocates more memory than in proportion to its length.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.rest)/size) {
		d.failed = true
		return 0
	}
	return int(n)
}

func (d *decoder) file(f *File) {
	f.Name = d.string()
	f.Size = int64(d.uvarint())
	d.failed = d.failed || f.Size < 0
	var space [md5Len + sha1Len + sha256Len + sha512Len]byte
	text := space[:0]
	var ends [len(digestLens)]int
	for i, digest := range f.digests() {
		switch d.byte() {
		case digestNone:
		case digestRaw:
			for _, c := range []byte(d.take(digestLens[i] / 2)) {
				text = append(text, hexDigits[c>>4], hexDigits[c&15])
			}
			ends[i] = len(text)
		case digestText:
			*digest = d.string()
			d.failed = d.failed || *digest == "" || len(*digest) == digestLens[i] && isHex(*digest)
		default:
			d.failed = true
		}
	}
	if d.failed {
		return
	}
	all, start := string(text), 0
	for i, digest := range f.digests() {
		if ends[i] > 0 {
			*digest, start = all[start:ends[i]], ends[i]
		}
	}
}

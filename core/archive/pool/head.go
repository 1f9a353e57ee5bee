package pool

import (
	"encoding/binary"

	"aptless/core/formats/deb"
)

// The head of a row has the kind of its package (a byte), and the number of the items of
// Provides. Each item follows after its length. Numbers are unsigned varints.

// appendHead appends the head of a package.
func appendHead(dst []byte, p *deb.Package) []byte {
	dst = append(dst, byte(p.Kind))
	dst = binary.AppendUvarint(dst, uint64(len(p.Provides)))
	for _, item := range p.Provides {
		dst = append(binary.AppendUvarint(dst, uint64(len(item))), item...)
	}
	return dst
}

// readHead reads a head into p. It returns the bytes after it, nil if it is damaged.
func readHead(data []byte, p *deb.Package) []byte {
	if len(data) == 0 || data[0] > byte(deb.Installer) {
		return nil
	}
	p.Kind, data = deb.Kind(data[0]), data[1:]
	n, size := binary.Uvarint(data)
	if size <= 0 || n > uint64(len(data)) {
		return nil
	}
	data = data[size:]
	for range n {
		length, size := binary.Uvarint(data)
		if size <= 0 || length > uint64(len(data)-size) {
			return nil
		}
		data = data[size:]
		p.Provides, data = append(p.Provides, string(data[:length])), data[length:]
	}
	return data
}

// formOf returns the form of a row and the bytes after it, without a head. The form is 0
// if there is none, or if the head is damaged.
func formOf(data []byte) (form byte, frame []byte) {
	if len(data) == 0 {
		return 0, nil
	}
	if data[0] != formHeaded {
		return data[0], data[1:]
	}
	if frame = readHead(data[1:], new(deb.Package)); frame == nil {
		return 0, nil
	}
	return formInline, frame
}

// headOf returns the package of a row with the fields of its key and its head. It returns
// nil for a row without a head, and for a key that is none.
func headOf(key string, data []byte) *deb.Package {
	if len(data) == 0 || data[0] != formHeaded {
		return nil
	}
	k, err := deb.ParseKey(key)
	p := &deb.Package{Name: k.Name, Version: k.Version, Architecture: k.Architecture}
	if err != nil || readHead(data[1:], p) == nil {
		return nil
	}
	return p
}

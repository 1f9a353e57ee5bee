package deb

import (
	"bytes"
	"encoding/binary"
	"hash/crc64"
	"io"
	"slices"
)

// smallDecoder unpacks small xz archives. It knows the form that dpkg-deb writes: one
// stream of LZMA2 without another filter. It may be used again.
type smallDecoder struct {
	lzma     lzmaDecoder
	crc      *crc64.Table
	packed   []byte // the archive
	unpacked []byte
	out      bytes.Reader // of unpacked
}

// open reads an archive of size bytes from r. It returns a reader of its content, valid
// until the next call. If it cannot unpack the archive, it returns nil, and a reader of
// the whole r for a decoder that can, or knows the fault.
func (d *smallDecoder) open(r io.Reader, size int64) (plain, packed io.Reader) {
	d.packed = slices.Grow(d.packed[:0], int(size))[:size]
	n, err := io.ReadFull(r, d.packed)
	d.packed = d.packed[:n]
	if err == nil {
		if content, ok := d.unpack(); ok {
			d.out.Reset(content)
			return &d.out, nil
		}
	}
	return nil, io.MultiReader(bytes.NewReader(d.packed), r)
}

// release lets go of large buffers.
func (d *smallDecoder) release() {
	d.out.Reset(nil)
	d.lzma.out, d.lzma.src = nil, nil
	for _, buffer := range []*[]byte{&d.packed, &d.unpacked} {
		if cap(*buffer) > keptXZ {
			*buffer = nil
		}
	}
}

// Parts of the format: sections 2 to 4 of "The .xz File Format", version 1.2.1.
const (
	xzMagic       = "\xfd7zXZ\x00"
	xzFooterMagic = "YZ"
	xzFooter      = 12
	xzCheckNone   = 0
	xzCheckCRC32  = 1
	xzCheckCRC64  = 4
)

// xzBlock has the sizes of a block in bytes, packed without its padding.
type xzBlock struct{ packed, unpacked int }

// unpack returns the content of d.packed, valid until the next call. It returns false for
// a damaged archive, and for one in a form that it does not know.
func (d *smallDecoder) unpack() (content []byte, ok bool) {
	in := &xzInput{rest: d.packed}
	in.require(string(in.take(len(xzMagic))) == xzMagic)
	flags := in.take(2)
	in.require(flags[0] == 0)
	in.sum(flags)
	d.unpacked = d.unpacked[:0]
	var blocks []xzBlock
	for !in.bad && len(in.rest) > 0 && in.rest[0] != 0 {
		blocks = append(blocks, d.block(in, flags[1]))
	}
	in.end(flags, blocks)
	return d.unpacked, !in.bad
}

// end reads the index and the footer, which end the archive.
func (in *xzInput) end(flags []byte, blocks []xzBlock) {
	index := in.rest
	in.take(1)
	in.require(in.number() == uint64(len(blocks)))
	for _, b := range blocks {
		packed, unpacked := in.number(), in.number()
		in.require(packed == uint64(b.packed) && unpacked == uint64(b.unpacked))
	}
	in.pad(len(index) - len(in.rest))
	size := len(index) - len(in.rest)
	in.sum(index[:size])
	footer := in.take(xzFooter)
	sum := &xzInput{rest: footer}
	sum.sum(footer[4:10])
	in.require(!sum.bad && int(binary.LittleEndian.Uint32(footer[4:])) == size/4)
	in.require(bytes.Equal(footer[8:10], flags) && string(footer[10:]) == xzFooterMagic && len(in.rest) == 0)
}

// block reads a block, and appends its content to d.unpacked.
func (d *smallDecoder) block(in *xzInput, check byte) xzBlock {
	begin := len(in.rest)
	dictionary, packed, unpacked := in.blockHeader()
	start, before := len(in.rest), len(d.unpacked)
	if in.bad {
		return xzBlock{}
	}
	var ok bool
	d.unpacked, in.rest, ok = d.lzma.unpack(d.unpacked, in.rest, dictionary)
	in.require(ok)
	content, size := d.unpacked[before:], start-len(in.rest)
	in.require((packed < 0 || packed == size) && (unpacked < 0 || unpacked == len(content)))
	in.pad(size)
	padded := len(in.rest)
	switch {
	case in.bad:
	case check == xzCheckNone:
	case check == xzCheckCRC32:
		in.sum(content)
	case check == xzCheckCRC64:
		if d.crc == nil {
			d.crc = crc64.MakeTable(crc64.ECMA)
		}
		in.require(binary.LittleEndian.Uint64(in.take(8)) == crc64.Checksum(content, d.crc))
	default:
		in.require(false)
	}
	return xzBlock{begin - start + size + padded - len(in.rest), len(content)}
}

// blockHeader reads the header of a block of LZMA2. It returns the size of the
// dictionary, and the packed and unpacked sizes, each -1 if the header does not say.
func (in *xzInput) blockHeader() (dictionary, packed, unpacked int) {
	size := 4 * (int(in.rest[0]) + 1)
	whole := in.take(size)
	header := &xzInput{rest: whole[1 : size-4]}
	sum := &xzInput{rest: whole[size-4:]}
	sum.sum(whole[:size-4])
	flags := header.take(1)[0]
	in.require(!sum.bad && flags&^(xzPackedSize|xzPlainSize) == 0) // one filter
	packed, unpacked = -1, -1
	if flags&xzPackedSize != 0 {
		packed = int(min(header.number(), 1<<62))
	}
	if flags&xzPlainSize != 0 {
		unpacked = int(min(header.number(), 1<<62))
	}
	in.require(header.number() == xzLZMA2 && header.number() == 1)
	bits := header.take(1)[0]
	for _, b := range header.rest {
		in.require(b == 0)
	}
	in.require(!header.bad && bits < 40)
	dictionary = int(2+bits&1) << (bits/2 + 11)
	in.require(dictionary <= smallWindow)
	return dictionary, packed, unpacked
}

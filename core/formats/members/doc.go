// Package members owns compressed files that are joined from pieces. A compressed
// piece is a member; another file can reuse it without compressing the piece
// again. A member is a string of bits, since bzip2 blocks are not aligned to
// bytes. The package stores nothing.
//
// Invariants:
//
// 1. The members of any pieces, joined between a head and a tail, are a valid
// file of all the pieces' bytes in order.
//
// 2. apt reads the file whole. A .bz2 or .xz file has one stream.
//
// 3. Equal plain bytes give equal members.
//
// Files, each referring to those after it:
//
//	packing.go          the formats
//	bzip2.go            .bz2: blocks in one stream
//	xz.go, zstd.go      .xz and .zst
//	block.go            a block of bzip2
//	bwt.go, huffman.go  its transform and its codes
//	suffixes.go         the order of suffixes
//	members.go          members, and strings of bits
package members

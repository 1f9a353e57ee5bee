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
package members

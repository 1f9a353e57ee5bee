// Package members owns compressed files that are made of pieces, so that what a
// piece was compressed to can be taken over into another file: a member. That is
// a string of bits, since in bzip2 nothing begins at a byte. It stores nothing.
//
// Invariant: the members of any pieces, joined between a head and a tail, are a
// file of one stream, as apt reads it, of all the pieces' bytes in their order.
package members

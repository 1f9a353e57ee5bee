// Package keyring owns the named sets of keys that are trusted to have signed
// what aptless takes in: mirrors and .changes files. The keys with which it
// signs are not here.
//
// Stored layout: one row per key, so that two imports meet only in a key that
// both have,
//
//	keyring/<name> / <fingerprint>   the key, as a sequence of OpenPGP packets
//
// A name is a cleaned path without slashes at its ends. A ring that has no keys
// is not stored and not an error.
//
// Invariant: what an import has put into a ring only grows: a later import of
// the key unites what both say, so that a revocation is never lost. Only a
// deletion takes a key away, and the whole of it.
package keyring

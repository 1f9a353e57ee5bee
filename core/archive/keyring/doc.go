// Package keyring owns the named rings of trusted public keys. They verify mirrors
// and .changes files. The secret keys for signing are elsewhere.
//
// Stored layout: one row per key, so that two imports conflict only if they have a
// key in common,
//
//	keyring/<name> / <fingerprint>   the key, as a sequence of OpenPGP packets
//
// A name is a cleaned path without slashes at its ends. A ring without keys is not
// stored and not an error.
//
// Invariants:
//
//  1. A later import of a key is merged with the stored one, so a revocation is
//     never lost.
//  2. Only a deletion removes a key, and it removes all of it.
package keyring

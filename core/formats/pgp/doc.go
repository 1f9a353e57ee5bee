// Package pgp owns OpenPGP: keys, the signatures under what aptless publishes,
// and the checking of signatures under what it takes in. gpg is never called.
//
// A Key is a certificate, the public part of an OpenPGP key, and never changes.
// A SecretKey can sign besides; its private part is in memory or behind a
// crypto.Signer that only hands out signatures. A Signer signs with one or
// several of them. A Keyring is a set of certificates that are trusted to have
// signed something.
//
// What is signed is written for the oldest reader still in use, the gpgv 2.2 of
// Debian 12: version 4 signatures over SHA-256, in armor that ends with its
// checksum. Signatures carry no random salt, so RSA and EdDSA keys give equal
// bytes for equal text and time.
//
// What is read may have been written by anybody. It is limited in size, number
// and depth before it is parsed, and whatever two readers could understand
// differently (text outside a clearsigned block, a line that should have been
// escaped, packets of unknown length) is refused.
//
// Keys are stored as OpenPGP lays them down, binary or armored (RFC 4880,
// sections 6 and 11.1), with every packet as it was read.
//
// Invariant: text that is returned without error from a Verify function was
// signed, all of it, by at least one signature of the message, and no signature
// of the message is bad. Each signature that is returned is by a key of the ring
// that was allowed to sign, neither revoked nor expired, over a digest stronger
// than SHA-1.
package pgp

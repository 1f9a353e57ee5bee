// Package pgp owns OpenPGP: keys, signing of published files, and verification of
// uploaded and mirrored files. It never calls gpg.
//
// A Key is a certificate, the public part of an OpenPGP key. A SecretKey can also
// sign; its private part is in memory, or in a crypto.Signer that returns
// signatures only. A Signer signs with one or several of them. A Keyring is a set
// of trusted certificates. All of them are immutable.
//
// Output is for the oldest reader in use, gpgv 2.2 of Debian 12: version 4
// signatures over SHA-256, in armor with a checksum. Signatures have no random
// salt. So RSA and EdDSA keys give equal bytes for equal text and time.
//
// Input is untrusted. It is limited in size, number and depth before it is
// parsed. Input that two readers could interpret differently is refused: text
// outside of a clearsigned block, unescaped lines, packets of unknown length.
//
// Keys are stored in OpenPGP's own format, binary or armored (RFC 4880, sections
// 6 and 11.1). Every packet stays as it was read.
//
// Invariants of a Verify function that returns no error:
//
// 1. At least one signature of the message covers the whole returned text, and no
// signature of the message is bad.
//
// 2. The key of each returned signature is in the ring. It was allowed to sign,
// and was neither revoked nor expired.
//
// 3. Each returned signature uses a digest stronger than SHA-1.
package pgp

// Package pkglist owns lists of packages: the content of a repository, a mirror, a
// snapshot or a published component.
//
// # Stored layout
//
// A list is one of package lists. The key of a record is
//
//	name 00 inverted(deb.VersionSortKey(version)) architecture 00 version 00 length of architecture
//
// where inverted flips every bit. The byte order of keys, called index order, is the
// order of packages in an index. It is by name, by descending version (Debian policy
// 5.6.12), by architecture, then by package key. A record key holds the short key and
// nothing else.
//
// The value of a record is the hash of the files (8 bytes, big-endian), the kind
// (1 byte) and the package as deb.AppendPackage encodes it. The package key is
// therefore known without decoding the package.
//
// The summary of a chunk counts its packages by architecture and kind. It also holds a
// hash of each name that they provide, so a search for a name reads few chunks.
//
// # Invariants
//
//  1. A list has at most one package with a short key, because the short key is the
//     record's key.
//  2. Two lists have equal digests if and only if their packages are equal, control
//     fields included.
package pkglist

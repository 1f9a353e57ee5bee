// Package pkglist owns lists of packages: what a repository, mirror, snapshot
// or published component has in it.
//
// Stored layout: a list is one of package lists. A record's key is
//
//	name 00 inverted(deb.VersionSortKey(version)) architecture 00 version 00 length of architecture
//
// where inverted means every bit of it, so that the byte order of keys is the
// order of packages in an index: name ascending, version descending (Debian
// policy 5.6.12), architecture ascending, then the package's key. It has all
// of the short key and nothing else. A record's value is the files' hash
// (8 bytes, big-endian), the kind (1 byte), and deb.AppendPackage's record, so
// that a package's key is known without taking the record apart. The summary
// of a chunk counts its packages by architecture and kind, and has a hash of
// each name that they provide, so that who looks for a name reads few chunks.
//
// Invariant: a list has at most one package with a short key, since the short
// key is the record's. Two lists have equal digests exactly if they have equal
// packages, control fields included.
package pkglist

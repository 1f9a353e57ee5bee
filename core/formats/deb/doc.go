// Package deb owns the values of Debian packaging: versions, relations, control
// paragraphs, packages and their files. It reads them from .deb, .udeb, .dsc,
// .changes, Packages and Sources. Its input is untrusted. Each reader has its
// limits as constants beside it.
//
// A Package leaves in three forms. Its key is the identity that API clients
// see. Its stanza is its entry in a published index. Its record is its form in
// lists:
//
//	byte      1, the version of this layout
//	byte      Kind
//	string    Name, Version, Architecture, SourceArchitecture, Source
//	strings   Depends, Pre-Depends, Recommends, Suggests, Provides,
//	          Build-Depends, Build-Depends-Indep; each with its count
//	count     of extra fields; for each its name and value, ascending by name
//	count     of files; for each its name, its size, and MD5, SHA1, SHA256,
//	          SHA512: 0 if unknown, 1 and the bytes, or 2 and a text
//
// Counts, sizes and the lengths of strings are unsigned varints.
//
// Invariants:
//
//  1. Name, version, architecture and file names of a Package are valid for dpkg,
//     so none of them leaves its directory or its line. Source is a line of text
//     that need not name a source package.
//  2. Packages with equal content have equal keys, stanzas and records, byte for byte.
package deb

// Package deb owns the values of Debian packaging: versions, relations,
// control paragraphs, packages and their files, and the readers that get them
// from .deb, .udeb, .dsc, .changes, Packages and Sources. It reads bytes that
// anybody may have written; each reader has its limits as constants beside it.
//
// A Package leaves in three forms. Its key is the identity that API clients
// see. Its stanza is what a published index says about it. Its record is what
// lists store:
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
// Invariant: a Package made here has a name, version, architecture and file
// names that dpkg takes, so none of them can leave the directory or the line it
// is put into. Its Source is a line of text that may name no source package. Packages with the same content have the
// same key, stanza and record, byte for byte.
package deb

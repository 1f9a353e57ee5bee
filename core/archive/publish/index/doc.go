// Package index makes the index files of a distribution from lists of packages.
// It stages them under their digests, where no reader looks for them yet.
//
// An index file is the concatenation of pieces, one for each chunk of its list.
// Equal chunks give equal bytes, so the pieces of unchanged chunks are copied
// from the by-hash object of the last publication. Only the others are
// rendered.
//
//	contents.go       Contents, from a list of all paths
//	packages.go       Packages and Sources
//	pathlist.go       the list of all paths: edited, or built by an external sort
//	group.go          indexes that are staged together: unchanged, copied, or made
//	splice.go         an index from pieces: copied from the last index, or rendered
//	outputs.go        the files of an index: plain, gzip and others
//	stage.go          files under their digests, which are known at their ends only; the digester
//	folder.go         the private folder of an attempt: inventories, progress
//	source.go         the chunks of an index, and the plan of its pieces
//	stager.go         the Stager of an attempt, with its ports and its settings
//	release.go        the text of Release files
//	object.go         files, indexes and sets of them
//
// The manifest has States of the digests of an index. The next index goes on from them,
// and does not hash its first bytes again. See digester.
//
// References between these files run down this list, never up.
//
// Stored layout: see package paths. Objects in the private folder of an
// attempt:
//
//	<folder>/spool-<name>        a file that does not stay in memory, until its digest is known
//	<folder>/inventory-<n>.json  keys of the public tree, listed before they are written
//	<folder>/progress.json       the Progress of earlier slices
//
// Invariants:
//
//  1. An object under a digest has the bytes of that digest.
//  2. A spliced index has the bytes of one that is rendered from nothing.
//  3. A key is listed in an inventory before it is written.
//  4. An index of an unchanged list costs no request.
package index

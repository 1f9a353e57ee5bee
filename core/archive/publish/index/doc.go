// Package index makes the index files of a distribution from lists of packages
// and stages them under their digests, where no reader looks for them yet.
//
// An index file is the concatenation of pieces, one for each chunk of its list.
// Equal chunks give equal bytes, so the pieces of unchanged chunks are copied
// from the by-hash object of the last publication. Only the others are rendered.
//
//	packages.go       Packages and Sources
//	contents.go       Contents, from a list of all paths
//	pathlist.go       that list: edited, or built by an external sort
//	splice.go         pieces: which are copied, which are rendered
//	reuse.go          pieces copied from the last index
//	outputs.go        the compressed files of an index
//	spool.go          a file whose name, its digest, is known at its end only
//	stager.go         files under their digests
//	inventory.go      which keys an attempt is about to write
//	progress.go       how far the slices of a task have come
//	release.go        the text of Release files
//
// Stored layout: see package paths. Objects in the private folder of an attempt:
//
//	<folder>/spool-<name>        a file that does not stay in memory, until its digest is known
//	<folder>/inventory-<n>.json  keys of the public tree, listed before they are written
//	<folder>/progress.json       where the next slice goes on
//
// Invariants:
//
//  1. An object under a digest has the bytes of that digest.
//  2. A spliced index has the bytes of one that is rendered from nothing.
//  3. A key is listed in an inventory before it is written.
//  4. An index of an unchanged list costs no request.
package index

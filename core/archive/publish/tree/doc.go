// Package tree owns the manifest of a publication, and brings the public tree
// to it.
//
//	manifest.go  the Manifest: the files that a tree is to have
//	retire.go    how long superseded by-hash objects stay
//	alias.go     the trees under other names
//	apply.go     the mutable names of the tree
//	installer.go files of debian-installer, which are mutable
//	tree.go      the Tree, and how one object of it is replaced
//	tidy.go      removes the files that only the manifest before has
//	repair.go    puts back objects that the tree lacks
//	asof.go      files of a former manifest, for apt --snapshot
//
// Stored layout: a manifest is the object <folder>/manifest.json, beside the
// Release files and signatures that were staged with it. See package paths.
//
// Invariants:
//
//  1. InRelease is replaced last, so the InRelease in the tree names only
//     indexes that are there by hash.
//  2. The tree is never ahead of the publication's row. Each name is read before
//     the row, and replaced only as it was read.
//  3. Dates of Release and of the object InRelease grow by a second at least.
//  4. A key is deleted only if a manifest or an inventory names it.
package tree

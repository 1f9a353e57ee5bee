// Package repo owns local repositories: named lists of packages. Uploads are
// imported into them, alone or as a .changes lists them. It also owns the rules that
// say which keys may upload which packages.
//
// Stored layout:
//
//	repo / <uuid>            the Repo as JSON, with a reference to its list
//	repo-name / <name>       the uuid; one row per name keeps names unique
//	ref/repo/<uuid> / <key>  a publication (publish/...) or a snapshot (snapshot/<uuid>) of the repository,
//	                         written by the packages publish and snapshot
//
// Package named owns names, UUIDs and references. docs/life-of-a-package.md describes
// an import.
//
// Invariants:
//
//  1. Every file of a repository's list is in the pool before the row names the list.
//  2. No import, addition by key or copy gives a list two packages with one path in
//     the pool and different files. If they come by a snapshot, the publication
//     refuses them.
//  3. Before its commit a task writes only objects that no row names.
//  4. Each loop over packages saves a checkpoint when its slice is over.
package repo

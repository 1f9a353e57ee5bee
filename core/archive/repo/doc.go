// Package repo owns local repositories: named lists of packages. Uploads are
// imported into them, alone or as a .changes lists them. It also owns the rules that
// say which keys may upload which packages.
//
// Stored layout:
//
//	repo / <uuid>            the Repo as JSON, with a reference to its list
//	repo-name / <name>       the uuid; there is one row per name, so a name is taken once
//	ref/repo/<uuid> / <key>  a publication (publish/...) or a snapshot (snapshot/<uuid>) of the repository,
//	                         written by the packages publish and snapshot
//
// Package named owns names, UUIDs and references. docs/life-of-a-package.md tells how
// an import works.
//
// Invariants:
//
//  1. Every file of a repository's list is in the pool before the row names the list.
//  2. An import, an addition by key or a copy is refused if it would give a list two
//     packages with one path in the pool and different files. A publication refuses
//     such packages that came by a snapshot.
//  3. Until its commit a task has changed nothing but objects that no row names.
//  4. Each loop over packages saves a checkpoint when its slice is over.
package repo

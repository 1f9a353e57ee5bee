// Package repo owns local repositories: named lists of packages that uploads
// go into, by themselves or as a .changes announces them, and the rules of who
// may upload what.
//
// Stored layout:
//
//	repo / <uuid>            the Repo as JSON, with a reference to its list
//	repo-name / <name>       the uuid; there is one row per name, so a name is taken once
//	ref/repo/<uuid> / <key>  a publication (publish/...) or a snapshot (snapshot/<uuid>) of the repository,
//	                         written by the packages publish and snapshot
//
// Names, UUIDs and references are those of package named, with its invariants.
package repo

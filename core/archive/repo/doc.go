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
// Invariant: a repository's row and the row of its name are written together.
// A task remembers the uuid: when the name goes to another repository while it
// waits, it acts on the one it was meant for or fails.
package repo

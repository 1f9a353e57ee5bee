// Package snapshot owns snapshots: named lists of packages that never change,
// made of a local repository, a mirror, other snapshots or chosen packages.
//
// Stored layout:
//
//	snapshot / <uuid>                        the Snapshot as JSON, with a reference to its list
//	snapshot-name / <name>                   the uuid; there is one row per name, so a name is taken once
//	ref/repo/<uuid> / snapshot/<uuid>        this snapshot was made of that repository
//	ref/mirror/<uuid> / snapshot/<uuid>      of that mirror
//	ref/snapshot/<uuid> / snapshot/<uuid>    of that snapshot, among others
//	ref/snapshot/<uuid> / publish/<...>      a publication of the snapshot (written by package publish)
//
// Names, UUIDs and references are those of package named, with its invariants.
//
// A snapshot of one source has the source's list: it costs two rows, whatever
// the size. Lists that are computed are stored before the row that names them.
//
// Invariant: the rows of a snapshot, of its name and of its references are
// written together and removed together. The sources of a snapshot may be
// dropped; its list needs nothing of them.
package snapshot

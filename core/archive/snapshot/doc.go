// Package snapshot owns snapshots: named, immutable lists of packages. They are made
// of a local repository, a mirror, other snapshots or chosen packages.
//
// Stored layout:
//
//	snapshot / <uuid>                        the Snapshot as JSON, with a reference to its list
//	snapshot-name / <name>                   the uuid; one row per name keeps names unique
//	ref/repo/<uuid> / snapshot/<uuid>        this snapshot was made of that repository
//	ref/mirror/<uuid> / snapshot/<uuid>      of that mirror
//	ref/snapshot/<uuid> / snapshot/<uuid>    of that snapshot, among others
//	ref/snapshot/<uuid> / publish/<...>      a publication of the snapshot (written by package publish)
//
// Names, UUIDs and references are those of package named, with its invariants.
//
// A snapshot of one source shares the source's list, so it costs two rows at any
// size.
//
// Invariants:
//
//  1. The rows of a snapshot, of its name and of its references are written together
//     and removed together.
//  2. A computed list is stored before the row that names it.
//  3. A snapshot does not need its sources. They may be dropped.
package snapshot

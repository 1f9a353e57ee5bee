// Package mirror owns mirrors: lists of the packages that other archives publish,
// and the tasks that update them.
//
// Stored layout:
//
//	mirror / <uuid>                       the Mirror as JSON, with a reference to its list
//	mirror-secret / <uuid>                user, headers and certificate for the archive, if there are any; nothing else has them
//	mirror-name / <name>                  the uuid; there is one row per name, so a name is taken once
//	calendar / mirror/<uuid>              when a mirror with a schedule is updated next
//	ref/mirror/<uuid> / snapshot/<uuid>   a snapshot of the mirror, written by package snapshot
//
// Names, UUIDs and references are those of package named, with its invariants.
//
// Creation and edits are no tasks, since clients expect them to be done when the
// answer comes: each is one write, conditioned on the row as it was read. A task
// that replaces the list, drops the mirror or takes a snapshot of it holds its lock.
//
// Invariants:
//
//  1. The list of a mirror's row is that of the last update that succeeded, and
//     every file of the list is in the pool.
//  2. The row of a mirror says whether it has a secret. Both are written and
//     removed in one transaction, so an edit that meets an update or another edit
//     leaves the secret that belongs to the URL of the row.
//  3. A secret is sent to the origin that it was given for: an edit that moves the
//     mirror to another origin removes what the edit does not give anew.
package mirror

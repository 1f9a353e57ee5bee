// Package mirror owns mirrors: what other archives publish, kept as lists of
// packages, and the tasks that bring them up to date.
//
// Stored layout:
//
//	mirror / <uuid>                       the Mirror as JSON, with a reference to its list
//	mirror-name / <name>                  the uuid; there is one row per name, so a name is taken once
//	calendar / mirror/<uuid>              when a mirror with a schedule is updated next
//	ref/mirror/<uuid> / snapshot/<uuid>   a snapshot of the mirror, written by package snapshot
//
// Names, UUIDs and references are those of package named, with its invariants.
//
// Creation and edits are no tasks, since clients expect them to be done with
// the answer: each is one write, conditioned on the row as it was read. A task
// that replaces the list, drops the mirror or takes a snapshot of it holds its lock.
//
// Invariant: the list of a mirror's row is that of the last update that
// succeeded, and every file of the list is in the pool.
package mirror

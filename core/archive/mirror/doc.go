// Package mirror owns mirrors: lists of the packages that other archives publish,
// and the tasks that update them.
//
// Stored layout:
//
//	mirror / <uuid>                       the Mirror as JSON, with a reference to its list
//	mirror-secret / <uuid>                user, headers and certificate for the archive, if the mirror has any
//	mirror-name / <name>                  the uuid; one row per name keeps names unique
//	calendar / mirror/<uuid>              the time of the next update of a mirror with a schedule
//	ref/mirror/<uuid> / snapshot/<uuid>   a snapshot of the mirror, written by package snapshot
//	private/tasks/<id>/odd-<token>-<n>    files of a running update that differ from their index
//
// A mirror's row also refers to a list of package lists with the digests of stanzas, see
// texts.go. Without it, or with another form, the next update reads every stanza.
//
// Names, UUIDs and references are those of package named, with its invariants.
//
// Creation and edits are not tasks, since clients expect their effect with the
// answer. Each is one write, conditioned on the row as read. A task that replaces
// the list, drops the mirror or takes a snapshot of it holds the mirror's lock.
//
// Invariants:
//
//  1. The list in a mirror's row is that of the last successful update. Every
//     file of the list is in the pool.
//  2. A mirror's row says whether it has secrets. One transaction writes or removes
//     both rows. So after concurrent edits the secrets belong to the URL of the row.
//  3. A secret is sent only to the origin that it was given for. An edit that moves
//     the mirror to another origin removes the secrets that it does not repeat.
package mirror

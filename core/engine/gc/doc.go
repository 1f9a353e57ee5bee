// Package gc deletes rows and objects without references. It is a concurrent mark
// and sweep: tasks go on during a collection, and no common lock is needed.
//
// It knows no layout but its own. Owners of storage offer their heads as Sources
// and their things as Areas.
//
// # Stored layout
//
//	collection / epoch                          the State: the number of the epoch, and whether a collection is in progress
//	superseded / <epoch, 16 digits>/<name>      a replaced head: a row that named lists, kept as it was before a task replaced or removed it
//	claim / <name>                              a pin (a task needs the thing) or a tombstone (the thing is being deleted)
//	private/tasks/<n>/marks-…, dead-…           the marks and dead things that a slice of collection n leaves for the next
//
// # Words
//
// A head is a row that names lists: a repository, mirror, snapshot or publication.
// Things are the other needs of lists: package files and records. They are named by
// their content, so a task may find a dead one and use it again. The key of a list's
// object contains the epoch in which it was written.
//
// # A collection
//
//  1. Begin: move the State to the next epoch. Remember the open tasks.
//  2. Wait until they have ended.
//  3. Mark the needs of all heads, then those of the epoch's replaced heads.
//  4. Sweep each area: list it, then remove unmarked items.
//  5. End: clear Collecting. Remove replaced heads and pins.
//
// Every attempt at a task reads the State before any other row. During a collection
// it writes list objects in the new epoch. A transaction that replaces heads keeps
// them as replaced heads. A task pins things before it checks their existence.
//
// # Files
//
// References between files run down this list, never up:
//
//	collector.go                 the task: its steps, its end, its Undo
//	mark.go, sweep.go, remove.go steps 3 and 4
//	collection.go                an attempt: its cursor, its checkpoints
//	pin.go, epoch.go             tasks beside the collection
//	area.go, marks.go, replaced.go   things, marks and replaced heads
//
// lists.go stands apart: the area of the objects of lists.
//
// # Invariants
//
//  1. After step 2 every running task has seen the epoch.
//  2. A list of a head at the end of step 2 is marked, even if it moves later. Either
//     step 3 reads its head. Or a transaction has replaced the head before, and the
//     kept row is read after all heads. Heads replaced later are not needed for that.
//  3. An object of a list is deleted only if it was written in an earlier epoch and is
//     unmarked. No later task uses it: tasks take objects only from lists of heads.
//  4. A thing is deleted only if it is neither marked nor pinned in the epoch. Pin and
//     tombstone are one row, so of a task and the collector one loses.
//  5. A row is deleted in one Write under four conditions. It has no pin, it has not
//     changed, the collection is in progress, and the attempt is not overtaken. An
//     object has a tombstone from before its deletion until after it. The tombstone
//     is written and removed under the same conditions.
//  6. A tombstone that its attempt did not remove stays for two minutes, and the
//     collection with it. No deletion begins, or goes on, more than one minute after
//     its tombstone.
//  7. A failed, abandoned or cancelled collection is ended by its Undo. While
//     Collecting is set, every task writes a row per thing.
//  8. The collector deletes only objects whose key it understands. A foreign object is
//     counted, named and kept. A head with a damaged list ends the collection.
//  9. Every slice makes progress. It marks at least one head, lists 256 things or
//     removes one batch. Marks and dead things are stored between slices and verified
//     by their digest.
//
// # The excluded races
//
// A list moves. The collector reads the partition of repositories, then that of
// snapshots. In between, a task creates a repository from snapshot s and drops s. The
// collector sees neither: the repository was not there yet, the snapshot is gone. The
// list would be deleted while the repository has it. But the drop of s has kept its
// row as a replaced head, which is read after all heads (invariant 2).
//
// A thing comes back. The collector finds that no list needs file f. A client uploads
// a package with f again. The import finds f in the pool and does not store it again.
// Then the collector deletes f, and the repository has a package without its file.
// But the import pins f before it checks the pool. If the pin was first, the tombstone
// is refused and f stays. If the tombstone was first, the pin is refused. The import
// is then retried until f is gone, and stores it again (invariant 4).
//
// # The remaining race
//
// Object stores have no conditional deletion. Suppose that a sent deletion needs more
// than two minutes to arrive. Meanwhile another attempt has removed the tombstone, and
// a task has stored the object again. The late deletion then deletes the new object.
// The process cannot prevent that, since it sent the request in time. A check of the
// pool finds the missing file.
//
// # Memory
//
// Marks take 8 bytes per needed object and thing. Names with equal hashes keep each
// other. Dead things are removed 100,000 at a time.
package gc

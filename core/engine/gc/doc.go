// Package gc deletes what nothing refers to, beside the tasks that go on: a
// concurrent mark and sweep over rows and objects, without a lock that all tasks
// would have to take.
//
// It knows no layout but its own. Owners of storage offer their heads as Sources
// and their things as Areas.
//
// # Stored layout
//
//	collection / epoch                          the State: the number of the epoch, and whether a collection is under way
//	superseded / <epoch, 16 digits>/<name>      a replaced head: a row that named lists, as it was before a task replaced or removed it
//	claim / <name>                              a pin (a task relies on the thing) or a tombstone (the thing is being deleted)
//	private/tasks/<n>/marks-…, dead-…           what a slice of the collection n has found, for the next slice
//
// # Words
//
// A head is a row that names lists: a repository, mirror, snapshot or publication.
// Things are what lists need besides themselves: package files and records. They
// are named by their content, so a task may find a dead one and use it again. The
// objects of lists have the epoch in which they were written in their keys.
//
// # A collection
//
//  1. Begin: move the State to the next epoch. Remember the tasks that are open.
//  2. Wait until they have ended.
//  3. Mark what all heads need, then what the replaced heads of the epoch need.
//  4. Sweep each area: list it, then remove what is not marked.
//  5. End: clear Collecting. Remove replaced heads and pins.
//
// Every attempt at a task reads the State before it reads anything else. While a
// collection is under way it writes list objects under the new epoch, keeps the heads
// that it replaces in the transaction that replaces them, and pins things before it
// looks whether they exist.
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
//  1. After step 2 every task that runs has seen the epoch.
//  2. A list that a head names at the end of step 2 is marked, wherever it moves:
//     either its head is read in step 3, or that head was replaced before, is kept,
//     and is read after all heads. Replaced heads that are added later are not
//     needed for that.
//  3. An object of a list is deleted only if it was written in an earlier epoch and is
//     not marked. No task can come to use it later: a task takes over objects from
//     lists that heads name only.
//  4. A thing is deleted only if it is not marked and not pinned in the epoch. Pin and
//     tombstone are one row, so of a task and the collector one loses.
//  5. A row is deleted in one Write, on condition that it has no pin, has not changed,
//     the collection is under way and the attempt was not overtaken. An object has a
//     tombstone from before its deletion until after it, written and removed under the
//     same conditions.
//  6. A tombstone that its attempt did not remove stays for two minutes, and the
//     collection with it. A deletion that takes more than one minute is not begun, and
//     one that is under way is given up.
//  7. A collection that fails, is given up or cancelled is ended by its Undo: no
//     Collecting stays that would cost every task a row for each thing.
//  8. The collector deletes only objects whose key it understands. A foreign object is
//     counted, named and passed over. A head whose list is damaged ends the collection.
//  9. Every slice makes progress: it marks one head at least, lists 256 things or
//     removes one batch. Marks and dead things are stored between slices and checked
//     by their digest.
//
// # The races that are excluded
//
// A list moves. The partition of repositories is read, then that of snapshots. In
// between a task makes a repository of the list of snapshot s, and drops s. The
// collector has seen neither: not the repository, because it was not there yet, and
// not the snapshot, because it is gone. Without more, the list would be deleted while
// the repository has it. But the drop of s has kept its row as a replaced head, which
// is read after all heads (invariant 2).
//
// A thing comes back. The collector finds that no list needs file f. A client uploads
// a package with f again. The import finds f in the pool and does not store it again.
// Then the collector deletes f, and the repository has a package without its file.
// But the import pins f before it looks. If the pin was first, the tombstone is
// refused and f stays. If the tombstone was first, the pin is refused, and the import
// is tried again until f is gone and can be stored anew (invariant 4).
//
// # What remains
//
// Object stores have no conditional deletion. If the request to delete an object is
// on its way for more than two minutes, so that another attempt has removed the
// tombstone and a task has stored the object again, it deletes the new object. The
// process cannot prevent that: it has sent the request in time. A repair of the pool
// finds such a file missing.
//
// # Memory
//
// Marks take 8 bytes for each object and thing that lives. Two names with the same
// 8 bytes keep each other. Dead things are removed 100,000 at a time.
package gc

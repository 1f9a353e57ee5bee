// Package epoch lets objects be collected beside the tasks that make and use
// them, without a lock that all of them would have to take.
//
// Stored layout:
//
//	collection / epoch                       the State
//	superseded / <epoch, 16 digits>/<name>   a row that named lists, as it was before a task replaced or removed it
//	claim / <name>                           the epoch in which a task relied on it, or that it is being deleted
//
// Every attempt at a task reads the State before it reads anything else. A
// collection begins by moving the State to the next epoch and then waits until
// every task that was open at that moment has ended. From then on whoever runs
// knows that a collection is under way, and
//
//   - writes the objects of lists under the new epoch, which are not looked at,
//   - keeps the row it replaces as a superseded row, in the same transaction, so
//     that a list which moves from a row that was not read yet to one that was
//     read already is found,
//   - claims what has no epoch in its name, a package file or record, before it
//     relies on it.
//
// Invariant: what is deleted is of an older epoch, or not claimed, and was in
// no row, and in no superseded row, at a time when no task of before the epoch
// ran.
package gc

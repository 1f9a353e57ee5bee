// Package fsck checks the whole storage: rows, lists, the pool and the public trees. It
// repairs the things that follow from the rest. It deletes nothing.
//
// Stored layout:
//
//	private/tasks/<id>/check-<token>-<n>   the State that a slice leaves for the next
//	check / last                           the Usage of the last check
//
// # Steps
//
//  1. rows.go: objects, their names, references and sources.
//  2. lists.go: roots and chunks of all lists; the bytes of each object.
//  3. pool.go: package records, package files; with Deep the digest of each file.
//  4. published.go: manifests, public trees, package files; see publish.InspectAll.
//  5. upkeep.go: tasks, the calendar, staging, uploads.
//
// # Invariants
//
//  1. The task holds the lock of collections. So nothing that a row names is deleted
//     during a check.
//  2. Rows are scanned without locks. Each finding is read once more before it is
//     reported, so a change during the scan is no finding.
//  3. A repair writes a row on condition that it is absent. It writes an object only with
//     the digest that a row or a manifest names.
//  4. A slice ends between two rows, chunks, files or publications. Its State is stored
//     before the cursor that names it.
//
// # Memory
//
// The State takes 8 bytes for each package of a list and 32 bytes for each package file.
package fsck

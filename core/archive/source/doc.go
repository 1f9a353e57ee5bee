// Package source owns what mirrors, local repositories and snapshots have in common.
// Publications, snapshots, copies and drawings take packages from them. It stores nothing: each of the three packages makes Sources of
// its own rows and is a Finder.
//
// Invariants:
//
//  1. A Source is a value. Its list never changes; the row that it was made of
//     may, unless the lock of the source is held.
//  2. No package of the three imports another: they meet in Finders.
package source

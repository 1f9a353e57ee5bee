// Package source owns the common view of mirrors, local repositories and snapshots.
// Publications, snapshots, copies and drawings take packages from them. It stores
// nothing: each of the three packages makes Sources of its own rows and is a Finder. It
// names the mark of an imported object, which package transfer writes and drops remove.
//
// Invariants:
//
//  1. A Source is a value with an immutable list. Its row may change unless the lock
//     of the source is held.
//  2. None of the three packages imports another. They find each other's sources by
//     Finders.
package source

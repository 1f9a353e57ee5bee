// Package named keeps things that have a UUID, a unique name and references:
// local repositories, mirrors and snapshots are Rows of it.
//
// Stored layout, for the part P of a Rows:
//
//	P / <uuid>                  the thing as JSON
//	P-name / <name>             the UUID of the thing with the name
//	ref/P/<uuid> / <referrer>   a reference to the thing, such as "publish/:./stable"
//
// Locks: P/<uuid> is the lock of a thing, P-name/<name> that of a name.
//
// Invariants:
//
//  1. The row of a thing and the row of its name are written in one
//     transaction. So a name that resolves has a thing, and a thing has one name.
//  2. A name row is created on condition that it is absent. So of two writers
//     that want a name, one gets it and the other sees a conflict.
//  3. A task that makes a reference holds the lock of the thing, at least shared.
//     It takes the lock before it reads the thing, and keeps it until the reference
//     is written. A drop holds the lock exclusively. So no reference appears after a
//     drop has looked.
//  4. Arguments of tasks contain UUIDs. Example: a name goes to another thing while
//     a task waits. The task acts on the first thing, or fails if that is gone.
package named

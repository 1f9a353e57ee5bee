// Package lists owns immutable lists: records in ascending byte order of their
// keys, cut into chunks. A chunk is an object named by its content.
//
// # Stored layout
//
// The name of an object is the SHA-256 of its content before compression. Its
// key also holds the collection epoch in which the object was written:
//
//	private/chunks/<epoch>/<first two hex digits>/<SHA-256>
//
// An object is a magic word and one zstd frame. Lengths and numbers in it are
// unsigned varints. The empty list has no object.
//
//   - The content of a chunk is its records in order. A record is the length of
//     its key, the key, the length of its value, the value.
//   - The content of a root is its chunks in order. A chunk is its first key, last
//     key, count of records, bytes of keys and values, SHA-256, epoch and summary.
//
// The SHA-256 covers the magic word, so a chunk is never read as a root.
//
// # Boundaries
//
// Two facts decide whether a chunk ends after a record. They are the hash of the
// record's key, and the number and size of the records since the last boundary.
// Therefore:
//
//   - Lists of equal content have equal chunks, independent of their history. A
//     comparison skips the shared chunks.
//   - An edit changes the chunk of the edited record and few chunks after it. The
//     boundaries of the old and the new list soon meet again.
//
// # Invariants
//
//  1. An object, once written, never changes its meaning.
//  2. A writer refers to objects that it wrote and to objects of the lists that
//     it was given, to no others. It never asks whether an object exists: the
//     collector may delete an object that no list refers to at any time.
package lists

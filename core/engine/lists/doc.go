// Package lists owns immutable lists: records in ascending byte order of their
// keys, cut into chunks that are objects named by their content.
//
// Stored layout: every object is named by the SHA-256 of its content before
// compression, and its key says in which collection epoch it was written,
//
//	private/chunks/<epoch>/<first two hex digits>/<SHA-256>
//
// An object is a magic word and one zstd frame. The content of a chunk is its
// records in order, of each the length of its key, the key, the length of its
// value, the value. The content of a root is for each chunk, in order: first
// key, last key, count of records, bytes of keys and values, SHA-256, epoch and
// summary. Lengths and numbers are unsigned varints. The empty list has no
// object. The SHA-256 covers the magic word, so no chunk can pass for a root.
//
// Whether a chunk ends behind a record depends on nothing but the records since
// the last end: on the hash of the record's key and on how many they are. Two
// consequences carry everything above. Lists of equal content have equal
// chunks, whatever their history, so a comparison skips what is shared. And a
// change resumes the old chunks soon behind the record it touched.
//
// Invariant: an object, once written, never changes its meaning. A writer
// refers to the objects it wrote itself and to those of the lists it was given,
// and to no others: it never looks whether an object exists, since one that no
// list refers to may be collected at any time.
package lists

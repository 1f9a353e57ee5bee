// Package upload owns the area into which clients upload files, until they are
// imported into the pool or removed.
//
// Stored layout:
//
//	private/incoming/<random>   an uploaded file; its object never changes
//	upload / <dir>//<file>      an uploaded file: its object, size and digests
//	upload / <dir>//            a directory, which may be empty
//
// Invariants:
//
//  1. A row names an object that is stored whole.
//  2. An object has one row at most. A new upload of a name makes another object
//     and moves the row. So a task that has read the row reads the same bytes
//     until it ends or the file is removed.
//  3. A row is removed before its object, so no reader finds a row without an
//     object. If the storage fails between the two, an import removes the object
//     when it pays its debt. The collector removes other objects without a row
//     after a day (areas.go).
package upload

// Package upload owns the area into which clients upload files, until they are
// imported into the pool or removed.
//
// Stored layout:
//
//	private/incoming/<random>   an uploaded file; its object never changes
//	upload / <dir>//<file>      an uploaded file: its object, size and digests
//	upload / <dir>//            says that the directory exists, also when it is empty
//
// Invariants:
//
//  1. A row names an object that is stored whole.
//  2. An object has one row at most. To upload a name again makes another object
//     and moves the row, so a task that has read the row reads the same bytes
//     until it ends or the file is removed.
//  3. A row is removed before its object, so no reader finds a row without an
//     object. An import that loses the storage between the two removes the object
//     when it pays its debt. Other objects without a row are removed by the
//     collection of a later day (areas.go).
package upload

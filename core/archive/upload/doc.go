// Package upload owns the area into which clients upload files, until they are
// imported into the pool or removed.
//
// Stored layout:
//
//	private/incoming/<random>   an uploaded file; its object never changes
//	upload / <dir>//<file>      an uploaded file: its object, size and digests
//	upload / <dir>//            a directory, which may be empty: its Mark
//	announced / <dir>//<file>//<sha256>  a file that a client puts into the storage itself,
//	                            by one request or in parts
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
//  4. Where there is authentication, each row has an owner. A caller sees no row of
//     another owner, unless it manages the directory. The row of a top directory is
//     its claim: only the owner puts files into it. The claim ends with the row.
//
// Example of 4: A has removed its directory, and B has claimed the name. A file that A
// was sending meanwhile gets its row in the directory. B does not see the file, so an
// import by B does not have it.
package upload

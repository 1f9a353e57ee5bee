// Package pool owns what packages consist of: their files, what is known of
// each package, and the area into which clients upload.
//
// Stored layout:
//
//	private/pool/<sha256[:2]>/<sha256>         a package file, by its digest
//	package-<0..f> / <package key>             the record: package and file list, compressed
//	file-<0..f> / <sha256>                     all digests of a file, where they were computed while it was fetched
//	private/incoming/<random>                  an uploaded file; its object never changes
//	upload / <dir>//<file>                     an uploaded file: its object, size and digests
//	upload / <dir>//                           says that the directory exists, also when it is empty
//
// Invariant: a file is in the pool before a record names it, and a record is
// there before a list names its package. Files and records are named by their
// content, so to store one twice changes nothing.
package pool

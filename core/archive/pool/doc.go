// Package pool owns what packages consist of: their files, and what is known of
// each package.
//
// Stored layout:
//
//	private/pool/<sha256[:2]>/<sha256>         a package file, by its digest
//	package-<0..f> / <package key>             the record: package and file list, compressed
//	private/records/<package key>              a record that is too large for its row, which names it
//	file-<0..f> / <sha256>                     all digests of a file, where they were computed while it was fetched
//	private/incoming/<random>                  a file whose digest is not known before it is stored
//
// Invariant: a file is in the pool before a record names it, and a record is
// there before a list names its package. Files and records are named by their
// content, so to store one twice changes nothing.
package pool

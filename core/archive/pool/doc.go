// Package pool owns the package files and the records of packages.
//
// # Stored layout
//
//	private/pool/<sha256[:2]>/<sha256>         a package file, by its digest
//	package-<0..f> / <package key>             the record: kind and Provides, then package and file list, compressed
//	private/records/<package key>              a record too large for its row, which names it
//	file-<0..f> / <sha256>                     all digests of a file, if computed while it was fetched
//	private/incoming/<random>                  a file stored before its digest is known
//
// # Invariants
//
//  1. A file is in the pool before a record names it.
//  2. A record is stored before a list names its package.
//  3. Files and records are named by their content, so storing one twice changes
//     nothing.
package pool

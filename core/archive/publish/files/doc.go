// Package files publishes package files: copies of files of the pool of all
// packages below a published tree, and what stands beside the indexes.
//
//	link.go       publishes the files of packages that a list has gained
//	replace.go    puts a file in the place of another one
//	clean.go      removes the files of packages that a list has lost
//	installer.go  lists of the files of debian-installer
//	appstream.go  AppStream and translation files of mirrors
//	skeleton.go   files of operators
//	repair.go     compares package files with lists and rows
//
// Stored layout: for each published package file an object at its path and
//
//	pool/<storage>:<prefix> / <path>   its SHA-256, and a mark while it is replaced or removed
//
// Invariants:
//
//  1. A row without a mark names the bytes of its object, or there is no object.
//  2. A file stays as long as a committed list of any publication has it.
//  3. A file is deleted after a fenced transaction has marked its row, so an attempt
//     that was overtaken before deletes nothing.
//  4. The files of an installer are those of its list until the list is replaced.
package files

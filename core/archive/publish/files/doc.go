// Package files owns the files that a publication has besides its indexes and
// its Release. Most are package files: copies from the pool of all packages to
// a path below the published tree.
//
//	link.go       publishes the files of packages that a list has gained
//	replace.go    puts a file in the place of another one
//	clean.go      removes the files of packages that a list has lost
//	installer.go  lists of the files of debian-installer
//	appstream.go  AppStream and translation files of mirrors
//	skeleton.go   files of operators
//	repair.go     compares package files with lists and rows
//	store.go      the ports that all of them use
//
// Stored layout: for each published package file an object at its path, and a
// row. The row has the SHA-256 of the file, and a mark while the file is
// replaced or removed:
//
//	pool/<storage>:<prefix> / <path>
//
// Invariants:
//
//  1. A row without a mark names the bytes of its object, or there is no object.
//  2. A file stays as long as a committed list of any publication has it.
//  3. A fenced transaction marks the row of a file before the file is deleted. So
//     an attempt that was overtaken before the mark deletes nothing.
//  4. The files of an installer are the files of its list until the list is replaced.
package files

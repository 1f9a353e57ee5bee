// Package files owns the files that a publication has besides its indexes and
// its Release. Most are package files: copies from the pool of all packages to
// a path below the published tree.
//
//	link.go       publishes the files of packages that a list has gained
//	clean.go      removes the files of packages that a list has lost
//	installer.go  lists of the files of debian-installer
//	appstream.go  AppStream and translation files of mirrors
//	skeleton.go   files of operators
//	repair.go     compares package files with lists and the inventory
//	recheck.go    compares package files with the inventory after late calls
//	inventory.go  the inventories of a prefix, as a task sees and changes them
//	move.go       moves the rows of earlier releases into an inventory
//	area.go       the inventory of an area: its row, its list, its changes
//	replace.go    puts a file in the place of another one, and removes files
//	store.go      the ports that all of them use, and the package of a path in a list
//
// Stored layout: for each published package file an object at its path. The paths of an
// area (paths.Area) and the SHA-256 of their files are a list, its inventory. The row of
// the area names the list, and has the last small changes itself:
//
//	inventory / <storage>:<prefix>/pool[/<area>]
//
// Earlier releases had a row for each file, pool/<storage>:<prefix> / <path>. The first
// task that uses an area moves them.
//
// Invariants:
//
//  1. An area without a mark has, under each path of its inventory, the file of the
//     entry or no object. The mark of a publication (Forced) says that its attempt may
//     have replaced files of other ones. It is written before the first, and goes with
//     the commit or when the files are put back.
//  2. A file stays as long as a committed list of any publication has it, with an
//     architecture that the publication publishes.
//  3. The inventory has the files of all committed lists. A commit enters its files. An
//     entry goes in a later transaction than its file.
//  4. An object that no entry and no staged list names is of an attempt that was
//     overtaken. The next publication of its path replaces it, unless it is the same file.
//     A recheck removes it if a list of that attempt has its path. Others are foreign.
//  5. A fenced write comes before a file is deleted or replaced. A replacement has the
//     ETag as its condition. So an attempt that was overtaken before does neither.
//  6. The files of an installer are in no inventory. They are those of its list until the
//     list is replaced.
package files

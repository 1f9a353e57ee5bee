// Package move copies archives between a transfer folder and servers, on the side of the
// client. Package transfer has the format of the folder and the server's side.
//
//	import.go   a folder to a server
//	backup.go   a data folder and its backups
//	archive.go  an APT repository becomes a folder
//	verify.go   two published trees are compared
//	export.go   a server to a folder
//	keep.go     the manifests of former exports
//	needs.go    all that the objects of a folder name
//	folder.go   the folder
//
// References between these files run down this list, never up.
//
// # Files of a folder besides those of the format
//
//	incomplete   exists from the begin of a change of the folder to its end; locked meanwhile
//	tmp-…        a file that is being written; the next change removes it
//	manifest-<time>.json   the manifest of an export that is kept
//	verified/    for each hard link a symbolic link: its digest was compared
//
// # Invariants
//
//  1. A file of a folder has its name after its digest was verified.
//  2. manifest.json is written after all that it names is durable.
//     A kept manifest is removed before the files that only it names.
//  3. A command that ended early is repeated, and goes on with the files that are there. A
//     file that was written during an incomplete change is verified again.
package move

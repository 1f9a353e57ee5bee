// Package dropfolder brings files that programs put into a folder of this machine into the
// drop box of the storage, and refused files back.
//
// Layout of the folder:
//
//	<repo>/<file>            a file for a repository
//	<repo>/<folder>/<file>   a file that belongs to a .changes in its folder
//	.failed/<repo>/…         a file that was refused; <file>.error.txt says why
//
// Stored layout: drop/arriving/… has copies that are not complete, under the names that
// they get in the drop box. The package core/archive/drop has the rest.
//
// Files:
//
//	folder.go   the settings, and one look at the folder
//	take.go     one file on its way into the drop box
//	aside.go    files that are refused
//	lease.go    whether another program writes a file
//
// Invariants:
//
//  1. A file is removed from the folder only when its bytes are in the drop box, durable.
//  2. A file that another program writes is not taken. Its size, time and identity are equal
//     in two looks, before the copy and after it. No program has it open for writing.
//  3. A crash loses no file: the next process takes it again, which changes nothing, and
//     tells of all files that wait in the drop box.
//  4. Nothing outside of the folder is read or written. Symbolic links are not followed.
//
// Names that begin with a dot, and names by which programs mark incomplete files, are left
// alone: .part, .partial, .filepart, .crdownload, .tmp and ~.
package dropfolder

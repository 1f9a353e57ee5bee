// Package drop owns the drop box: a place of the storage into which clients put package
// files without calling the API. Their arrival imports them.
//
// Stored layout:
//
//	drop/drop/<repo>/<file>            a file for a repository
//	drop/drop/<repo>/<folder>/<file>   a file that waits for a .changes in its folder
//	drop/failed/<repo>/…               a file that was refused; <file>.error.txt says why
//	drop / <repo>/…/<file>             a file that a task is importing: its ETag and the task
//	calendar / drop/<repo>/<folder>    files wait: the time at which they are refused
//
// Files:
//
//	keys.go     keys of objects and rows
//	units.go    which files are imported together
//	take.go     the task that admits imports
//	remind.go   the entry of the calendar that has files taken again
//	settle.go   the end of an import: files are removed or refused
//
// Invariants:
//
//  1. A file stays in the drop box until the task that imports it has ended.
//  2. A file is removed only with the ETag that was imported. A newer file stays.
//  3. A refused file is in drop/failed with a text, and its task has failed or has a
//     warning.
//  4. Events may be lost, late or repeated: a task takes all files that are there. Taking
//     a file twice imports equal bytes, which changes nothing.
//  5. The claim of a task that has ended holds no file: the next look at its place removes it.
//  6. Files of a .changes or .dsc are imported together, in any order of arrival.
//
// A client that may put an object may import it: the storage authorizes. A repository with rules
// for uploaders takes no .changes here, because the storage does not know its signer.
package drop

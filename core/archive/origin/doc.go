// Package origin keeps where the files of packages came from. An import of a file has a
// principal, an upload and the signers of its .changes. They do not prove how the file
// was built.
//
// Stored layout:
//
//	origin-<0..f> / <sha256>/<task>  an Origin as JSON
//	origin-pending / <task>          a task that has stored Origins before its commit
//
// # Invariants
//
//  1. Only a committed import shows. Its Origins are in the transaction of the commit.
//     If they are many, they are stored before it as pending ones, and the commit removes
//     the row of their task from origin-pending.
//  2. The row of a task in origin-pending is durable before a pending Origin is stored.
//  3. The collector removes an Origin with its file, a day after the import at the
//     earliest. It removes pending Origins of tasks
//     that have failed, and then the row of the task.
package origin

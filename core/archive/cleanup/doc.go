// Package cleanup owns the collector: it deletes the objects, package files and
// package records that nothing refers to, beside the tasks that go on.
//
// It stores nothing of its own but the cursor of its task. The protocol that
// lets it work beside others is that of package epoch.
//
// What is deleted:
//
//	private/chunks/<epoch>/...   of epochs before the collection's, in no list that a row names
//	package-<0..f>/...           records that no such list has, and that no task has claimed
//	private/records/...          with their record
//	private/pool/...             files of no package and no row, and that no task has claimed
//	private/incoming/...         older than a day, and of no upload
//	private/publish, private/tasks, private/staging/...  of tasks that have ended, and that no row keeps
//	task/...                     that a request waited for which never came back
//
// Invariant: it deletes nothing that a reader of a row, or a task that runs,
// can still ask for. Of what lives it keeps 8 bytes for each object, file and
// record in memory; two that share them only keep one that could go.
package cleanup

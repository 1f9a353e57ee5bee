// Package embedded owns the drivers of one process on one machine: a bbolt
// table, objects as files, and a queue in memory.
//
// Stored layout, below the data directory:
//
//	table.db    bbolt; its lock keeps a second process out
//	  rows      partition and sort (see rowKey) -> version, 8 bytes; data
//	  counters  partition and sort -> sum, 8 bytes
//	  stamps    "mark" -> stamp, 8 bytes: no stamp that was handed out exceeds it
//	            "synced" -> stamp, 8 bytes: the bytes of all objects up to it are durable
//	            "boot" -> the run of the machine; from Open to Close only
//	drop/…      objects: files that wait in the drop box, and refused ones
//	private/…   objects, each a plain file under its key
//	public/…    objects that the world may read: to be browsed, served and copied as they are
//	tmp/        objects that are being written, and frozen-…, see Freeze; emptied by Open
//
// table.db does not shrink, and its free pages are used again. The data directory is on
// one file system of Linux that keeps the times of files to the microsecond. ext4, XFS,
// Btrfs, tmpfs and overlays of them do.
//
// The process reads table.db through a mapping, and gives its pages back after some
// hundred rows. Close stores the list of free pages, so the next Open need not read the
// tree.
//
// The queue is in memory only: messages that wait at the end of the process have to be
// sent again.
//
// # Objects and stamps
//
// The bytes of an object never change: a new object takes its place by rename. So a
// reader that has the old object open reads it to its end, and a copy may be a hard
// link.
//
// The modification time of an object is its stamp, in microseconds. A stamp is handed
// out once, also after a crash or with a clock that goes back. The ETag has the stamp
// and the size. So the file alone is stored, and a tree that is restored with its times
// keeps its ETags. A hard link has the stamp of its source, and so its ETag and ModTime.
//
// A stamp is odd if the object got its name before its bytes were durable, else even.
//
// # Lazy changes
//
// A Put, Copy or Delete with a lazy context returns before its change is durable:
//
//   - A lazy Put of a new object skips the fsync of its bytes and gives it an odd stamp.
//   - A lazy Put over an object makes its bytes durable first, and its stamp is even.
//   - No lazy change syncs folders.
//
// Blobs notes lazy changes in memory. Each commit of rows or counters makes the changes
// durable that have returned before, and its transaction stores "synced". Up to 64
// objects are synced one by one, with their folders. More objects, or more than 128
// objects and folders, are synced by one syncfs. Sync is a commit without rows.
//
// Example: a task puts 500 objects lazily and writes a row that names them. The write
// makes one syncfs and one commit. A power failure before the commit loses the row, and
// perhaps objects. After the commit it loses neither.
//
// # Recovery
//
// Close syncs, and removes "boot". If Open finds "boot", the process before ended
// without Close:
//
//   - "boot" is this run of the machine: the page cache has all changes. Open makes them
//     durable by one syncfs.
//   - "boot" is another run: the power may have failed. Open removes each object with an
//     odd stamp after "synced" and up to "mark", and calls Options.Torn for it.
//
// Then Open sets "synced" to "mark", so no object counts as torn any more.
//
// # Invariants
//
//  1. A change that is not lazy is durable when its call returns. The bytes of a file are
//     synced before it gets its name, and its folder after that. Rows are durable by the
//     commit of bbolt. Concurrent callers share fsyncs of folders, barriers and commits.
//  2. A lazy change that has returned is durable before a later commit of rows or
//     counters. So a row never names a torn object.
//  3. The bytes of an object are durable before it takes the place of another. So a
//     power failure tears new objects only.
//  4. An object whose bytes may not be durable has an odd stamp after "synced". A copy of
//     it by a call that is not lazy is no link.
//  5. A link takes the place of an older object only. So the time of a key grows as long
//     as the key has an object.
//  6. A call that is refused because of an object makes that object durable, unless the
//     call is lazy.
//  7. No call follows a symbolic link below the data directory. A folder in which links
//     are made may stay open for a second. If an operator replaces it meanwhile, links go
//     to the folder that was there.
//  8. After Open, the process ends when an fsync of a folder or of lazy changes fails, or
//     a syncfs. It also ends when the fdatasync of a commit fails.
//  9. Messages of a group are delivered one after the other, in the order of Send. A
//     message whose ID waits in its group already is dropped.
package embedded

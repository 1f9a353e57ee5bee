// Package embedded owns the drivers of one process on one machine: a bbolt
// table, objects as files, and a queue in memory.
//
// Stored layout, below the data directory:
//
//	table.db    bbolt; its lock keeps a second process out
//	  rows      partition and sort (see rowKey) -> version, 8 bytes; data
//	  counters  partition and sort -> sum, 8 bytes
//	  stamps    "mark" -> a time, in microseconds, that no object's stamp exceeds
//	            "synced" -> a stamp up to which the bytes of all objects are durable
//	            "boot" -> while the directory is open: the run of the machine
//	private/…   objects, each a plain file under its key
//	public/…    objects that the world may read: to be browsed, served and copied as they are
//	tmp/        objects that are being written; emptied by Open
//
// table.db does not shrink; what was freed in it is used again.
//
// All of it is on one file system of Linux, which keeps the times of files to the
// microsecond (ext4, XFS, Btrfs, tmpfs and overlays of them do).
//
// An object is never changed: a new one takes its place by rename. So a reader that has
// the old one open reads it to its end, and a copy may be a hard link. The modification
// time is a stamp that no other Put is ever given, also after a crash or when the clock
// was set back. The ETag is made of the stamp and the size. So nothing but the file
// itself needs to be stored, and a tree that was restored with its times has the ETags
// it had. A copy shares the stamp of its source, and with it the ETag and ModTime.
//
// Nothing of the queue is stored: messages that waited when the process ended have to be
// sent again.
//
// # Invariants
//
//  1. A change that is not lazy is on the disk when its call returns: a file by fsync
//     before it gets its name, a name by fsync of its folder, rows by the commit of
//     bbolt. Concurrent callers share fsyncs and commits.
//  2. Lazy changes of objects are on the disk before the next commit of the table. A few
//     are synced one by one, many by one syncfs.
//  3. The bytes of an object are on the disk before it takes the place of another. So a
//     power failure tears new objects only.
//  4. An object whose bytes may not be on the disk has an odd stamp after "synced". Open
//     removes such objects if the machine was started anew and Close had not been called.
//  5. The times of a name only grow: a link takes the place of an older object only.
//  6. No call follows a symbolic link below the data directory.
//  7. An error of fsync on which others depend ends the process.
package embedded

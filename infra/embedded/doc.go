// Package embedded owns the drivers of one process on one machine: a bbolt
// table, objects as files, and a queue in memory.
//
// Stored layout, below the data directory:
//
//	table.db    bbolt; its lock keeps a second process out
//	  rows      partition and sort (see rowKey) -> version, 8 bytes; data
//	  counters  partition and sort -> sum, 8 bytes
//	  stamps    "mark" -> a time, in microseconds, that no object's stamp exceeds
//	private/…   objects, each a plain file under its key
//	public/…    objects that the world may read: to be browsed, served and copied as they are
//	tmp/        objects that are being written; emptied by Open
//
// table.db does not shrink; what was freed in it is used again.
//
// All of it is on one file system, which keeps the times of files to the
// microsecond (ext4, XFS, Btrfs, tmpfs and overlays of them do).
//
// An object is never changed: a new one takes its place by rename, so whoever
// has the old one open reads it to its end, and a copy may be a hard link. Its
// modification time is a stamp that no other Put is ever given, also after a
// crash or when the clock was set back; its ETag is made of that and of the
// size. So nothing but the file itself needs to be stored, and a tree that was
// restored with its times has the ETags it had. A copy to a new key shares the
// stamp of its source, and with it the ETag and ModTime.
//
// Nothing of the queue is stored: what waited when the process ended is to be
// sent again.
//
// Invariant: what a call that returned nil has written is on the disk: files
// by fsync before they get their name, names by fsync of their directory, rows
// by the commit of bbolt. Concurrent callers share fsyncs and commits.
package embedded

package dropfolder

import (
	"io/fs"
	"os"
	"syscall"
)

// written reports whether another program has a file open for writing. The kernel grants a
// read lease only if none has (fcntl(2)). It grants leases to the owner of the file and to
// root; for another user the answer is false, and only the marks decide.
func written(file *os.File) bool {
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	busy := false
	raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETLEASE, syscall.F_RDLCK)
		if busy = errno == syscall.EAGAIN; errno == 0 {
			syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETLEASE, syscall.F_UNLCK)
		}
	})
	return busy
}

// markOf returns the mark of a file.
func markOf(info fs.FileInfo) mark {
	m := mark{size: info.Size(), at: info.ModTime()}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		m.inode = s.Ino
	}
	return m
}

package embedded

import (
	"sync/atomic"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// mapped bounds the pages of the table's file that are resident in the process.
//
// bbolt reads the file through a mapping, which keeps each page that was touched once.
// After some reads and changes mapped gives all pages back. They stay in the kernel's
// cache, and the next touch maps them again. Example: a scan of 50,000 records of
// packages touches 110 MB, of which at most some megabytes are resident.
type mapped struct {
	db      *bbolt.DB
	touched atomic.Int64 // rows since the pages were given back
}

// mostTouched is the number of rows after which the pages are given back. The kernel
// maps up to 16 pages of 4 KiB for a row.
const mostTouched = 512

// rowsOfPage is the number of rows that lie together in a scan, on average.
const rowsOfPage = 4

// touch counts rows that lie at different places. No transaction may be open in the
// caller.
func (m *mapped) touch(rows int) {
	if n := m.touched.Add(int64(rows)); n >= mostTouched && m.touched.CompareAndSwap(n, 0) {
		m.release()
	}
}

// release gives the pages back. Within a transaction the mapping does not move. An
// error of madvise changes nothing but the memory.
func (m *mapped) release() {
	m.db.View(func(tx *bbolt.Tx) error {
		unix.Syscall(unix.SYS_MADVISE, m.db.Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
		return nil
	})
}

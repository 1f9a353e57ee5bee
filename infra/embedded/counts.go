package embedded

import (
	"context"
	"sync/atomic"

	"aptless/core/engine/driver"
)

// Counts are the requests made of a Store since it was opened.
type Counts struct {
	Open, Stat, Put, Copy, List, Delete int64 // of objects; Delete counts keys

	RowGet, RowScan, RowWrite, RowPut, Add int64 // of the table; calls, not rows

	Send, Wake, Deliver int64 // of the queue

	Commits, Fsyncs, Syncfs int64 // commits of changes; fsync and syncfs calls for objects and folders
}

// counters count the requests of Counts.
type counters struct {
	open, stat, put, copy, list, delete    atomic.Int64
	rowGet, rowScan, rowWrite, rowPut, add atomic.Int64
	send, wake, deliver                    atomic.Int64
	commits, fsync, syncfs                 atomic.Int64
}

// count adds n requests to counter and to the Requests of ctx.
func count(ctx context.Context, counter *atomic.Int64, kind string, n int64) {
	counter.Add(n)
	driver.Count(ctx, kind, n)
}

// Counts returns the requests made so far.
func (s *Store) Counts() Counts {
	c := s.counters
	return Counts{
		Open: c.open.Load(), Stat: c.stat.Load(), Put: c.put.Load(),
		Copy: c.copy.Load(), List: c.list.Load(), Delete: c.delete.Load(),
		RowGet: c.rowGet.Load(), RowScan: c.rowScan.Load(), RowWrite: c.rowWrite.Load(),
		RowPut: c.rowPut.Load(), Add: c.add.Load(),
		Send: c.send.Load(), Wake: c.wake.Load(), Deliver: c.deliver.Load(),
		Commits: c.commits.Load(), Fsyncs: c.fsync.Load(), Syncfs: c.syncfs.Load(),
	}
}

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The garbage collector runs when the heap has grown by collectAt percent of the live
// heap. Tasks make little garbage: half of Go's default costs a hundredth of their time,
// and takes a third from the peak. A small heap grows by leastGrowth bytes, because a
// collection has costs that do not depend on the heap. Example: the first update of a
// mirror of 10,000 packages has 20 MiB. It takes a tenth less CPU time so, and 10 MiB more.
const (
	collectAt   = 50
	leastGrowth = 24 << 20
)

// paceCollector sets when the garbage collector runs, unless GOGC is set.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(collectAt)
	afterCollection(collectAt)
}

// afterCollection sets the growth of the heap again after each collection. percent is
// the present one.
func afterCollection(percent int) {
	runtime.AddCleanup(new([16]byte), func(was int) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		now := growthOf(live[0].Value.Uint64())
		if diff := now - was; diff*diff > was*was/64 { // setting it stops the world
			debug.SetGCPercent(now)
			was = now
		}
		afterCollection(was)
	}, percent)
}

// growthOf returns the growth in percent of a live heap.
func growthOf(live uint64) int {
	return max(collectAt, int(100*leastGrowth/max(live, leastGrowth/8)))
}

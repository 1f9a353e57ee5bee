package app

import (
	"maps"
	"slices"

	"aptless/core/archive/fsck"
	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/engine/gc"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// checkerOf returns the checker of a storage. It reads lists without the cache of the
// process, which would hide damages.
func checkerOf(c *gc.Collector, files *pool.Store, publications *publish.Store) *fsck.Checker {
	return &fsck.Checker{Table: c.Table, Blobs: c.Blobs, Lists: &lists.Store{Blobs: c.Blobs, Epoch: c.Epoch.Number}, Pool: files, Publish: publications,
		Heads: c.Sources, Now: c.Now}
}

// eventsOf returns the kinds of all entries of the calendar: planners have most of them.
func eventsOf(planners map[string]task.Planner) []string {
	return append(slices.Sorted(maps.Keys(planners)), task.DebtKind, task.RetentionKind)
}

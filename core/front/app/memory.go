package app

import (
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Bounds of Config.Memory, in bytes.
const (
	DefaultMemory = 1 << 30
	MinMemory     = 256 << 20
)

// memory divides Config.Memory into budgets. The shares add up to seven eighths; the
// rest is for small requests, buffers and garbage.
//
// No share covers:
//
//   - output of a task: 1 MiB between two writes (package task)
//   - marks of a collection: 8 bytes per live item, and 100,000 dead items (package gc)
//   - a repair of the pool: 40 bytes per package file (package pool)
//   - a listing that a request makes: its rows, or one page of rows if it is streamed
//
// A holder of items or ahead never waits for tasks, so there is no circular wait:
// see package parallel.
type memory struct {
	cache  *lists.Cache
	ahead  *parallel.Budget // read-ahead of list chunks
	tasks  *parallel.Budget // data that a task holds while it processes many packages, or makes a listing
	items  *parallel.Budget // one package, or one part of an index
	bodies *parallel.Budget // large bodies of requests, until their tasks are admitted
}

// divide divides bytes; 0 is DefaultMemory. cache overrides the size of the chunk
// cache unless it is 0.
func divide(bytes, cache int64) memory {
	if bytes == 0 {
		bytes = DefaultMemory
	}
	part := bytes / 16
	if cache == 0 {
		cache = part
	}
	return memory{
		cache:  lists.NewCache(cache),
		ahead:  parallel.NewBudget(part, 0),
		tasks:  parallel.NewBudget(3*part, 0),
		items:  parallel.NewBudget(max(3*part, 2*deb.BinaryMemory), min(4*part, deb.BinaryGrowth)),
		bodies: parallel.NewBudget(2*part, 0),
	}
}

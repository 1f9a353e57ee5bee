package app

import (
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// DefaultMemory is the default of Config.Memory, MinMemory the least, in bytes.
const (
	DefaultMemory = 1 << 30
	MinMemory     = 256 << 20
)

// memory is the division of Config.Memory. The shares add up to three quarters of
// it; the rest is for requests, buffers and garbage.
//
// Nobody who holds some of items or ahead waits for tasks, so that holders never
// wait in a circle: see package parallel.
type memory struct {
	cache *lists.Cache
	ahead *parallel.Budget // chunks of lists that are read ahead
	tasks *parallel.Budget // what a task holds while it goes through many packages
	items *parallel.Budget // one package, one part of an index
}

// divide divides bytes, 0 is DefaultMemory. A cache of other than 0 bytes is as
// large as that.
func divide(bytes, cache int64) memory {
	if bytes == 0 {
		bytes = DefaultMemory
	}
	part := bytes / 16
	if cache == 0 {
		cache = part
	}
	return memory{
		cache: lists.NewCache(cache),
		ahead: parallel.NewBudget(part, 0),
		tasks: parallel.NewBudget(3*part, 0),
		items: parallel.NewBudget(max(3*part, 2*deb.BinaryMemory), min(4*part, deb.BinaryGrowth)),
	}
}

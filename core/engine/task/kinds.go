package task

import (
	"maps"
	"slices"
)

// Kinds returns the names of the kinds that the dispatcher runs, sorted.
func (d *Dispatcher) Kinds() []string { return slices.Sorted(maps.Keys(d.kinds)) }

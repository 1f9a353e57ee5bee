package simulation

import (
	"slices"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// powerFailure ends all processes and all calls, which have no late effect. Changes of
// objects that are lazy are lost, or some of them.
func (w *World) powerFailure(d *dice) {
	w.drop(func(c *call) bool { return !slices.Contains(w.processes, c.process) })
	for _, p := range w.processes {
		w.stop(p, false)
	}
	outcome := drivertest.SomeLost(d.below(1 << 20))
	if d.one(3) {
		outcome = drivertest.AllLost
	}
	w.memory = w.memory.PowerFailure(outcome)
	w.check.restarted()
}

// restarted requires that rows and InReleases name only objects that are there after a
// power failure. An InRelease may be the one before.
func (c *checker) restarted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memory = c.w.memory
	c.lists.Chunks.Blobs = c.w.memory.Blobs
	c.needs("the power has failed")
	for _, key := range c.publications() {
		p := c.heads[key].publication
		root := rootOf(p)
		delete(c.trees, root)
		c.lives[root]++
		if data := c.read(root + "InRelease"); data != nil && !p.Dropping {
			c.published(root+"InRelease", data)
		}
	}
}

// publications returns the keys of the rows of publications, sorted.
func (c *checker) publications() []driver.Key {
	var all []driver.Key
	for key, h := range c.heads {
		if h.publication != nil {
			all = append(all, key)
		}
	}
	slices.SortFunc(all, func(a, b driver.Key) int { return compareKeys(a, b) })
	return all
}

// names reports whether the row of a publication names an object as its manifest.
func (c *checker) names(manifest string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.publications(), func(key driver.Key) bool { return c.heads[key].publication.Manifest == manifest })
}

package gc

import (
	"context"
	"errors"
	"fmt"

	"aptless/core/engine/task"
)

const (
	// maxDead bounds the dead items in memory between two removals.
	maxDead = 100_000
	// page is the minimal number of listed items per slice.
	page = 256
)

// sweep sweeps area by area: it lists an area, then removes the dead items. At
// maxDead items it removes them, and continues the listing. It starts at the
// cursor.
func (c *collection) sweep(ctx context.Context) error {
	for c.at.Area < len(c.Areas) {
		area := &c.Areas[c.at.Area]
		if err := c.load(ctx); err != nil {
			return err
		}
		if !c.at.Listed {
			if err := c.list(ctx, area); err != nil {
				return fmt.Errorf("%s: %w", area.Name, err)
			}
		}
		if c.dry {
			c.at.Found = append(c.at.Found, Found{area.Name, c.at.Count, c.at.Bytes})
			c.at.Bytes = 0
		}
		if err := c.removeDead(ctx, area); err != nil {
			return fmt.Errorf("%s: %w", area.Name, err)
		}
		c.dead, c.stored, c.at.Next, c.at.Listed = nil, false, 0, false
		c.discard(&c.at.Dead)
		if c.at.Resume != "" {
			c.at.At, c.at.Resume = c.at.Resume, ""
			continue
		}
		c.at.Area, c.at.At, c.at.Told, c.at.Counted, c.at.Count = c.at.Area+1, "", false, false, 0
	}
	return nil
}

// list finds the dead items of an area. The first listing counts all of them.
func (c *collection) list(ctx context.Context, area *Area) error {
	if !c.at.Told && area.Listing != "" {
		c.attempt.Printf("%s", area.Listing)
	}
	c.at.Told = true
	n, most := 0, c.held
	if most == 0 {
		most = maxDead
	}
	asks := &Sweep{c.at.Epoch, c.Now, c.Table, c.Tasks, c.marks, c.foreign}
	for item, err := range area.Items(ctx, asks, c.at.At) {
		if err != nil {
			return err
		}
		c.at.At = item.At
		if full := len(c.dead) >= most; c.isDead(item) {
			if full && c.at.Resume == "" {
				c.at.Resume = c.dead[len(c.dead)-1].At
			}
			if full && c.at.Counted {
				break
			}
			if !c.at.Counted {
				c.at.Count++
			}
			c.hold(item, full)
		}
		if n++; n%page == 0 {
			if err := c.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	c.at.Listed = true
	if !c.at.Counted {
		c.at.Counted = true
		c.tell(area)
	}
	return nil
}

// hold keeps a dead item for its removal, unless the buffer is full. A dry run keeps none.
func (c *collection) hold(item Item, full bool) {
	if c.dry {
		c.at.Bytes += item.Size
	} else if !full {
		c.dead, c.stored = append(c.dead, item), false
	}
}

// foreign reports an object that aptless did not store, in the first listing
// only.
func (c *collection) foreign(key string) {
	if c.at.Counted {
		return
	}
	c.at.Foreign++
	if len(c.at.Strange) < maxStrange {
		c.at.Strange = append(c.at.Strange, key)
	}
}

// isDead reports whether an item is not needed.
func (c *collection) isDead(item Item) bool {
	if item.Live || item.Dead {
		return !item.Live
	}
	return item.Name == "" || !c.marks.has(item.Name)
}

// tell prints the number of items to remove.
func (c *collection) tell(area *Area) {
	if area.Deleting != "" {
		c.attempt.Printf(area.Deleting, c.at.Count)
	}
	if area.Shown {
		c.at.Detail = detail{c.at.Count, c.at.Count}
		c.attempt.Detail(c.at.Detail)
	}
}

// removeDead removes the dead items in batches, at least one per slice.
func (c *collection) removeDead(ctx context.Context, area *Area) error {
	for c.at.Next < len(c.dead) {
		n := min(len(c.dead)-c.at.Next, area.batch(c.dead[c.at.Next]))
		batch := c.dead[c.at.Next : c.at.Next+n]
		removed, err := c.remove(ctx, area, batch)
		if err != nil {
			return err
		}
		for _, item := range removed {
			c.at.Freed += item.Size
		}
		c.at.Next += n
		if area.Shown {
			c.at.Detail.RemainingNumberOfPackagesToDelete -= n
			c.attempt.Detail(c.at.Detail)
		}
		if err := c.checkpoint(ctx); err != nil {
			return err
		}
	}
	return nil
}

// load reads the dead items of an earlier slice.
func (c *collection) load(ctx context.Context) error {
	if c.dead != nil || c.at.Dead.Key == "" {
		return nil
	}
	data, err := c.at.Dead.read(ctx, c.Blobs)
	if errors.Is(err, errDamaged) {
		return task.Fail(500, "%w", err)
	}
	if err != nil {
		return err
	}
	c.dead, err = decodeItems(data)
	c.stored = true
	return err
}

package files

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// Transaction is the transaction of a task: a task.Attempt.
type Transaction interface {
	GetJSON(ctx context.Context, key driver.Key, v any) error
	PutJSON(key driver.Key, v any)
	Drop(key driver.Key)
}

// Inventory is the inventories of a prefix, as a task sees and changes them. The task
// holds the locks of the areas that it uses. Changes are seen at once by Look, and
// are stored by the transaction into which Flush puts them.
type Inventory struct {
	Store *Store
	Dist  paths.Dist // of the publication that the task changes
	Tx    Transaction

	areas map[string]*area
}

// open returns the inventory of an area. It is read when the task first uses it. Rows of
// earlier releases are moved into it before.
func (inv *Inventory) open(ctx context.Context, name string) (*area, error) {
	if a := inv.areas[name]; a != nil {
		return a, nil
	}
	a := &area{store: inv.Store, dist: inv.Dist, name: name, edits: map[string]sum{}}
	row, err := inv.Store.Table.Get(ctx, inv.Dist.InventoryRow(name))
	if err == nil {
		a.version = row.Version
		err = decodeRow(row, &a.row)
	}
	if errors.Is(err, driver.ErrNotFound) || err == nil && a.row.Moving {
		err = a.move(ctx)
	}
	if err == nil {
		err = a.read(ctx)
	}
	if err != nil {
		return nil, err
	}
	if inv.areas == nil {
		inv.areas = map[string]*area{}
	}
	inv.areas[name] = a
	return a, nil
}

// Look calls found for each of n paths that the inventory has. name returns the path
// with a number. Paths ascend.
func (inv *Inventory) Look(ctx context.Context, n int, name func(int) string, found func(i int, sha256 lists.Digest)) error {
	byArea := map[string][]int{}
	for i := range n {
		at := paths.AreaOf(name(i))
		byArea[at] = append(byArea[at], i)
	}
	for _, at := range slices.Sorted(maps.Keys(byArea)) {
		a, err := inv.open(ctx, at)
		if err != nil {
			return err
		}
		if err := a.look(ctx, byArea[at], name, found); err != nil {
			return err
		}
	}
	return nil
}

// files returns the files of areas by their paths, as they are stored.
func (inv *Inventory) files(ctx context.Context, areas []string) (map[string]sum, error) {
	files := map[string]sum{}
	for _, name := range areas {
		a, err := inv.open(ctx, name)
		if err != nil {
			return nil, err
		}
		for r, err := range a.list.All(ctx) {
			if err != nil {
				return nil, err
			}
			if files[string(r.Key)], err = entry(r); err != nil {
				return nil, err
			}
		}
		for name, s := range a.recent {
			files[name] = s
			if s == (sum{}) {
				delete(files, name)
			}
		}
	}
	return files, nil
}

// Entries returns those of some paths that the inventory has. The paths ascend.
func (inv *Inventory) Entries(ctx context.Context, names []string) (map[string]deb.File, error) {
	files := map[string]deb.File{}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !paths.InPool(name) })
	err := inv.Look(ctx, len(names), func(i int) string { return names[i] }, func(i int, has lists.Digest) {
		files[names[i]] = deb.File{SHA256: has.String()}
	})
	return files, err
}

// set has a path name a file.
func (inv *Inventory) set(ctx context.Context, name string, sha256 sum) error {
	a, err := inv.open(ctx, paths.AreaOf(name))
	if err == nil {
		a.edits[name], a.ready = sha256, nil
	}
	return err
}

// remove removes a path.
func (inv *Inventory) remove(ctx context.Context, name string) error {
	return inv.set(ctx, name, sum{})
}

// Prepare makes the lists of all changes so far. A Flush that finds the rows unchanged
// uses them. Until then no other method is called.
func (inv *Inventory) Prepare(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(inv.areas)) {
		a := inv.areas[name]
		if len(a.edits) == 0 {
			continue
		}
		list := a.list
		next, err := a.merge(ctx)
		if err != nil {
			return err
		}
		a.ready = &prepared{from: a.row, settled: len(a.settled), next: next, list: a.list}
		a.list = list
	}
	return nil
}

// Flush puts all changes so far into the transaction.
func (inv *Inventory) Flush(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(inv.areas)) {
		a := inv.areas[name]
		if len(a.edits) == 0 && len(a.settled) == 0 {
			continue
		}
		if err := inv.flush(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (inv *Inventory) flush(ctx context.Context, a *area) error {
	key := inv.Dist.InventoryRow(a.name)
	a.row = inventoryRow{}
	if err := inv.Tx.GetJSON(ctx, key, &a.row); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	err := a.read(ctx)
	if err != nil {
		return err
	}
	was := a.row
	if ready := a.ready; ready != nil && ready.settled == len(a.settled) && reflect.DeepEqual(ready.from, was) {
		a.row, a.list = ready.next, ready.list
	} else if a.row, err = a.merge(ctx); err != nil {
		return err
	}
	a.ready = nil
	clear(a.edits)
	a.settled = nil
	switch {
	case a.row.List == was.List && len(a.row.Forced) == len(was.Forced) && maps.Equal(a.row.Recent, was.Recent):
	case a.row.List.Count+len(a.row.Recent)+len(a.row.Forced) == 0 && !a.row.Moving:
		inv.Tx.Drop(key)
	default:
		inv.Tx.PutJSON(key, a.row)
	}
	return a.read(ctx)
}

// Forced returns the IDs of other publications that may have replaced files of the areas
// before a commit. Their staging has to be undone first, then Settle.
func (inv *Inventory) Forced(ctx context.Context, areas []string) (ids []string, err error) {
	for _, name := range areas {
		a, err := inv.open(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, id := range a.row.Forced {
			if id != inv.Dist.ID() && !slices.Contains(a.settled, id) && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// Settle has the next Flush remove the mark of a publication from open areas: the
// inventory names the files that the areas have.
func (inv *Inventory) Settle(id string) {
	for _, a := range inv.areas {
		if slices.Contains(a.row.Forced, id) {
			a.settled = append(a.settled, id)
		}
	}
}

// forcedBy reports whether a publication may have replaced files of an area before a
// commit.
func (inv *Inventory) forcedBy(ctx context.Context, area, id string) (bool, error) {
	a, err := inv.open(ctx, area)
	return err == nil && slices.Contains(a.row.Forced, id), err
}

// force marks areas, in a fenced write of its own, before files are replaced. The
// transaction must not have read their rows.
func (inv *Inventory) force(ctx context.Context, areas []string) error {
	id := inv.Dist.ID()
	for _, name := range areas {
		a, err := inv.open(ctx, name)
		if err != nil {
			return err
		}
		if slices.Contains(a.row.Forced, id) {
			continue
		}
		next := a.row
		next.Forced = append(slices.Clone(next.Forced), id)
		if err := a.write(ctx, next); err != nil {
			return err
		}
	}
	return nil
}

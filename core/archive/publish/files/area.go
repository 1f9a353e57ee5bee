package files

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
)

// sum is a SHA-256.
type sum = lists.Digest

// sumOf reads a SHA-256 in hexadecimal digits.
func sumOf(sha256 string) (s sum, err error) {
	if err = s.UnmarshalText([]byte(sha256)); err == nil && s == (sum{}) {
		err = fmt.Errorf("no SHA-256: %w", lists.ErrDamaged)
	}
	return s, err
}

// inventoryRow is the row of an area's inventory. There is no row for an empty inventory
// without marks.
type inventoryRow struct {
	List lists.Ref // path below the root → SHA-256, 32 bytes
	// Recent are the last changes of the list, which List has not: SHA-256 by path, ""
	// of a path that is removed. A small change so writes no object.
	Recent map[string]string `json:",omitempty"`
	// Forced are the IDs of publications that may have replaced files before a commit.
	Forced []string `json:",omitempty"`
	// Moving says that rows of earlier releases are left, which List has.
	Moving bool `json:",omitempty"`
}

// area is the inventory of an area.
type area struct {
	store   *Store
	dist    paths.Dist
	name    string
	row     inventoryRow
	version string
	list    *lists.List
	recent  map[string]sum // of row; the zero sum is a path that is removed
	edits   map[string]sum // of the task; the zero sum removes the path
	settled []string       // IDs that Flush removes from Forced
	ready   *prepared      // of all edits; nil if there is none
}

// prepared is the row after the changes of a task, and its list.
type prepared struct {
	from    inventoryRow // before the changes
	settled int          // number of area.settled
	next    inventoryRow
	list    *lists.List
}

// schema is that of inventories.
func schema() lists.Schema { return lists.Schema{} }

func decodeRow(row driver.Row, to *inventoryRow) error {
	if err := json.Unmarshal(row.Data, to); err != nil {
		return fmt.Errorf("%s: %w", row.Key, err)
	}
	return nil
}

// read opens the list of the row.
func (a *area) read(ctx context.Context) (err error) {
	a.recent = make(map[string]sum, len(a.row.Recent))
	for name, sha256 := range a.row.Recent {
		var s sum
		if err := s.UnmarshalText([]byte(sha256)); err != nil {
			return fmt.Errorf("%s: %q: %w", a.dist.InventoryRow(a.name), name, err)
		}
		a.recent[name] = s
	}
	if a.list == nil || a.list.Ref() != a.row.List {
		a.list, err = a.store.Lists.Chunks.Open(ctx, a.row.List)
	}
	return err
}

// edited returns the entry that the task has made of a path, or the last changes.
func (a *area) edited(name string) (s sum, ok bool) {
	if s, ok = a.edits[name]; !ok {
		s, ok = a.recent[name]
	}
	return s, ok
}

// InventoryRoots returns the list that the row of an inventory needs.
func InventoryRoots(data []byte) ([]lists.Ref, error) {
	var row inventoryRow
	err := json.Unmarshal(data, &row)
	return []lists.Ref{row.List}, err
}

// look calls found for each of the wanted paths that the area has.
func (a *area) look(ctx context.Context, wanted []int, name func(int) string, found func(int, sum)) error {
	if len(a.edits)+len(a.recent) > 0 {
		wanted = slices.DeleteFunc(wanted, func(i int) bool {
			edit, ok := a.edited(name(i))
			if ok && edit != (sum{}) {
				found(i, edit)
			}
			return ok
		})
	}
	if a.list.Count() == 0 {
		return nil
	}
	keys := make([][]byte, len(wanted))
	for k, i := range wanted {
		keys[k] = []byte(name(i))
	}
	k := 0
	for r, err := range a.list.Find(ctx, keys) {
		if err != nil {
			return err
		}
		for !bytes.Equal(keys[k], r.Key) {
			k++
		}
		has, err := entry(r)
		if err != nil {
			return err
		}
		found(wanted[k], has)
	}
	return nil
}

// entry returns the SHA-256 of a record.
func entry(r lists.Record) (s sum, err error) {
	if copy(s[:], r.Val) != len(s) || len(r.Val) != len(s) {
		return s, fmt.Errorf("inventory entry %.100q has %d bytes: %w", r.Key, len(r.Val), lists.ErrDamaged)
	}
	return s, nil
}

// maxRecent bounds the paths and digests of inventoryRow.Recent, in bytes.
const maxRecent = 2048

// merge returns the row with all changes. They are few in Recent, and many in a new list.
func (a *area) merge(ctx context.Context) (inventoryRow, error) {
	next := inventoryRow{List: a.row.List, Moving: a.row.Moving}
	for _, id := range a.row.Forced {
		if !slices.Contains(a.settled, id) {
			next.Forced = append(next.Forced, id)
		}
	}
	all := maps.Clone(a.recent)
	maps.Copy(all, a.edits)
	size, removed := 0, 0
	recent := map[string]string{}
	for name, s := range all {
		if s == (sum{}) && a.row.List.Count == 0 {
			continue
		}
		if s == (sum{}) {
			removed++
		}
		recent[name] = s.String()
		size += len(name) + len(recent[name])
	}
	if size <= maxRecent && (removed == 0 || removed < a.row.List.Count) {
		next.Recent = recent
		return next, nil
	}
	list, err := a.store.Lists.Chunks.Edit(ctx, schema(), a.list, changes(all))
	if err != nil {
		return next, err
	}
	a.list, next.List = list, list.Ref()
	return next, nil
}

// changes yields the edits of a list.
func changes(edits map[string]sum) iter.Seq2[lists.Edit, error] {
	return func(yield func(lists.Edit, error) bool) {
		for _, name := range slices.Sorted(maps.Keys(edits)) {
			edit := lists.Delete([]byte(name))
			if s := edits[name]; s != (sum{}) {
				edit = lists.Put([]byte(name), s[:])
			}
			if !yield(edit, nil) {
				return
			}
		}
	}
}

// write writes the row in a fenced write.
func (a *area) write(ctx context.Context, next inventoryRow) error {
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	version, err := a.store.Write(ctx, driver.Op{Do: driver.OpPut, Key: a.dist.InventoryRow(a.name), If: a.version, Data: data})
	if err == nil {
		a.row, a.version = next, version
	}
	return err
}

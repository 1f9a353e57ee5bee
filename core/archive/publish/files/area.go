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
	edits   map[string]sum // by path; the zero sum removes it
	settled []string       // IDs that Flush removes from Forced
}

// schema is that of inventories.
func schema() lists.Schema { return lists.Schema{} }

func decodeRow(row driver.Row, to *inventoryRow) error {
	if err := json.Unmarshal(row.Data, to); err != nil {
		return fmt.Errorf("%s: %w", row.Key, err)
	}
	return nil
}

// InventoryRoots returns the list that the row of an inventory needs.
func InventoryRoots(data []byte) ([]lists.Ref, error) {
	var row inventoryRow
	err := json.Unmarshal(data, &row)
	return []lists.Ref{row.List}, err
}

// look calls found for each of the wanted paths that the area has.
func (a *area) look(ctx context.Context, wanted []int, name func(int) string, found func(int, sum)) error {
	if len(a.edits) > 0 {
		wanted = slices.DeleteFunc(wanted, func(i int) bool {
			edit, ok := a.edits[name(i)]
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

// changes yields the edits of a list.
func (a *area) changes() iter.Seq2[lists.Edit, error] {
	return func(yield func(lists.Edit, error) bool) {
		for _, name := range slices.Sorted(maps.Keys(a.edits)) {
			edit := lists.Delete([]byte(name))
			if s := a.edits[name]; s != (sum{}) {
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

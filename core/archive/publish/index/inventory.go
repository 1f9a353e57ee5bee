package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"aptless/core/engine/driver"
)

// maxInventory bounds an inventory, in bytes.
const maxInventory = 64 << 20

func inventoryKey(folder string, n int) string { return fmt.Sprintf("%s/inventory-%d.json", folder, n) }

// Expect notes keys of the public tree that are about to be written.
func (st *Stager) Expect(keys ...string) {
	if !st.Inventory {
		return
	}
	if st.listed == nil {
		st.listed = map[string]bool{}
	}
	for _, key := range keys {
		if !st.listed[key] {
			st.listed[key] = true
			st.unlisted = append(st.unlisted, key)
		}
	}
}

// List writes the expected keys to an inventory. It comes before the first write
// of any of them, so an attempt that fails leaves no object that is not listed. The
// inventory is durable when List returns: a power failure must not leave an object
// without it.
func (st *Stager) List(ctx context.Context) error {
	if len(st.unlisted) == 0 {
		return nil
	}
	data, err := json.Marshal(st.unlisted)
	if err != nil {
		return err
	}
	if err := st.Put(driver.Durably(ctx), inventoryKey(st.Folder, st.inventories+1), data); err != nil {
		return err
	}
	st.inventories, st.unlisted = st.inventories+1, nil
	return nil
}

// IsInventory reports whether a key is that of an inventory.
func IsInventory(key string) bool { return strings.HasPrefix(path.Base(key), "inventory-") }

// Continue goes on after inventories that the attempt has written before.
func (st *Stager) Continue(inventories int) { st.inventories = inventories }

// Written is how many inventories the attempt has written.
func (st *Stager) Written() int { return st.inventories }

// Inventory returns the keys that the attempt with a folder has listed, and how
// many inventories it has.
func Inventory(ctx context.Context, blobs driver.Blobs, folder string) (keys []string, n int, err error) {
	for ; ; n++ {
		more, err := readInventory(ctx, blobs, inventoryKey(folder, n+1))
		if errors.Is(err, driver.ErrNotFound) {
			return keys, n, nil
		}
		if err != nil {
			return nil, 0, err
		}
		keys = append(keys, more...)
	}
}

func readInventory(ctx context.Context, blobs driver.Blobs, key string) (keys []string, err error) {
	r, _, err := blobs.Open(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := json.NewDecoder(io.LimitReader(r, maxInventory)).Decode(&keys); err != nil {
		return nil, fmt.Errorf("inventory %s: %w", key, err)
	}
	return keys, nil
}

// Temporary returns the keys of the private objects of an attempt that are of no
// use after it: the progress of slices, spools and inventories.
func Temporary(folder string, inventories int) []string {
	keys := []string{progressKey(folder)}
	for _, name := range []string{"plain", "gz", "bz2", "xz", "zst", "file", "appstream"} {
		keys = append(keys, folder+"/spool-"+name)
	}
	return append(keys, Inventories(folder, inventories)...)
}

// Inventories returns the keys of n inventories, the last first: as long as one
// is left, so are those before it.
func Inventories(folder string, n int) []string {
	var keys []string
	for ; n > 0; n-- {
		keys = append(keys, inventoryKey(folder, n))
	}
	return keys
}

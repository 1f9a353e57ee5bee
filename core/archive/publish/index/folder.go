package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"aptless/core/engine/driver"
)

// maxInventory bounds an inventory, in bytes.
const maxInventory = 64 << 20

// inventoryBase begins the names of inventories in a folder.
const inventoryBase = "inventory-"

func inventoryKey(folder string, n int) string {
	return fmt.Sprintf("%s/%s%d.json", folder, inventoryBase, n)
}

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
func IsInventory(key string) bool { return strings.HasPrefix(path.Base(key), inventoryBase) }

// Continue goes on after inventories that the attempt has written before.
func (st *Stager) Continue(inventories int) { st.inventories = inventories }

// Written is how many inventories the attempt has written.
func (st *Stager) Written() int { return st.inventories }

// Inventory returns the keys that the attempt with a folder has listed, and the number of
// its last inventory. Earlier ones may be gone: several are deleted at once, and a power
// failure may bring back any of them.
func Inventory(ctx context.Context, blobs driver.Blobs, folder string) (keys []string, last int, err error) {
	for info, err := range blobs.List(ctx, folder+"/"+inventoryBase, "") {
		if err != nil {
			return nil, 0, err
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(path.Base(info.Key), inventoryBase), ".json"))
		if err != nil {
			continue
		}
		more, err := readInventory(ctx, blobs, info.Key)
		if errors.Is(err, driver.ErrNotFound) { // a late call has deleted it
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		keys, last = append(keys, more...), max(last, n)
	}
	return keys, last, nil
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
	for _, name := range []string{"plain-1", "gz-1", "bz2-1", "xz-1", "zst-1"} { // of the second of two indexes
		keys = append(keys, folder+"/spool-"+name)
	}
	return append(keys, Inventories(folder, inventories)...)
}

// Inventories returns the keys of n inventories, the last first.
func Inventories(folder string, n int) []string {
	var keys []string
	for ; n > 0; n-- {
		keys = append(keys, inventoryKey(folder, n))
	}
	return keys
}

func progressKey(folder string) string { return folder + "/progress.json" }

// maxProgress bounds a progress, in bytes.
const maxProgress = 256 << 20

// SaveProgress writes a progress to the folder of the attempt, and returns its key.
func (st *Stager) SaveProgress(ctx context.Context, p Progress) (key string, err error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return progressKey(st.Folder), st.Put(ctx, progressKey(st.Folder), data)
}

// ReadProgress reads the progress with a key.
func ReadProgress(ctx context.Context, blobs driver.Blobs, key string) (Progress, error) {
	var p Progress
	r, _, err := blobs.Open(ctx, key, nil)
	if err != nil {
		return p, err
	}
	defer r.Close()
	if err := json.NewDecoder(io.LimitReader(r, maxProgress)).Decode(&p); err != nil {
		return p, fmt.Errorf("progress %s: %w", key, err)
	}
	for i := range p.Indexes {
		for _, f := range p.Indexes[i].files() {
			if err := f.Check(); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// pause ends the slice if its time is over. made is how far this slice has come.
func (st *Stager) pause(ctx context.Context, made Progress) error {
	if st.OutOfTime == nil || !st.OutOfTime() {
		return nil
	}
	return st.Pause(ctx, made)
}

// over returns the last set with the indexes of earlier slices in the place of
// its own. An index that an earlier slice has staged costs no request then.
func (p Progress) over(base *Set) *Set {
	if len(p.Indexes) == 0 {
		return base
	}
	with := *base
	with.Indexes = slices.Clone(p.Indexes)
	for _, x := range base.Indexes {
		if !slices.ContainsFunc(p.Indexes, func(y Index) bool { return y.Path == x.Path }) {
			with.Indexes = append(with.Indexes, x)
		}
	}
	return &with
}

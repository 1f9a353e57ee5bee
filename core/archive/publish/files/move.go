package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// Earlier releases had a row for each published package file. Its data is the SHA-256
// of the file, and a mark while the object was replaced or removed.
const oldReplacing = " replacing"

// moveRows is how many old rows a transaction removes.
const moveRows = driver.MaxOps

// move moves the old rows of an area into its inventory. A row of the inventory that has
// Moving set names all of them already, and the rows go last. So a crash at any point
// leaves the old rows, or both.
func (a *area) move(ctx context.Context) error {
	if !a.row.Moving {
		list, err := a.oldFiles(ctx)
		if err != nil {
			return err
		}
		if list.Count() > 0 {
			if err := a.write(ctx, inventoryRow{List: list.Ref(), Moving: true}); err != nil {
				return err
			}
		}
	}
	if err := a.removeOld(ctx); err != nil || !a.row.Moving {
		return err
	}
	return a.write(ctx, inventoryRow{List: a.row.List, Recent: a.row.Recent, Forced: a.row.Forced})
}

// oldFiles stores the list of the files that old rows name. It ends a replacement that
// was interrupted.
func (a *area) oldFiles(ctx context.Context) (*lists.List, error) {
	files := map[string]sum{}
	for row, err := range a.oldRows(ctx) {
		if err != nil {
			return nil, err
		}
		if !paths.InPool(row.Sort) || paths.AreaOf(row.Sort) != a.name {
			continue
		}
		sha256, mark, marked := strings.Cut(string(row.Data), " ")
		s, err := sumOf(sha256)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.Key, err)
		}
		if marked && " "+mark == oldReplacing {
			err := a.store.bring(ctx, a.dist, row.Sort, deb.File{SHA256: sha256}, deb.Binary)
			if errors.Is(err, driver.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		files[row.Sort] = s
	}
	return a.store.Lists.Chunks.Build(ctx, schema(), records(files))
}

// records yields files as the records of an inventory.
func records(files map[string]sum) iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			s := files[name]
			if !yield(lists.Record{Key: []byte(name), Val: s[:]}, nil) {
				return
			}
		}
	}
}

// oldRows yields the old rows of the prefix.
func (a *area) oldRows(ctx context.Context) iter.Seq2[driver.Row, error] {
	return a.store.Table.Scan(ctx, a.dist.OldPoolPart(), "")
}

// removeOld removes the old rows of an area, and those of installers: their files are in
// no inventory.
func (a *area) removeOld(ctx context.Context) error {
	var ops []driver.Op
	for row, err := range a.oldRows(ctx) {
		if err != nil {
			return err
		}
		if !paths.InPool(row.Sort) || paths.AreaOf(row.Sort) == a.name {
			ops = append(ops, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
		}
	}
	parts := slices.Collect(slices.Chunk(ops, moveRows))
	return parallel.Each(ctx, maxParallel, len(parts), func(ctx context.Context, i int) error {
		_, err := a.store.Table.Write(ctx, parts[i]...)
		return err
	})
}

package transfer

import (
	"context"
	"fmt"
	"iter"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
)

// strayFor is the minimal age of the objects of an export without a row. An attempt puts
// them, and writes the row at once.
const strayFor = 24 * time.Hour

// Areas returns the objects of exports for the collector. An attempt that was overtaken
// may put objects that no row names. Example: the next attempt has ended the task, and a
// client has removed the export.
func (s *Store) Areas() []gc.Area {
	return []gc.Area{{Name: "exports", Items: s.exportItems}}
}

// exportItems yields the objects of exports. One goes if it is a day old and no row names
// it. Rows are read after the listing. So an old object has its row by then, or never
// gets one.
func (s *Store) exportItems(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		var found []driver.Info
		for info, err := range s.Blobs.List(ctx, exportPrefix, after) {
			if err != nil {
				yield(gc.Item{}, err)
				return
			}
			if _, _, ok := attemptOf(info.Key); !ok {
				sweep.Foreign(info.Key)
			} else {
				found = append(found, info)
			}
		}
		if len(found) == 0 {
			return
		}
		named := map[string]bool{}
		for row, err := range s.Table.Scan(ctx, ExportPart, "") {
			var e exported
			if err == nil {
				if e, err = exportOf(row.Data); err != nil {
					err = fmt.Errorf("export %s: %w", row.Sort, err)
				}
			}
			if err != nil {
				yield(gc.Item{}, err)
				return
			}
			named[e.blob()] = true
		}
		for _, info := range found {
			live := named[info.Key] || sweep.Now().Sub(info.ModTime) <= strayFor
			if !yield(gc.Item{At: info.Key, Object: info.Key, Size: info.Size, Live: live}, nil) {
				return
			}
		}
	}
}

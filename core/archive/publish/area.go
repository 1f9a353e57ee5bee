package publish

import (
	"context"
	"encoding/json"
	"iter"
	"path"
	"slices"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/gc"
)

// Area is the part of the storage that publications offer to the collector: what
// attempts have staged. A folder is kept that a row names, and one of a task that
// may still commit it.
func (s *Store) Area() gc.Area {
	return gc.Area{Name: "staged publications", Items: s.staged}
}

// staged yields the staged objects. The order of the reads matters. An object that
// was listed is of a task that is busy now, or of one that has ended. What that one
// has committed is in the rows read next.
func (s *Store) staged(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		var items []gc.Item
		for info, err := range s.Blobs.List(ctx, paths.PrivatePrefix, after) {
			if err != nil {
				yield(gc.Item{}, err)
				return
			}
			items = append(items, gc.Item{At: info.Key, Object: info.Key})
		}
		if len(items) == 0 {
			return
		}
		busy, err := sweep.Busy(ctx)
		var kept map[string]bool
		if err == nil {
			kept, err = s.keptFolders(ctx, sweep)
		}
		if err != nil {
			yield(gc.Item{}, err)
			return
		}
		for _, item := range items {
			folder, id, ok := paths.StagedBy(item.Object)
			if !ok {
				sweep.Foreign(item.Object)
			}
			item.Live = !ok || busy[id] || kept[folder]
			if !yield(item, nil) {
				return
			}
		}
	}
}

// keptFolders returns the folders that rows name: of publications, of those whose
// removal is owed, and of attempts that are not undone yet.
func (s *Store) keptFolders(ctx context.Context, sweep *gc.Sweep) (map[string]bool, error) {
	kept := map[string]bool{}
	for _, part := range []string{paths.Row("").Part, RemovalPart} {
		for row, err := range sweep.Heads(ctx, part) {
			if err != nil {
				return nil, err
			}
			p, err := decode(row)
			if err != nil {
				return nil, err
			}
			for _, manifest := range []string{p.Manifest, p.Old} {
				if manifest != "" {
					kept[path.Dir(manifest)] = true
				}
			}
			for _, rev := range slices.Concat(p.Revisions, p.Forgotten) {
				kept[path.Dir(rev.Manifest)] = true
			}
		}
	}
	for row, err := range sweep.Heads(ctx, StagingPart) {
		if err != nil {
			return nil, err
		}
		var st staging
		if err := json.Unmarshal(row.Data, &st); err != nil {
			return nil, err
		}
		for _, folder := range st.Folders {
			kept[folder] = true
		}
	}
	return kept, nil
}

package gc

import (
	"context"
	"iter"

	"aptless/core/engine/lists"
)

// ListArea is the area of lists' objects. Objects of earlier epochs without a
// head go. Such objects are never written again.
func ListArea(store *lists.Store) Area {
	return Area{Name: "lists", Items: func(ctx context.Context, s *Sweep, after string) iter.Seq2[Item, error] {
		return func(yield func(Item, error) bool) {
			for o, err := range store.Stored(ctx, after) {
				if err == nil && o.Epoch < 0 {
					s.Foreign(o.Key)
				}
				item := Item{At: o.Key, Name: o.Key, Object: o.Key, Live: o.Epoch < 0 || o.Epoch >= s.Epoch()}
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}}
}

package gc

import (
	"context"
	"iter"

	"aptless/core/engine/lists"
)

// ListArea is the area of the objects of lists. Those of earlier epochs go that no
// head has; nobody writes an object of an earlier epoch again.
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

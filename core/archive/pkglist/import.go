package pkglist

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"aptless/core/engine/lists"
)

// Import stores a list of another store here. Chunks that the given lists have are
// reused. The error matches lists.ErrDamaged unless each record is as this package
// writes it: so a foreign list cannot have two forms of one package.
func (s Store) Import(ctx context.Context, from *List, given ...*List) (*List, error) {
	return s.build(ctx, canonical(from.list.All(ctx)), given...)
}

// canonical yields records, and an error at the first that this package does not write.
func canonical(records iter.Seq2[lists.Record, error]) iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		for r, err := range records {
			if err == nil {
				err = checkRecord(r)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func checkRecord(r lists.Record) error {
	p, err := decodeValue(r.Val)
	if err != nil {
		return err
	}
	key, err := IndexKey(p)
	if err == nil && (!bytes.Equal(key, r.Key) || !bytes.Equal(recordValue(p), r.Val)) {
		err = fmt.Errorf("record of package %.300q: %w", p.String(), lists.ErrDamaged)
	}
	return err
}

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

// Choose stores the list of the packages of all lists whose package keys are wanted.
// Of packages with one short key, that of the first list counts. Chunks that the given
// lists have are reused. Records are copied and not decoded.
func (s Store) Choose(ctx context.Context, all []*List, wanted func(key string) bool, given ...*List) (*List, error) {
	return s.build(ctx, func(yield func(lists.Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		heads := make([]head, 0, len(all))
		for _, l := range all {
			next, stop := iter.Pull2(chosen(l.list.All(ctx), wanted))
			defer stop()
			heads = append(heads, head{next: next})
		}
		for i := range heads {
			heads[i].step()
		}
		for {
			first := -1
			for i := range heads {
				if heads[i].more && (first < 0 || heads[i].err != nil || bytes.Compare(heads[i].r.Key, heads[first].r.Key) < 0) {
					first = i
				}
			}
			if first < 0 {
				return
			}
			r, err := heads[first].r, heads[first].err
			if !yield(r, err) || err != nil {
				return
			}
			for i := range heads {
				if heads[i].more && bytes.Equal(heads[i].r.Key, r.Key) {
					heads[i].step()
				}
			}
		}
	}, given...)
}

// head is the next record of a list.
type head struct {
	next func() (lists.Record, error, bool)
	r    lists.Record
	err  error
	more bool
}

func (h *head) step() { h.r, h.err, h.more = h.next() }

// chosen yields the records whose package keys are wanted.
func chosen(records iter.Seq2[lists.Record, error], wanted func(key string) bool) iter.Seq2[lists.Record, error] {
	return func(yield func(lists.Record, error) bool) {
		for r, err := range records {
			var id identity
			if err == nil {
				id, err = parseRecord(r)
			}
			if err == nil && !wanted(id.key()) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

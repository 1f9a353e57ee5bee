package pool

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Packages yields all packages that have a record, in ascending byte order of
// their keys. It holds a package at a time and a page of rows of each partition.
func (s *Store) Packages(ctx context.Context) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		dec, err := newDecoder()
		if err != nil {
			yield(nil, err)
			return
		}
		defer dec.Close()
		for row, err := range s.rows(ctx) {
			var p *deb.Package
			var data []byte
			if err == nil {
				data, err = s.data(ctx, row)
			}
			if errors.Is(err, driver.ErrNotFound) {
				continue // removed meanwhile
			}
			if err == nil {
				if data, _, err = unpack(dec, data); err == nil {
					p, err = deb.DecodePackage(data)
				}
				if err != nil {
					err = fmt.Errorf("record of %s: %w", row.Sort, err)
				}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// rows yields the rows of all partitions, merged by their keys.
func (s *Store) rows(ctx context.Context) iter.Seq2[driver.Row, error] {
	type scan struct {
		row  driver.Row
		err  error
		next func() (driver.Row, error, bool)
	}
	return func(yield func(driver.Row, error) bool) {
		var scans []*scan // that are not at their end
		for n := range uint32(partitions) {
			next, stop := iter.Pull2(s.Table.Scan(ctx, recordPart(n), ""))
			defer stop()
			sc, ok := &scan{next: next}, false
			if sc.row, sc.err, ok = next(); ok {
				scans = append(scans, sc)
			}
		}
		for len(scans) > 0 {
			least := 0
			for i, sc := range scans {
				if sc.err != nil {
					yield(driver.Row{}, sc.err)
					return
				}
				if sc.row.Sort < scans[least].row.Sort {
					least = i
				}
			}
			sc, ok := scans[least], false
			if !yield(sc.row, nil) {
				return
			}
			if sc.row, sc.err, ok = sc.next(); !ok {
				scans = append(scans[:least], scans[least+1:]...)
			}
		}
	}
}

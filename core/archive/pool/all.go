package pool

import (
	"context"
	"errors"
	"iter"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// Packages yields all packages with a record, in ascending byte order of their
// keys. It holds one package, and one page of rows per partition.
func (s *Store) Packages(ctx context.Context) iter.Seq2[*deb.Package, error] {
	return s.After(ctx, "")
}

// After yields the packages of Packages whose key is above after. It reads no row
// before them.
func (s *Store) After(ctx context.Context, after string) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		for row, err := range s.rows(ctx, after) {
			var p *deb.Package
			if err == nil {
				p, err = s.packageOf(ctx, row)
			}
			if errors.Is(err, driver.ErrNotFound) {
				continue // the collector removed its object
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// packageOf reads the package from a record's row.
func (s *Store) packageOf(ctx context.Context, row driver.Row) (p *deb.Package, err error) {
	err = s.unpack(ctx, row, func(h recordHead) (err error) {
		p, err = deb.DecodePackage(h.pkg)
		return err
	})
	return p, err
}

// rows yields the rows above after of all partitions, merged by their keys.
func (s *Store) rows(ctx context.Context, after string) iter.Seq2[driver.Row, error] {
	type scan struct {
		row  driver.Row
		err  error
		next func() (driver.Row, error, bool)
	}
	return func(yield func(driver.Row, error) bool) {
		var scans []*scan // scans with rows left
		for n := range uint32(partitions) {
			next, stop := iter.Pull2(s.Table.Scan(ctx, recordPart(n), after))
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

package pool

import (
	"context"
	"errors"
	"iter"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/parallel"
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
		for row, err := range s.rows(ctx, Range{After: after}) {
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

// batchRows is the number of records that Matching reads together.
const (
	batchRows    = 512
	batchWorkers = 8
)

// Range bounds the packages of a search.
type Range struct {
	Name  string // the beginning of their names; "" is all names
	After string // a key below all of theirs; "" is none
}

// has reports whether the name in a key is in the range.
func (in Range) has(key string) bool {
	_, rest, _ := strings.Cut(key, " ")
	return strings.HasPrefix(rest, in.Name)
}

// Matching yields the packages in a range for which match is true. Only a part of each
// package is read for match, which is called concurrently. A match that needs a name or
// Provides unpacks the records of packages that match. It holds a batch of rows.
func (s *Store) Matching(ctx context.Context, in Range, part *deb.Part, match func(*deb.Package) bool) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		rows := make([]driver.Row, 0, batchRows)
		give := func() bool {
			found, err := s.matching(ctx, rows, part, match)
			if err != nil {
				yield(nil, err)
				return false
			}
			for _, p := range found {
				if p != nil && !yield(p, nil) {
					return false
				}
			}
			rows = rows[:0]
			return true
		}
		for row, err := range s.rows(ctx, in) {
			if err != nil {
				yield(nil, err)
				return
			}
			if rows = append(rows, row); len(rows) == batchRows && !give() {
				return
			}
		}
		give()
	}
}

// matching returns the packages of rows for which match is true, and nil for the others.
func (s *Store) matching(ctx context.Context, rows []driver.Row, part *deb.Part, match func(*deb.Package) bool) ([]*deb.Package, error) {
	found := make([]*deb.Package, len(rows))
	each, heads := (len(rows)+batchWorkers-1)/batchWorkers, part.OnlyProvides()
	err := parallel.Each(ctx, batchWorkers, batchWorkers, func(ctx context.Context, n int) error {
		for i := n * each; i < min((n+1)*each, len(rows)); i++ {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if heads {
				if p := headOf(rows[i].Sort, rows[i].Data); p != nil && !match(p) {
					continue
				}
			}
			err := s.unpack(ctx, rows[i], func(h recordHead) error {
				p, err := deb.DecodePart(h.pkg, part)
				if err == nil && match(p) {
					found[i], err = deb.DecodePackage(h.pkg)
				}
				return err
			})
			if err != nil && !errors.Is(err, driver.ErrNotFound) { // the collector removed its object
				return err
			}
		}
		return nil
	})
	if err == nil && ctx.Err() != nil { // match ended the context with the last rows
		err = context.Cause(ctx)
	}
	return found, err
}

// packageOf reads the package from a record's row.
func (s *Store) packageOf(ctx context.Context, row driver.Row) (p *deb.Package, err error) {
	err = s.unpack(ctx, row, func(h recordHead) (err error) {
		p, err = deb.DecodePackage(h.pkg)
		return err
	})
	return p, err
}

// within yields the rows of a partition that are in a range.
func (s *Store) within(ctx context.Context, part string, in Range) iter.Seq2[driver.Row, error] {
	rows := s.Table.Scan(ctx, part, in.After)
	if in.Name == "" {
		return rows
	}
	return func(yield func(driver.Row, error) bool) {
		for row, err := range rows {
			if (err != nil || in.has(row.Sort)) && !yield(row, err) {
				return
			}
		}
	}
}

// rows yields the rows in a range of all partitions, merged by their keys.
func (s *Store) rows(ctx context.Context, in Range) iter.Seq2[driver.Row, error] {
	type scan struct {
		row  driver.Row
		err  error
		next func() (driver.Row, error, bool)
	}
	return func(yield func(driver.Row, error) bool) {
		var scans []*scan // scans with rows left
		for n := range uint32(partitions) {
			next, stop := iter.Pull2(s.within(ctx, recordPart(n), in))
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

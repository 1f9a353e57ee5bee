package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"aptless/core/engine/driver"
)

// ErrForeign says that a directory or a file belongs to another owner.
var ErrForeign = errors.New("belongs to another owner")

func foreign(names ...string) error { return fmt.Errorf("%s %w", Path(names...), ErrForeign) }

// topOf returns the first part of a directory, which is claimed.
func topOf(dir string) string {
	top, _, _ := strings.Cut(dir, "/")
	return top
}

// sees reports whether the caller may use a file or a directory with a mark.
func (s *Store) sees(ctx context.Context, dir string, m Mark) (bool, error) {
	c := s.caller
	if c == nil || m.By == c.Owner || m.For == c.Owner {
		return true, nil
	}
	return c.Manages(ctx, topOf(dir))
}

// seesRow reports whether the caller may use the file or the directory of a row.
func (s *Store) seesRow(ctx context.Context, row driver.Row) (bool, error) {
	if s.caller == nil {
		return true, nil
	}
	m, err := markOf(row)
	if err != nil {
		return false, err
	}
	return s.sees(ctx, row.Sort, m)
}

func markOf(row driver.Row) (m Mark, err error) {
	if err = json.Unmarshal(row.Data, &m); err != nil {
		err = fmt.Errorf("row %s: %w", row.Key, err)
	}
	return m, err
}

// mark returns the mark of a new file or directory. The owner of the directory is that
// which MakeDir has found last.
func (s *Store) mark() Mark {
	c := s.caller
	if c == nil {
		return Mark{}
	}
	m := Mark{By: c.Owner, Token: c.Token, At: s.Now().UTC()}
	if s.claimed != c.Owner {
		m.For = s.claimed
	}
	return m
}

// claim makes a top directory for the caller. A directory that is there stays as it is.
// The error is ErrForeign if it belongs to another owner, and the caller does not manage
// it.
func (s *Store) claim(ctx context.Context, top string) error {
	for {
		row, err := s.Table.Get(ctx, dirKey(top))
		if err == nil {
			m, err := markOf(row)
			if err != nil {
				return err
			}
			s.claimed = m.By
			sees, err := s.sees(ctx, top, m)
			if err == nil && !sees {
				err = foreign(top)
			}
			return err
		}
		if !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		s.claimed = s.caller.Owner
		data, err := json.Marshal(s.mark())
		if err != nil {
			return err
		}
		_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: dirKey(top), If: driver.Absent, Data: data})
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
}

// own returns ErrForeign if a top directory belongs to another owner. A directory that
// is missing has no owner.
func (s *Store) own(ctx context.Context, top string) error {
	if s.caller == nil {
		return nil
	}
	row, err := s.Table.Get(ctx, dirKey(top))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	sees, err := s.seesRow(ctx, row)
	if err == nil && !sees {
		err = foreign(top)
	}
	return err
}

// above returns the parents of a directory, the nearest first.
func above(dir string) []string {
	var all []string
	for parent := path.Dir(dir); parent != "."; parent = path.Dir(parent) {
		all = append(all, parent)
	}
	return all
}

package auth

import (
	"aptless/core/engine/driver"
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Sweep removes the rows of tokens that ended 90 days ago, or 7 days if they are short.
// It revokes short tokens whose policy has changed, and removes the marks of ID tokens
// that have expired.
func (s *Store) Sweep(ctx context.Context) error {
	var live []stored // short tokens
	for t, err := range s.all(ctx) {
		if err != nil {
			return err
		}
		kept := keptEnded
		if t.Kind == Short {
			kept = keptShort
		}
		if t.Kind == Short && t.Ended(s.Now()) == "" {
			live = append(live, t)
		}
		if end := t.end(); end.IsZero() || s.Now().Sub(end) < kept {
			continue
		}
		if err := s.drop(ctx, t); err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return errors.Join(s.revokeVoid(ctx, live), s.sweepJTI(ctx))
}

// sweptDay is the row with the last day whose marks of ID tokens were removed.
type sweptDay struct{ Day time.Time }

// sweepJTI removes the marks of ID tokens that expired before yesterday. No such token
// is valid.
func (s *Store) sweepJTI(ctx context.Context) error {
	const day = 24 * time.Hour
	row, last := driver.Key{Part: "auth", Sort: "jti"}, s.Now().UTC().Truncate(day).Add(-2*day)
	at := sweptDay{last.Add(-day)}
	if found, err := s.Table.Get(ctx, row); err == nil {
		if err := json.Unmarshal(found.Data, &at); err != nil {
			return err
		}
	} else if !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if !at.Day.Before(last) {
		return nil
	}
	for at.Day.Before(last) {
		at.Day = at.Day.Add(day)
		for found, err := range s.Table.Scan(ctx, partJTI+at.Day.Format(time.DateOnly), "") {
			if err != nil {
				return err
			}
			_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: found.Key, If: found.Version})
			if err != nil && !errors.Is(err, driver.ErrConflict) {
				return err
			}
		}
	}
	data, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return s.Table.Put(ctx, driver.Row{Key: row, Data: data})
}

// drop removes the rows of a token and of its use. It removes the row of the name if
// the token is the newest of the name.
func (s *Store) drop(ctx context.Context, t stored) error {
	ops := []driver.Op{{Do: driver.OpDelete, Key: key(t.digest), If: t.version}}
	for _, k := range []driver.Key{{Part: partUses, Sort: t.ID}, {Part: partNames, Sort: t.Name}} {
		row, err := s.Table.Get(ctx, k)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		var n newest
		if k.Part == partNames && (json.Unmarshal(row.Data, &n) != nil || n.Digest != t.digest) {
			continue
		}
		ops = append(ops, driver.Op{Do: driver.OpDelete, Key: k, If: row.Version})
	}
	_, err := s.Table.Write(ctx, ops...)
	s.forget(t.digest)
	return err
}

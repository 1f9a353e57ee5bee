package simulation

import (
	"context"
	"iter"

	"aptless/core/engine/driver"
)

// table is the Table port of a process.
type table struct{ p *Process }

func (s table) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	return do(ctx, s.p, "Table.Get "+key.String(), false, func(inner context.Context, _ bool) (driver.Row, error) {
		row, err := s.p.world.memory.Table.Get(inner, key)
		if err == nil {
			read(ctx, row)
		}
		return row, err
	})
}

func (s table) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return pages(ctx, s.p, "Table.Scan "+part, after, func(inner context.Context, after string) iter.Seq2[driver.Row, error] {
		return s.p.world.memory.Table.Scan(inner, part, after)
	}, func(r driver.Row) string { return r.Sort })
}

func (s table) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	name := "Table.Write"
	switch {
	case len(ops) > 0 && ops[0].Do == driver.OpCheck: // a fence without a change is no write of its row
		name += " fence " + ops[0].Key.String()
	case len(ops) > 0:
		name += " " + ops[0].Key.String()
	}
	return do(ctx, s.p, name, true, func(inner context.Context, half bool) (string, error) {
		if half {
			return "", errFault
		}
		based := s.p.world.based(ctx, ops)
		kept := s.p.world.check.losing(ctx, ops, nil)
		version, err := s.p.world.memory.Table.Write(inner, ops...)
		if err == nil {
			if based != nil {
				s.p.world.fail("%v", based)
			}
			s.p.world.check.wrote(ctx, s.p, ops)
			kept()
		}
		return version, err
	})
}

func (s table) Put(ctx context.Context, rows ...driver.Row) error {
	name := "Table.Put"
	if len(rows) > 0 {
		name += " " + rows[0].Key.String()
	}
	_, err := do(ctx, s.p, name, true, func(inner context.Context, half bool) (struct{}, error) {
		some := rows
		if half {
			some = rows[:len(rows)/2]
		}
		return struct{}{}, s.p.world.memory.Table.Put(inner, some...)
	})
	return err
}

func (s table) Add(ctx context.Context, key driver.Key, delta int64) (int64, error) {
	return do(ctx, s.p, "Table.Add "+key.String(), true, func(inner context.Context, half bool) (int64, error) {
		if half {
			return 0, errFault
		}
		return s.p.world.memory.Table.Add(inner, key, delta)
	})
}

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"aptless/core/engine/driver"
)

// Bindings returns all bindings by name.
func (s *Store) Bindings(ctx context.Context) ([]Binding, error) {
	list := []Binding{}
	for row, err := range s.Table.Scan(ctx, partBindings, "") {
		var b Binding
		if err == nil {
			err = json.Unmarshal(row.Data, &b)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// Binding returns the binding of a name and the version of its row. An unknown name is
// refused with 404.
func (s *Store) Binding(ctx context.Context, name string) (b Binding, version string, err error) {
	row, err := s.Table.Get(ctx, bindingKey(name))
	if errors.Is(err, driver.ErrNotFound) {
		return b, driver.Absent, refuse(http.StatusNotFound, "no such binding")
	}
	if err == nil {
		err = json.Unmarshal(row.Data, &b)
	}
	return b, row.Version, err
}

// SetBinding makes or replaces the binding of a name. The operations of also are part of
// the transaction.
func (s *Store) SetBinding(ctx context.Context, by *Principal, b Binding, also func() []driver.Op) (Binding, error) {
	if b.Owner == "" {
		b.Owner = b.Name
	}
	if err := b.check(); err != nil {
		return b, refuse(http.StatusBadRequest, "%v", err)
	}
	b.Set, b.By = s.Now().UTC(), by.Label()
	data, err := json.Marshal(b)
	if err != nil {
		return b, err
	}
	if len(data) > maxRow {
		return b, refuse(http.StatusBadRequest, "the binding's row has %d bytes, of at most %d", len(data), maxRow)
	}
	return b, s.changeBinding(ctx, also, func() (driver.Op, error) {
		_, version, err := s.Binding(ctx, b.Name)
		if version == driver.Absent {
			var list []Binding
			if list, err = s.Bindings(ctx); err == nil && len(list) >= maxBindings {
				err = refuse(http.StatusConflict, "there are %d bindings, which is the most", len(list))
			}
		}
		return driver.Op{Do: driver.OpPut, Key: bindingKey(b.Name), If: version, Data: data}, err
	})
}

// RemoveBinding removes a binding and returns it.
func (s *Store) RemoveBinding(ctx context.Context, name string, also func() []driver.Op) (gone Binding, err error) {
	err = s.changeBinding(ctx, also, func() (driver.Op, error) {
		b, version, err := s.Binding(ctx, name)
		gone = b
		return driver.Op{Do: driver.OpDelete, Key: bindingKey(name), If: version}, err
	})
	return gone, err
}

// changeBinding writes an operation, which op makes again after a conflict.
func (s *Store) changeBinding(ctx context.Context, also func() []driver.Op, op func() (driver.Op, error)) error {
	for range attempts {
		var more []driver.Op
		if also != nil {
			more = also()
		}
		change, err := op()
		if err != nil {
			return err
		}
		_, err = s.Table.Write(ctx, append([]driver.Op{change}, more...)...)
		forgetLatest(s, &s.bound)
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return driver.ErrConflict
}

// recent returns all bindings. Memory answers for twice Fresh.
func (s *Store) recent(ctx context.Context) ([]Binding, error) {
	list, err := recallLatest(s, &s.bound, 2*s.Fresh, func() ([]Binding, error) { return s.Bindings(ctx) })
	if err != nil {
		return nil, unchecked()
	}
	return list, nil
}

// Bound returns the principal of a caller without a token, nil if no binding matches.
func (s *Store) Bound(ctx context.Context, kind Kind, ids ...Identity) (*Principal, error) {
	list, err := s.recent(ctx)
	if err != nil {
		return nil, err
	}
	if b, id := bind(list, kind, ids); b != nil {
		return b.principal(id), nil
	}
	return nil, nil
}

// Amazon returns the principal of a caller whose AWS credentials are verified. Without a
// binding it has the default role: Admin, or "" for no grant.
func (s *Store) Amazon(ctx context.Context, arn string, role Role) (*Principal, error) {
	p, err := s.Bound(ctx, IAM, Identity{"arn", arn})
	if p != nil || err != nil {
		return p, err
	}
	p = IAMPrincipal(arn)
	if role != Admin {
		p.Grants = nil
	}
	return p, nil
}

// Rebound reads the row of a binding and returns its present principal. A removed binding
// is refused with 403, and so is one that no longer matches an ARN.
func (s *Store) Rebound(ctx context.Context, kind Kind, name, identity string) (*Principal, error) {
	b, version, err := s.Binding(ctx, name)
	if version == driver.Absent {
		return nil, refuse(http.StatusForbidden, "the binding is gone")
	}
	if err != nil {
		return nil, err
	}
	for _, key := range matchKeys[kind] {
		if id := (Identity{key, identity}); b.Kind == kind && b.weight(id) > 0 {
			return b.principal(id), nil
		}
	}
	return nil, refuse(http.StatusForbidden, "the binding is for others")
}

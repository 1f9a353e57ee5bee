package auth

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"aptless/core/engine/driver"
)

// Mode is whether an installation has authentication.
type Mode struct {
	Mode  string // "closed"
	Since time.Time
}

const closed = "closed"

// Closed reports whether there is authentication.
func (m Mode) Closed() bool { return m.Mode == closed }

func modeKey() driver.Key { return driver.Key{Part: "auth", Sort: "state"} }

// Mode returns the mode that is stored. Without a row it is open.
func (s *Store) Mode(ctx context.Context) (Mode, error) {
	row, err := s.Table.Get(ctx, modeKey())
	if errors.Is(err, driver.ErrNotFound) {
		return Mode{}, nil
	}
	var m Mode
	if err == nil {
		err = json.Unmarshal(row.Data, &m)
	}
	return m, err
}

// Close begins authentication, which holds at every later start. The operations of also
// are part of the transaction. A closed installation stays as it is.
func (s *Store) Close(ctx context.Context, also ...driver.Op) error {
	m, err := s.Mode(ctx)
	if err != nil || m.Closed() {
		return err
	}
	data, err := json.Marshal(Mode{closed, s.Now().UTC()})
	if err != nil {
		return err
	}
	_, err = s.Table.Write(ctx, append([]driver.Op{{Do: driver.OpPut, Key: modeKey(), If: driver.Absent, Data: data}}, also...)...)
	return err
}

// Open ends authentication. The operations of also are part of the transaction. An open
// installation stays as it is.
func (s *Store) Open(ctx context.Context, also ...driver.Op) error {
	row, err := s.Table.Get(ctx, modeKey())
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.Table.Write(ctx, append([]driver.Op{{Do: driver.OpDelete, Key: modeKey(), If: row.Version}}, also...)...)
	return err
}

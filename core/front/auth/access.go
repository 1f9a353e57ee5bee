package auth

import (
	"context"
	"encoding/json"
	"errors"

	"aptless/core/engine/driver"
)

// Access reads which files are private.
func (s *Store) Access(ctx context.Context) (Private, error) {
	a := Private{Private: []string{}, Digests: digestsNeeded}
	row, err := s.Table.Get(ctx, accessKey())
	if errors.Is(err, driver.ErrNotFound) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(row.Data, &a)
	}
	a.Version = row.Version
	return a, err
}

// KnownAccess is Access as memory has it, for twice Fresh.
func (s *Store) KnownAccess(ctx context.Context) (Private, error) {
	a, err := recallLatest(s, &s.private, 2*s.Fresh, func() (Private, error) { return s.Access(ctx) })
	if err != nil {
		return a, unchecked()
	}
	return a, nil
}

func accessKey() driver.Key { return driver.Key{Part: "auth", Sort: "access"} }

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

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

// KnownAccess is Access as memory has it.
func (s *Store) KnownAccess(ctx context.Context) (Private, error) {
	s.mu.Lock()
	changes, now := s.changes, s.Now()
	if s.private != nil && (s.Fresh == 0 || now.Sub(s.privateAt) < 2*s.Fresh) {
		defer s.mu.Unlock()
		return *s.private, nil
	}
	s.mu.Unlock()
	a, err := s.Access(ctx)
	if err != nil {
		return a, &Error{Status: http.StatusServiceUnavailable, Text: "credentials cannot be checked now", Retry: 5 * time.Second}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if changes == s.changes {
		s.private, s.privateAt = &a, now
	}
	return a, nil
}

func accessKey() driver.Key { return driver.Key{Part: "auth", Sort: "access"} }

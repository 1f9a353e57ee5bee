package auth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"aptless/core/engine/driver"
)

// Revoke ends a token at once. A token that is revoked already stays as it is.
func (s *Store) Revoke(ctx context.Context, by *Principal, id string, also Also) (Token, error) {
	for range attempts {
		t, err := s.find(ctx, id)
		if err != nil || !t.Revoked.IsZero() {
			return t.Token, err
		}
		t.Revoked, t.RevokedBy = s.Now().UTC(), by.Label()
		put, err := putToken(&t.Token, t.digest, t.version)
		if err != nil {
			return Token{}, err
		}
		_, err = s.Table.Write(ctx, append(append([]driver.Op{put}, s.edgeToken(&t.Token, t.digest)...), also.ops(t.Token)...)...)
		s.forget(t.digest)
		if !errors.Is(err, driver.ErrConflict) {
			return t.Token, err
		}
	}
	return Token{}, driver.ErrConflict
}

// Rotate makes the successor of a token: it has the same name, owner, grants and length
// of life. The old token ends when the grace is over, or at its own expiry before. The
// grace is a number of hours or days, at most 30 days; "" is "24h".
func (s *Store) Rotate(ctx context.Context, by *Principal, id, grace string, also Also) (Made, error) {
	if grace == "" {
		grace = defaultGrace
	}
	rest, ok := duration(grace, maxGrace)
	if !ok && grace != "0h" {
		return Made{}, refuse(http.StatusBadRequest, "invalid Grace %.50q: a number of h or d, of at most 30d", grace)
	}
	secret := ""
	for range attempts {
		old, latest, version, err := s.rotated(ctx, id, secret)
		if err != nil || latest != nil {
			return Made{latest.get(), secret}, err
		}
		if secret == "" {
			secret = NewSecret(old.Kind)
		}
		next, ops, err := s.successor(by, &old, secret, rest)
		if err != nil {
			return Made{}, err
		}
		ops = append(ops, nameOp(old.Name, Digest(secret), version))
		ops = append(append(ops, s.edgeToken(&old.Token, old.digest)...), s.edgeToken(&next, Digest(secret))...)
		_, err = s.Table.Write(ctx, append(ops, also.ops(next)...)...)
		s.forget(old.digest)
		s.forget(Digest(secret))
		if !errors.Is(err, driver.ErrConflict) {
			return Made{next, secret}, err
		}
	}
	return Made{}, driver.ErrConflict
}

// rotated returns the token to be rotated, and the version of the row of its name.
// latest is nil unless that row names the token with the secret already. Example: the
// write before was committed, and its answer was lost.
func (s *Store) rotated(ctx context.Context, id, secret string) (old stored, latest *stored, version string, err error) {
	if old, err = s.find(ctx, id); err != nil {
		return old, nil, "", err
	}
	if old.Ended(s.Now()) != "" || old.Kind == Short {
		return old, nil, "", refuse(http.StatusConflict, "token %s cannot be rotated: it has ended or is short", id)
	}
	if latest, version, err = s.named(ctx, old.Name); err != nil || latest == nil {
		return old, nil, version, err
	}
	if secret != "" && latest.digest == Digest(secret) { // an answer was lost
		return old, latest, version, nil
	}
	if latest.digest != old.digest && latest.Ended(s.Now()) == "" {
		return old, nil, "", refuse(http.StatusConflict, "token %s was rotated to %s", id, latest.ID)
	}
	return old, nil, version, nil
}

// get returns the token; the zero Token for nil.
func (s *stored) get() Token {
	if s == nil {
		return Token{}
	}
	return s.Token
}

// successor returns the successor of old. The operations store it and end old after
// rest.
func (s *Store) successor(by *Principal, old *stored, secret string, rest time.Duration) (Token, []driver.Op, error) {
	now, next := s.Now().UTC(), old.Token
	next.ID, next.Created, next.By, next.Replaces = IDOf(Digest(secret)), now, by.Label(), old.ID
	if !old.Expires.IsZero() {
		next.Expires = now.Add(old.Expires.Sub(old.Created))
	}
	if end := now.Add(rest); old.Expires.IsZero() || end.Before(old.Expires) {
		old.Expires = end
	}
	put, err := putToken(&next, Digest(secret), driver.Absent)
	if err != nil {
		return next, nil, err
	}
	end, err := putToken(&old.Token, old.digest, old.version)
	return next, []driver.Op{put, end}, err
}

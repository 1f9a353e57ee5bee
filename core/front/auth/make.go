package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"aptless/core/engine/driver"
)

// Order is a request for a token.
type Order struct {
	Name    string
	Owner   string // the name if empty
	Kind    Kind   // API if empty
	Grants  []Grant
	Expires string // "90d", "12h", a time, "never"; "" is the default of the kind
}

// Made is a new token with its secret. No later call returns the secret.
type Made struct {
	Token
	Secret string
}

// Also returns further operations for the transaction that changes the token. It is
// called again when the transaction is tried again.
type Also func(t Token) []driver.Op

// Create makes a token of the kind API or Download. The name of a live token is refused
// with 409.
func (s *Store) Create(ctx context.Context, by *Principal, o Order, also Also) (Made, error) {
	t, err := s.ordered(ctx, by, o)
	if err != nil {
		return Made{}, err
	}
	return s.create(ctx, t, NewSecret(t.Kind), also)
}

// ordered checks an order and returns its token, without an ID.
func (s *Store) ordered(ctx context.Context, by *Principal, o Order) (Token, error) {
	if o.Kind == "" {
		o.Kind = API
	}
	if o.Kind != API && o.Kind != Download {
		return Token{}, refuse(http.StatusBadRequest, "Kind is api or download")
	}
	if o.Owner == "" {
		o.Owner = o.Name
	}
	if !namePattern.MatchString(o.Name) || !namePattern.MatchString(o.Owner) {
		return Token{}, refuse(http.StatusBadRequest, "Name and Owner have 1 to 64 of the characters A-Z a-z 0-9 . _ -")
	}
	if err := CheckGrants(o.Kind, o.Grants); err != nil {
		return Token{}, refuse(http.StatusBadRequest, "%v", err)
	}
	if o.Expires == "" {
		o.Expires = defaultLife
		if o.Kind == Download {
			o.Expires = defaultDownload
		}
	}
	now := s.Now().UTC()
	expires, err := expiry(o.Expires, now)
	if err != nil {
		return Token{}, err
	}
	if err := s.room(ctx, o.Kind); err != nil {
		return Token{}, err
	}
	return Token{Kind: o.Kind, Name: o.Name, Owner: o.Owner, Grants: o.Grants, Created: now, By: by.Label(), Expires: expires}, nil
}

// create stores a token with its secret under its name.
func (s *Store) create(ctx context.Context, t Token, secret string, also Also) (Made, error) {
	digest := Digest(secret)
	t.ID = IDOf(digest)
	put, err := putToken(&t, digest, driver.Absent)
	if err != nil {
		return Made{}, err
	}
	for range attempts {
		other, version, err := s.named(ctx, t.Name)
		if err != nil {
			return Made{}, err
		}
		if other != nil && other.digest != digest && other.Ended(s.Now()) == "" {
			return Made{}, refuse(http.StatusConflict, "token name %s is taken", t.Name)
		}
		if other == nil || other.digest != digest { // else an answer was lost
			_, err = s.Table.Write(ctx, append(append([]driver.Op{put, nameOp(t.Name, digest, version)}, s.edgeToken(&t, digest)...), also.ops(t)...)...)
		}
		if err == nil {
			s.forget(digest)
			return Made{t, secret}, nil
		}
		if !errors.Is(err, driver.ErrConflict) {
			return Made{}, err
		}
	}
	return Made{}, driver.ErrConflict
}

func (also Also) ops(t Token) []driver.Op {
	if also == nil {
		return nil
	}
	return also(t)
}

// room refuses a token with 409 if there are maxLive live tokens of its kind.
func (s *Store) room(ctx context.Context, kind Kind) error {
	live := 0
	for t, err := range s.all(ctx) {
		if err != nil {
			return err
		}
		if t.Kind == kind && t.Ended(s.Now()) == "" {
			live++
		}
	}
	if live >= maxLive {
		return refuse(http.StatusConflict, "there are %d live tokens of the kind %s, which is the most", live, kind)
	}
	return nil
}

// Adopt makes a token for a secret that exists already. If the secret has a live token,
// Adopt returns that token. A token that has ended is refused with 409.
func (s *Store) Adopt(ctx context.Context, secret string, o Order, also Also) (Token, error) {
	if kind, ok := KindOf(secret); !ok || kind != API {
		return Token{}, refuse(http.StatusBadRequest, "it has no API token")
	}
	row, err := s.Table.Get(ctx, key(Digest(secret)))
	if err == nil {
		t, err := decode(row)
		if err == nil && t.Ended(s.Now()) != "" {
			err = refuse(http.StatusConflict, "%s", t.Ended(s.Now()))
		}
		return t.Token, err
	}
	if !errors.Is(err, driver.ErrNotFound) {
		return Token{}, err
	}
	o.Kind = API
	t, err := s.ordered(ctx, &Principal{Kind: System}, o)
	if err != nil {
		return Token{}, err
	}
	made, err := s.create(ctx, t, secret, also)
	return made.Token, err
}

// named returns the newest token of a name, nil if there is none. version is of the
// row of the name, Absent without a row.
func (s *Store) named(ctx context.Context, name string) (t *stored, version string, err error) {
	row, err := s.Table.Get(ctx, driver.Key{Part: partNames, Sort: name})
	if errors.Is(err, driver.ErrNotFound) {
		return nil, driver.Absent, nil
	}
	if err != nil {
		return nil, "", err
	}
	var n newest
	if err := json.Unmarshal(row.Data, &n); err != nil {
		return nil, "", err
	}
	token, err := s.Table.Get(ctx, key(n.Digest))
	if errors.Is(err, driver.ErrNotFound) { // a tick has removed it
		return nil, row.Version, nil
	}
	if err != nil {
		return nil, "", err
	}
	found, err := decode(token)
	return &found, row.Version, err
}

func nameOp(name, digest, version string) driver.Op {
	data, _ := json.Marshal(newest{digest}) // a string
	return driver.Op{Do: driver.OpPut, Key: driver.Key{Part: partNames, Sort: name}, If: version, Data: data}
}

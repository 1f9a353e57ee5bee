package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// Token is the row of a token. It has no secret and no digest.
type Token struct {
	ID        string
	Kind      Kind
	Name      string
	Owner     string
	Grants    []Grant
	Created   time.Time
	By        string         // name of the principal that made it
	Expires   time.Time      `json:",omitzero"` // zero is never
	Revoked   time.Time      `json:",omitzero"`
	RevokedBy string         `json:",omitempty"`
	Replaces  string         `json:",omitempty"` // ID of the token that it was rotated from
	Policy    string         `json:",omitempty"`
	Claims    map[string]any `json:",omitempty"`
}

// Use is when and from which address a token was used last, to the hour.
type Use struct {
	At   time.Time
	From string
}

// View is a token as the API shows it.
type View struct {
	Token
	LastUsed *Use `json:",omitempty"`
}

// Limits of tokens.
const (
	maxRow     = 6 << 10 // bytes of a row: two read units
	maxLive    = 10_000  // tokens of each kind
	maxLife    = 366 * 24 * time.Hour
	maxGrace   = 30 * 24 * time.Hour
	keptEnded  = 90 * 24 * time.Hour // rows of tokens that have ended
	keptShort  = 7 * 24 * time.Hour  // likewise of short ones
	partTokens = "auth-token"
	partNames  = "auth-name"
	partUses   = "auth-used"
)

// Default lives of tokens.
const (
	defaultLife     = "90d"
	defaultDownload = "366d"
	defaultGrace    = "24h"
)

// Never as an expiry says that a token does not expire.
const Never = "never"

// Error is a refusal with its HTTP status.
type Error struct {
	Status int
	Text   string
	Retry  time.Duration // after which to try again; 0 says nothing
}

func (e *Error) Error() string { return e.Text }

func refuse(status int, format string, args ...any) error {
	return &Error{Status: status, Text: fmt.Sprintf(format, args...)}
}

// namePattern is the form of names of tokens and owners.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Ended returns why a token is not valid at a time, "" if it is.
func (t *Token) Ended(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return fmt.Sprintf("token %s was revoked", t.ID)
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return fmt.Sprintf("token %s expired on %s", t.ID, t.Expires.UTC().Format(time.RFC3339))
	}
	return ""
}

// end returns when the token ended or will end; zero is never.
func (t *Token) end() time.Time {
	if !t.Revoked.IsZero() && (t.Expires.IsZero() || t.Revoked.Before(t.Expires)) {
		return t.Revoked
	}
	return t.Expires
}

func (t *Token) principal(digest string) *Principal {
	return &Principal{Kind: t.Kind, ID: t.ID, Name: t.Name, Owner: t.Owner, Expires: t.Expires, Policy: t.Policy, Claims: t.Claims,
		Grants: t.Grants, Digest: digest}
}

// duration reads a number of days or hours, as 90d or 12h.
func duration(text string, most time.Duration) (time.Duration, bool) {
	unit := time.Hour
	number, days := strings.CutSuffix(text, "d")
	if days {
		unit = 24 * time.Hour
	} else if number, days = strings.CutSuffix(text, "h"); !days {
		return 0, false
	}
	n, err := strconv.ParseUint(number, 10, 16)
	d := time.Duration(n) * unit
	return d, err == nil && n > 0 && d <= most
}

// expiry returns the time that a text says: 90d, 12h, a time, or never.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == Never {
		return time.Time{}, nil
	}
	if d, ok := duration(text, maxLife); ok {
		return now.Add(d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(now) && at.Sub(now) <= maxLife {
		return at.UTC(), nil
	}
	return time.Time{}, refuse(http.StatusBadRequest, "invalid Expires %.50q: 90d, 12h or a time to come, of at most 366d, or never", text)
}

func key(digest string) driver.Key { return driver.Key{Part: partTokens, Sort: digest} }

// putToken returns the operation that stores a token.
func putToken(t *Token, digest, version string) (driver.Op, error) {
	data, err := json.Marshal(t)
	if err != nil {
		return driver.Op{}, err
	}
	if len(data) > maxRow {
		return driver.Op{}, refuse(http.StatusBadRequest, "the token's row has %d bytes, of at most %d: give it fewer or shorter grants", len(data), maxRow)
	}
	return driver.Op{Do: driver.OpPut, Key: key(digest), If: version, Data: data}, nil
}

// stored is a token with the version of its row.
type stored struct {
	Token
	digest, version string
}

func decode(row driver.Row) (stored, error) {
	s := stored{digest: row.Sort, version: row.Version}
	if err := json.Unmarshal(row.Data, &s.Token); err != nil {
		return s, fmt.Errorf("row %.30s: %w", row.Key, err)
	}
	return s, nil
}

// newest is the row of a name: it names the newest token of the name.
type newest struct{ Digest string }

// named returns the newest token of a name, and the version of the row of the
// name, Absent without one.
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

// Order is a token as it is asked for.
type Order struct {
	Name    string
	Owner   string // the name if empty
	Kind    Kind   // API if empty
	Grants  []Grant
	Expires string // "90d", "12h", a time, "never"; "" is the default of the kind
}

// Made is a token that was made, and its secret, which nobody can read again.
type Made struct {
	Token
	Secret string
}

// Also makes operations for the transaction in which a token changes.
type Also func(t Token) []driver.Op

// Create makes a token of the kind API or Download. A name that a live token has
// is refused with 409.
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

// Label names a principal in rows and records.
func (p *Principal) Label() string {
	if p.Name != "" {
		return p.Name
	}
	return string(p.Kind)
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
			_, err = s.Table.Write(ctx, append([]driver.Op{put, nameOp(t.Name, digest, version)}, also.ops(t)...)...)
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

// attempts bounds how often a write that loses to others is tried again.
const attempts = 20

// room refuses one token more than there may be.
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

// Adopt makes a token whose secret exists already. A token that was adopted and is
// valid is returned as it is.
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

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
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
	if o.Kind == "" {
		o.Kind = API
	}
	if o.Kind != API && o.Kind != Download {
		return Made{}, refuse(http.StatusBadRequest, "Kind is api or download")
	}
	if o.Owner == "" {
		o.Owner = o.Name
	}
	if !namePattern.MatchString(o.Name) || !namePattern.MatchString(o.Owner) {
		return Made{}, refuse(http.StatusBadRequest, "Name and Owner have 1 to 64 of the characters A-Z a-z 0-9 . _ -")
	}
	if err := CheckGrants(o.Kind, o.Grants); err != nil {
		return Made{}, refuse(http.StatusBadRequest, "%v", err)
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
		return Made{}, err
	}
	if err := s.room(ctx, o.Kind); err != nil {
		return Made{}, err
	}
	t := Token{Kind: o.Kind, Name: o.Name, Owner: o.Owner, Grants: o.Grants, Created: now, By: by.Label(), Expires: expires}
	return s.create(ctx, t, also)
}

// Label names a principal in rows and records.
func (p *Principal) Label() string {
	if p.Name != "" {
		return p.Name
	}
	return string(p.Kind)
}

// create stores a token with a new secret under its name.
func (s *Store) create(ctx context.Context, t Token, also Also) (Made, error) {
	secret := NewSecret(t.Kind)
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

// all yields all tokens, by digest.
func (s *Store) all(ctx context.Context) func(func(stored, error) bool) {
	return func(yield func(stored, error) bool) {
		for row, err := range s.Table.Scan(ctx, partTokens, "") {
			var t stored
			if err == nil {
				t, err = decode(row)
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// find returns the token with an ID.
func (s *Store) find(ctx context.Context, id string) (stored, error) {
	unknown := refuse(http.StatusNotFound, "no such token")
	if len(id) != idLen {
		return stored{}, unknown
	}
	for row, err := range s.Table.Scan(ctx, partTokens, id) { // digests are longer than an ID
		if err != nil {
			return stored{}, err
		}
		if !strings.HasPrefix(row.Sort, id) {
			break
		}
		return decode(row)
	}
	return stored{}, unknown
}

// Filter says which tokens List returns.
type Filter struct {
	Owner string // "" is any
	Live  bool   // those only that are valid
}

// List returns tokens in the order in which they were made.
func (s *Store) List(ctx context.Context, f Filter) ([]View, error) {
	uses := map[string]*Use{}
	for row, err := range s.Table.Scan(ctx, partUses, "") {
		if err != nil {
			return nil, err
		}
		var u Use
		if json.Unmarshal(row.Data, &u) == nil {
			uses[row.Sort] = &u
		}
	}
	views := []View{}
	for t, err := range s.all(ctx) {
		if err != nil {
			return nil, err
		}
		if f.Owner != "" && t.Owner != f.Owner || f.Live && t.Ended(s.Now()) != "" {
			continue
		}
		views = append(views, View{t.Token, uses[t.ID]})
	}
	slices.SortStableFunc(views, func(a, b View) int { return a.Created.Compare(b.Created) })
	return views, nil
}

// Show returns a token.
func (s *Store) Show(ctx context.Context, id string) (View, error) {
	t, err := s.find(ctx, id)
	if err != nil {
		return View{}, err
	}
	v := View{Token: t.Token}
	row, err := s.Table.Get(ctx, driver.Key{Part: partUses, Sort: id})
	if errors.Is(err, driver.ErrNotFound) {
		return v, nil
	}
	if err == nil {
		v.LastUsed = &Use{}
		err = json.Unmarshal(row.Data, v.LastUsed)
	}
	return v, err
}

// Revoke ends a token at once. A token that was revoked stays as it is.
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
		_, err = s.Table.Write(ctx, append([]driver.Op{put}, also.ops(t.Token)...)...)
		s.forget(t.digest)
		if !errors.Is(err, driver.ErrConflict) {
			return t.Token, err
		}
	}
	return Token{}, driver.ErrConflict
}

// Rotate makes a token with the name, owner, grants and length of life of another,
// which ends when the grace is over: "24h" if it is "", at most 30 days.
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
		old, err := s.find(ctx, id)
		if err != nil {
			return Made{}, err
		}
		if ended := old.Ended(s.Now()); ended != "" || old.Kind == Short {
			return Made{}, refuse(http.StatusConflict, "token %s cannot be rotated: it has ended or is short", id)
		}
		latest, version, err := s.named(ctx, old.Name)
		if err != nil {
			return Made{}, err
		}
		if latest != nil && secret != "" && latest.digest == Digest(secret) { // an answer was lost
			return Made{latest.Token, secret}, nil
		}
		if latest != nil && latest.digest != old.digest && latest.Ended(s.Now()) == "" {
			return Made{}, refuse(http.StatusConflict, "token %s was rotated to %s", id, latest.ID)
		}
		if secret == "" {
			secret = NewSecret(old.Kind)
		}
		next, ops, err := s.successor(by, &old, secret, rest)
		if err != nil {
			return Made{}, err
		}
		ops = append(ops, nameOp(old.Name, Digest(secret), version))
		_, err = s.Table.Write(ctx, append(ops, also.ops(next)...)...)
		s.forget(old.digest)
		s.forget(Digest(secret))
		if !errors.Is(err, driver.ErrConflict) {
			return Made{next, secret}, err
		}
	}
	return Made{}, driver.ErrConflict
}

// successor returns the token that follows old, with the operations that store
// it and end old after rest.
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

// HasAdmin reports whether a live token may manage tokens.
func (s *Store) HasAdmin(ctx context.Context) (bool, error) {
	for t, err := range s.all(ctx) {
		if err != nil {
			return false, err
		}
		if t.Ended(s.Now()) == "" && Decide(t.principal(t.digest), Need{Can: AuthManage}) == nil {
			return true, nil
		}
	}
	return false, nil
}

// Sweep removes the rows of tokens that ended long ago, and of their uses.
func (s *Store) Sweep(ctx context.Context) error {
	for t, err := range s.all(ctx) {
		if err != nil {
			return err
		}
		kept := keptEnded
		if t.Kind == Short {
			kept = keptShort
		}
		if end := t.end(); end.IsZero() || s.Now().Sub(end) < kept {
			continue
		}
		if err := s.drop(ctx, t); err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return nil
}

// drop removes the rows of a token, and that of its name if it is the newest.
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

package auth

import (
	"encoding/json"
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
	By        string         // label of the principal that made it
	Expires   time.Time      `json:",omitzero"` // zero is never
	Revoked   time.Time      `json:",omitzero"`
	RevokedBy string         `json:",omitempty"`
	Replaces  string         `json:",omitempty"` // ID of the token before its rotation
	Policy    string         `json:",omitempty"`
	Claims    map[string]any `json:",omitempty"`
}

// Use is the last stored use of a token: its time and its address. Uses within an hour
// after it are not stored.
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
	Retry  time.Duration // the pause before the next attempt; 0 says nothing

	Reason string         // of a refused exchange; for the audit record only
	Claims map[string]any // of an ID token that no policy matches
}

func (e *Error) Error() string { return e.Text }

func refuse(status int, format string, args ...any) error {
	return &Error{Status: status, Text: fmt.Sprintf(format, args...)}
}

// namePattern is the form of names of tokens and owners.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Ended returns the reason for which a token is not valid at a time, "" if it is valid.
func (t *Token) Ended(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return fmt.Sprintf("token %s was revoked", t.ID)
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return fmt.Sprintf("token %s expired on %s", t.ID, t.Expires.UTC().Format(time.RFC3339))
	}
	return ""
}

// end returns the past or future end of the token; zero is never.
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

// expiry reads an expiry: 90d, 12h, a time of RFC 3339, or never.
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

// Label names a principal in rows and records.
func (p *Principal) Label() string {
	if p.Name != "" {
		return p.Name
	}
	return string(p.Kind)
}

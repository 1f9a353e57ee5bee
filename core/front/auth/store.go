package auth

import (
	"container/list"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/front/auth/oidc"
)

// Store keeps tokens and authenticates requests.
type Store struct {
	Table driver.Table
	Now   func() time.Time

	// Fresh is how long memory answers for a digest with a token. For a digest without
	// a token it is a third of that. 0 has no end: then no other process may change
	// tokens.
	Fresh time.Duration

	// Environment is the digest of the token of the server's environment; "" is none.
	Environment string

	// Edge gets the private prefixes and the tokens that read them; nil is none.
	Edge driver.Edge

	// Issuers verifies ID tokens.
	Issuers *oidc.Verifier

	mu       sync.Mutex
	known    memory // of valid and ended tokens
	unknown  memory // of digests without a token
	bound    latest[[]Binding]
	policies latest[[]kept]
	private  latest[Private]
	changes  int64 // of all that memory has, by this process
	failures limits

	short   int // live short tokens, at most
	shortAt time.Time
}

// latest is a value as it was read last.
type latest[T any] struct {
	value *T // nil if it is not known
	at    time.Time
}

// Bounds of memory.
const (
	maxKnown   = 10_000
	maxUnknown = 1_000
)

// attempts bounds the attempts at a write that conflicts with others.
const attempts = 20

// memory keeps the entries that were used last.
type memory struct {
	order   list.List // of *remembered, the last used first
	entries map[string]*list.Element
}

// remembered is the token of a digest, as the table had it at a time.
type remembered struct {
	digest string
	token  *Token // nil if there is none
	at     time.Time
	used   time.Time // when the use was stored last
}

func (m *memory) get(digest string) *remembered {
	e := m.entries[digest]
	if e == nil {
		return nil
	}
	m.order.MoveToFront(e)
	return e.Value.(*remembered)
}

func (m *memory) drop(digest string) {
	if e := m.entries[digest]; e != nil {
		m.order.Remove(e)
		delete(m.entries, digest)
	}
}

func (m *memory) put(r *remembered, most int) {
	m.drop(r.digest)
	if m.entries == nil {
		m.entries = map[string]*list.Element{}
	}
	m.entries[r.digest] = m.order.PushFront(r)
	for m.order.Len() > most {
		m.drop(m.order.Back().Value.(*remembered).digest)
	}
}

// forget drops the entry of a digest. It also keeps read from remembering any row whose
// reading has begun.
func (s *Store) forget(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.known.drop(digest)
	s.unknown.drop(digest)
}

// recall returns the entry of a digest; nil if there is none, or none that is fresh.
func (s *Store) recall(digest string) *remembered {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.known.get(digest); r != nil && (s.Fresh == 0 || s.Now().Sub(r.at) < s.Fresh) {
		return r
	}
	if r := s.unknown.get(digest); r != nil && (s.Fresh == 0 || s.Now().Sub(r.at) < s.Fresh/3) {
		return r
	}
	return nil
}

// read reads the row of a digest. It remembers the row unless this process has changed
// a token meanwhile.
func (s *Store) read(ctx context.Context, digest string) (*remembered, error) {
	s.mu.Lock()
	changes := s.changes
	s.mu.Unlock()
	r := &remembered{digest: digest, at: s.Now()}
	row, err := s.Table.Get(ctx, key(digest))
	switch {
	case err == nil && subtle.ConstantTimeCompare([]byte(row.Sort), []byte(digest)) == 1:
		r.token = &Token{}
		if err := json.Unmarshal(row.Data, r.token); err != nil {
			return nil, err
		}
	case err != nil && !errors.Is(err, driver.ErrNotFound):
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if changes != s.changes {
		return r, nil
	}
	if r.token == nil {
		s.unknown.put(r, maxUnknown)
		return r, nil
	}
	if former := s.known.get(digest); former != nil {
		r.used = former.used
	}
	s.known.put(r, maxKnown)
	return r, nil
}

// forgetLatest has the next recallLatest read the value, and no read that has begun remember it.
func forgetLatest[T any](s *Store, l *latest[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	l.value = nil
}

// recallLatest returns a value as memory has it. It reads a value that is unknown or older than
// fresh, 0 without end, and remembers it unless this process has changed something meanwhile.
func recallLatest[T any](s *Store, l *latest[T], fresh time.Duration, read func() (T, error)) (T, error) {
	s.mu.Lock()
	changes, now := s.changes, s.Now()
	if l.value != nil && (fresh == 0 || now.Sub(l.at) < fresh) {
		defer s.mu.Unlock()
		return *l.value, nil
	}
	s.mu.Unlock()
	value, err := read()
	if err != nil {
		return value, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if changes == s.changes {
		l.value, l.at = &value, now
	}
	return value, nil
}

// maxHeader bounds the header with credentials, in bytes.
const maxHeader = 1 << 10

func errNeeded() error { return refuse(http.StatusUnauthorized, "authentication is needed") }
func unchecked() error {
	return &Error{Status: http.StatusServiceUnavailable, Text: "credentials cannot be checked now", Retry: 5 * time.Second}
}
func errInvalid() error { return refuse(http.StatusUnauthorized, "credentials are not valid") }

// Sent returns the secret in the values of the header Authorization: a Bearer
// token, or the password of Basic. The user of Basic is not looked at.
func Sent(headers []string) (string, error) {
	if len(headers) == 0 {
		return "", errNeeded()
	}
	if len(headers) > 1 || len(headers[0]) > maxHeader {
		return "", errInvalid()
	}
	scheme, value, _ := strings.Cut(headers[0], " ")
	value = strings.TrimSpace(value)
	switch strings.ToLower(scheme) {
	case "bearer":
		return value, nil
	case "basic":
		data, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return "", errInvalid()
		}
		_, password, _ := strings.Cut(string(data), ":")
		return password, nil
	}
	return "", errInvalid()
}

// Authenticate returns the principal with the credentials of the header
// Authorization, which come from a source: an address. An error is an *Error.
func (s *Store) Authenticate(ctx context.Context, headers []string, source string) (*Principal, error) {
	secret, err := Sent(headers)
	if err != nil {
		return nil, err
	}
	kind, ok := KindOf(secret)
	if !ok {
		return nil, errInvalid()
	}
	digest := Digest(secret)
	if s.Environment != "" && subtle.ConstantTimeCompare([]byte(digest), []byte(s.Environment)) == 1 {
		return EnvironmentPrincipal(digest), nil
	}
	r := s.recall(digest)
	if r == nil || r.token == nil {
		if wait := s.failures.wait(source, s.Now()); wait > 0 {
			return nil, &Error{Status: http.StatusTooManyRequests, Text: "too many failed attempts", Retry: wait}
		}
	}
	if r == nil {
		if r, err = s.read(ctx, digest); err != nil {
			return nil, unchecked()
		}
	}
	if r.token == nil || r.token.Kind != kind {
		s.failures.failed(source, s.Now())
		return nil, errInvalid()
	}
	if ended := r.token.Ended(s.Now()); ended != "" {
		return nil, refuse(http.StatusUnauthorized, "%s", ended)
	}
	s.use(ctx, r, source)
	return r.token.principal(digest), nil
}

// useEvery is how often the use of a token is stored.
const useEvery = time.Hour

// use stores the use of a token, at most once an hour. A failed write is no error.
func (s *Store) use(ctx context.Context, r *remembered, source string) {
	now := s.Now().UTC()
	s.mu.Lock()
	due := now.Sub(r.used) >= useEvery
	if due {
		r.used = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	data, _ := json.Marshal(Use{now, source}) // a time and a string
	_ = s.Table.Put(ctx, driver.Row{Key: driver.Key{Part: partUses, Sort: r.token.ID}, Data: data})
}

// admin is the grant of everything.
func admin() []Grant { return []Grant{{Role: Admin}} }

// OpenPrincipal returns the principal of any caller of an open installation.
func OpenPrincipal() *Principal { return &Principal{Kind: Open, Grants: admin()} }

// EnvironmentPrincipal returns the holder of the token of the server's environment.
func EnvironmentPrincipal(digest string) *Principal {
	return &Principal{Kind: Env, ID: IDOf(digest), Name: string(Env), Owner: string(Env), Grants: admin(), Digest: digest}
}

// IAMPrincipal returns the holder of AWS credentials. The policies of AWS have allowed
// its call already. Sessions of one role have one owner.
func IAMPrincipal(arn string) *Principal {
	owner := arn
	if head, _, session := cutLast(arn); session && strings.Contains(arn, ":assumed-role/") {
		owner = head
	}
	return &Principal{Kind: IAM, Name: arn, Owner: owner, Grants: admin()}
}

func cutLast(path string) (head, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return path, "", false
	}
	return path[:i], path[i+1:], true
}

// Recheck reads the row of a token and returns its present principal. A removed or
// revoked token is refused with 403. An expired token is not: a task that was admitted
// before the expiry goes on.
func (s *Store) Recheck(ctx context.Context, digest string) (*Principal, error) {
	row, err := s.Table.Get(ctx, key(digest))
	if errors.Is(err, driver.ErrNotFound) {
		return nil, refuse(http.StatusForbidden, "the token is gone")
	}
	if err != nil {
		return nil, err
	}
	t, err := decode(row)
	if err != nil {
		return nil, err
	}
	if !t.Revoked.IsZero() {
		return nil, refuse(http.StatusForbidden, "token %s was revoked", t.ID)
	}
	return t.principal(digest), nil
}

package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// counted counts the calls of Get. While down is set, Get returns an error.
type counted struct {
	driver.Table
	mu   sync.Mutex
	gets map[string]int // by partition
	down bool
}

func (c *counted) Get(ctx context.Context, k driver.Key) (driver.Row, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets[k.Part]++
	if c.down {
		return driver.Row{}, errors.New("the table is down")
	}
	return c.Table.Get(ctx, k)
}

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// world is a store on memory.
type world struct {
	*Store
	table  *counted
	memory *drivertest.Memory
	clock  *clock
}

func newWorld() *world {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	m := drivertest.NewMemory(c.now)
	table := &counted{Table: m.Table, gets: map[string]int{}}
	return &world{&Store{Table: table, Now: c.now}, table, m, c}
}

// another returns the store of another process on the same rows.
func (w *world) another(fresh time.Duration) *Store {
	return &Store{Table: w.table, Now: w.clock.now, Fresh: fresh}
}

func bearer(secret string) []string { return []string{"Bearer " + secret} }

func basic(user, password string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

// root makes tokens in tests.
var root = &Principal{Kind: Env, Name: "env", Grants: []Grant{{Role: Admin}}}

func (w *world) make(t *testing.T, o Order) Made {
	t.Helper()
	if o.Grants == nil {
		o.Grants = []Grant{{Role: Reader}}
	}
	made, err := w.Create(t.Context(), root, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// status returns the HTTP status of an error, 200 for nil.
func status(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	if err != nil {
		return 500
	}
	return 200
}

func (w *world) want(t *testing.T, s *Store, headers []string, code int, text string) {
	t.Helper()
	_, err := s.Authenticate(t.Context(), headers, "192.0.2.1")
	if status(err) != code || err != nil && err.Error() != text {
		t.Errorf("%d %v, want %d %s", status(err), err, code, text)
	}
}

func TestTokenIsGoodInBearerAndAsPassword(t *testing.T) {
	w := newWorld()
	made := w.make(t, Order{Name: "ci", Owner: "team"})
	for _, headers := range [][]string{bearer(made.Secret), {"bearer  " + made.Secret}, basic("anybody", made.Secret), basic("", made.Secret)} {
		p, err := w.Authenticate(t.Context(), headers, "192.0.2.1")
		if err != nil || p.ID != made.ID || p.Owner != "team" || p.Kind != API {
			t.Errorf("%q: %+v, %v", headers, p, err)
		}
	}
	if n := w.table.gets[partTokens]; n != 1 {
		t.Errorf("%d rows are read for four calls", n)
	}
}

func TestCredentialsThatAreNone(t *testing.T) {
	w := newWorld()
	made := w.make(t, Order{Name: "ci"})
	const invalid = "credentials are not valid"
	w.want(t, w.Store, nil, 401, "authentication is needed")
	for _, headers := range [][]string{
		{"Bearer"}, {""}, {"Bearer x"}, {"Digest " + made.Secret}, {made.Secret}, basic(made.Secret, ""), {"Basic !"},
		{"Bearer " + made.Secret, "Bearer " + made.Secret}, {"Bearer " + made.Secret + strings.Repeat(" ", maxHeader)},
		bearer(Digest(made.Secret)), basic("x", Digest(made.Secret)), bearer("aptd_" + made.Secret[5:]),
	} {
		w.want(t, w.Store, headers, 401, invalid)
	}
	if n := w.table.gets[partTokens]; n != 0 {
		t.Errorf("%d rows are read", n)
	}
	w.want(t, w.Store, bearer(NewSecret(API)), 401, invalid)
}

func TestEndedTokens(t *testing.T) {
	w := newWorld()
	made := w.make(t, Order{Name: "ci", Expires: "1h"})
	w.clock.at = w.clock.at.Add(time.Hour - time.Nanosecond)
	w.want(t, w.Store, bearer(made.Secret), 200, "")
	w.clock.at = w.clock.at.Add(time.Nanosecond)
	w.want(t, w.Store, bearer(made.Secret), 401, "token "+made.ID+" expired on 2026-01-02T04:04:05Z")
	other := w.make(t, Order{Name: "ci", Expires: Never}) // the name is free again
	w.want(t, w.Store, bearer(other.Secret), 200, "")
	for range 2 {
		gone, err := w.Revoke(t.Context(), root, other.ID, nil)
		if err != nil || gone.RevokedBy != "env" || gone.Revoked.IsZero() {
			t.Errorf("%+v, %v", gone, err)
		}
	}
	w.want(t, w.Store, bearer(other.Secret), 401, "token "+other.ID+" was revoked")
}

// TestRevocationReachesOtherProcessesWithin31Seconds revokes a token that another
// process remembers for 30 seconds, as functions do.
func TestRevocationReachesOtherProcessesWithin31Seconds(t *testing.T) {
	w := newWorld()
	made := w.make(t, Order{Name: "ci"})
	other := w.another(30 * time.Second)
	w.want(t, other, bearer(made.Secret), 200, "")
	if _, err := w.Revoke(t.Context(), root, made.ID, nil); err != nil {
		t.Fatal(err)
	}
	w.clock.at = w.clock.at.Add(31 * time.Second)
	w.want(t, other, bearer(made.Secret), 401, "token "+made.ID+" was revoked")
}

// TestTokenOfAnotherProcessIsGoodSoon holds that a digest without a token is read again
// after a third of Fresh.
func TestTokenOfAnotherProcessIsGoodSoon(t *testing.T) {
	w := newWorld()
	other := w.another(30 * time.Second)
	secret := NewSecret(API)
	w.want(t, other, bearer(secret), 401, "credentials are not valid")
	digest := Digest(secret)
	put, err := putToken(&Token{ID: IDOf(digest), Kind: API, Name: "x", Grants: admin()}, digest, driver.Absent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.memory.Table.Write(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	w.clock.at = w.clock.at.Add(11 * time.Second)
	w.want(t, other, bearer(secret), 200, "")
}

// hooked calls a function after it has read a row and before it returns it.
type hooked struct {
	driver.Table
	then func()
}

func (h *hooked) Get(ctx context.Context, k driver.Key) (driver.Row, error) {
	row, err := h.Table.Get(ctx, k)
	if then := h.then; then != nil && k.Part == partTokens {
		h.then = nil
		then()
	}
	return row, err
}

func TestRowReadBeforeARevocationIsNotRemembered(t *testing.T) {
	w := newWorld()
	made := w.make(t, Order{Name: "ci"})
	h := &hooked{Table: w.memory.Table}
	s := &Store{Table: h, Now: w.clock.now}
	h.then = func() {
		if _, err := s.Revoke(t.Context(), root, made.ID, nil); err != nil {
			t.Error(err)
		}
	}
	w.want(t, s, bearer(made.Secret), 200, "")
	w.want(t, s, bearer(made.Secret), 401, "token "+made.ID+" was revoked")
}

func TestFailuresOfOneAddressAreLimited(t *testing.T) {
	w := newWorld()
	good, late := w.make(t, Order{Name: "good"}), w.make(t, Order{Name: "late"})
	w.want(t, w.Store, bearer(good.Secret), 200, "")
	before := w.table.gets[partTokens]
	codes := map[int]int{}
	for range 1000 {
		_, err := w.Authenticate(t.Context(), bearer(NewSecret(API)), "192.0.2.1")
		codes[status(err)]++
	}
	if codes[401] != burst || codes[429] != 1000-burst || w.table.gets[partTokens]-before > 30 {
		t.Errorf("%v, %d rows read", codes, w.table.gets[partTokens]-before)
	}
	w.want(t, w.Store, bearer(good.Secret), 200, "")
	w.want(t, w.Store, nil, 401, "authentication is needed")
	_, err := w.Authenticate(t.Context(), bearer(late.Secret), "192.0.2.1")
	var e *Error
	if !errors.As(err, &e) || e.Status != 429 || e.Text != "too many failed attempts" || e.Retry <= 0 {
		t.Errorf("%v", err)
	}
	if _, err := w.Authenticate(t.Context(), bearer(late.Secret), "192.0.2.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
	w.clock.at = w.clock.at.Add(pause)
	w.want(t, w.Store, bearer(late.Secret), 200, "")
}

func TestSourcesAreNetworks(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "local": "local"} {
		if got := Source(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
	var l limits
	now := time.Unix(0, 0)
	for i := range 2 * maxSources {
		l.failed(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if len(l.until) > maxSources {
		t.Errorf("%d sources are kept", len(l.until))
	}
}

func TestTableThatIsDownLetsNobodyPass(t *testing.T) {
	w := newWorld()
	made := w.make(t, Order{Name: "ci"})
	w.table.down = true
	_, err := w.Authenticate(t.Context(), bearer(made.Secret), "192.0.2.1")
	var e *Error
	if !errors.As(err, &e) || e.Status != 503 || e.Text != "credentials cannot be checked now" || e.Retry != 5*time.Second {
		t.Error(err)
	}
}

func TestRotatedTokenIsGoodInTheGrace(t *testing.T) {
	w := newWorld()
	old := w.make(t, Order{Name: "ci", Owner: "team", Expires: "10d"})
	w.clock.at = w.clock.at.Add(24 * time.Hour)
	next, err := w.Rotate(t.Context(), root, old.ID, "2h", nil)
	if err != nil {
		t.Fatal(err)
	}
	if next.Replaces != old.ID || next.Owner != "team" || next.Expires != w.clock.at.Add(240*time.Hour) || next.Secret == old.Secret {
		t.Errorf("%+v", next)
	}
	w.want(t, w.Store, bearer(next.Secret), 200, "")
	w.want(t, w.Store, bearer(old.Secret), 200, "")
	if _, err := w.Rotate(t.Context(), root, old.ID, "2h", nil); status(err) != 409 {
		t.Errorf("rotated twice: %v", err)
	}
	if _, err := w.Create(t.Context(), root, Order{Name: "ci", Grants: admin()}, nil); status(err) != 409 {
		t.Errorf("name is taken: %v", err)
	}
	w.clock.at = w.clock.at.Add(2 * time.Hour)
	w.want(t, w.Store, bearer(old.Secret), 401, "token "+old.ID+" expired on 2026-01-03T05:04:05Z")
	w.want(t, w.Store, bearer(next.Secret), 200, "")
	if _, err := w.Rotate(t.Context(), root, next.ID, "31d", nil); status(err) != 400 {
		t.Errorf("grace of 31 days: %v", err)
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	w := newWorld()
	w.make(t, Order{Name: "taken"})
	for _, c := range []struct {
		order Order
		code  int
		text  string
	}{
		{Order{Name: "taken"}, 409, "token name taken is taken"},
		{Order{Name: "a b"}, 400, "1 to 64"},
		{Order{}, 400, "1 to 64"},
		{Order{Name: "a", Owner: "x/y"}, 400, "1 to 64"},
		{Order{Name: "a", Kind: Short}, 400, "Kind is"},
		{Order{Name: "a", Expires: "367d"}, 400, "Expires"},
		{Order{Name: "a", Expires: "0d"}, 400, "Expires"},
		{Order{Name: "a", Expires: "2020-01-01T00:00:00Z"}, 400, "Expires"},
		{Order{Name: "a", Expires: "forever"}, 400, "Expires"},
		{Order{Name: "a", Kind: Download, Grants: admin()}, 400, "download"},
	} {
		if c.order.Grants == nil {
			c.order.Grants = []Grant{{Role: Reader}}
		}
		if _, err := w.Create(t.Context(), root, c.order, nil); status(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v", c.order, err)
		}
	}
	huge := Order{Name: "huge"}
	for range maxPatterns {
		huge.Grants = []Grant{{Role: Reader, Repos: append(firstRepos(huge.Grants), strings.Repeat("x", maxPattern))}}
	}
	if _, err := w.Create(t.Context(), root, huge, nil); status(err) != 400 || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a row that is too large: %v", err)
	}
}

func firstRepos(grants []Grant) []string {
	if len(grants) == 0 {
		return nil
	}
	return grants[0].Repos
}

// TestNoRowHasASecret looks in all rows for every secret that the test has made.
func TestNoRowHasASecret(t *testing.T) {
	w := newWorld()
	made := w.make(t, Order{Name: "ci"})
	w.want(t, w.Store, bearer(made.Secret), 200, "")
	next, err := w.Rotate(t.Context(), root, made.ID, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{partTokens, partNames, partUses, "auth"} {
		for row, err := range w.memory.Table.Scan(t.Context(), part, "") {
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{made.Secret, next.Secret} {
				if strings.Contains(string(row.Data)+row.Sort, secret[5:37]) {
					t.Errorf("%s has a secret", row.Key)
				}
			}
			if part == partTokens && strings.Contains(string(row.Data), row.Sort) {
				t.Errorf("the data of %s has its digest", row.Key)
			}
		}
	}
}

func TestListShowsUseAndFilters(t *testing.T) {
	w := newWorld()
	a := w.make(t, Order{Name: "a", Owner: "x", Expires: "1h"})
	w.clock.at = w.clock.at.Add(time.Minute)
	w.make(t, Order{Name: "b", Owner: "y"})
	w.want(t, w.Store, bearer(a.Secret), 200, "")
	names := func(f Filter) (names string) {
		views, err := w.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range views {
			names += v.Name
			if v.LastUsed != nil {
				names += "!"
			}
		}
		return names
	}
	if got := names(Filter{}); got != "a!b" {
		t.Error(got)
	}
	if got := names(Filter{Owner: "y"}); got != "b" {
		t.Error(got)
	}
	w.clock.at = w.clock.at.Add(time.Hour)
	if got := names(Filter{Live: true}); got != "b" {
		t.Error(got)
	}
	if v, err := w.Show(t.Context(), a.ID); err != nil || v.LastUsed == nil || v.LastUsed.From != "192.0.2.1" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := w.Show(t.Context(), "000000000000"); status(err) != 404 || err.Error() != "no such token" {
		t.Error(err)
	}
}

func TestSweepRemovesTokensThatEndedLongAgo(t *testing.T) {
	w := newWorld()
	old, kept := w.make(t, Order{Name: "old", Expires: "1h"}), w.make(t, Order{Name: "kept", Expires: Never})
	w.want(t, w.Store, bearer(old.Secret), 200, "")
	w.clock.at = w.clock.at.Add(keptEnded)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Show(t.Context(), old.ID); err != nil {
		t.Errorf("an hour early: %v", err)
	}
	w.clock.at = w.clock.at.Add(time.Hour)
	if err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Show(t.Context(), old.ID); status(err) != 404 {
		t.Errorf("old: %v", err)
	}
	if n := len(rows(t, w.memory.Table, partNames)) + len(rows(t, w.memory.Table, partUses)); n != 1 {
		t.Errorf("%d rows of names and uses", n)
	}
	w.want(t, w.Store, bearer(kept.Secret), 200, "")
}

func rows(t *testing.T, table driver.Table, part string) (found []driver.Row) {
	t.Helper()
	var scan iter.Seq2[driver.Row, error] = table.Scan(t.Context(), part, "")
	for row, err := range scan {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, row)
	}
	return found
}

func TestClosedStaysClosedUntilItIsOpened(t *testing.T) {
	w := newWorld()
	for _, want := range []bool{true, true} {
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m, err := w.another(0).Mode(t.Context()); err != nil || m.Closed() != want {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if err := w.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := w.Mode(t.Context()); err != nil || m.Closed() {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMemoryKeepsWhatWasUsedLast(t *testing.T) {
	var m memory
	for i := range 5 {
		m.put(&remembered{digest: fmt.Sprint(i)}, 3)
		m.get("2")
	}
	if m.get("2") == nil || m.get("4") == nil || m.get("0") != nil || m.order.Len() != 3 || len(m.entries) != 3 {
		t.Errorf("%d, %v", m.order.Len(), m.entries)
	}
}

func TestAdminIsFoundAmongLiveTokens(t *testing.T) {
	w := newWorld()
	w.make(t, Order{Name: "reader"})
	for _, c := range []struct {
		make bool
		want bool
	}{{false, false}, {true, true}} {
		if c.make {
			w.make(t, Order{Name: "admin", Grants: admin(), Expires: "1h"})
		}
		if got, err := w.HasAdmin(t.Context()); err != nil || got != c.want {
			t.Errorf("%v, %v", got, err)
		}
	}
	w.clock.at = w.clock.at.Add(time.Hour)
	if got, err := w.HasAdmin(t.Context()); err != nil || got {
		t.Errorf("expired: %v, %v", got, err)
	}
}

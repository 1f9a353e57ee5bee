package app_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

// counting is a table that counts the rows that are written, also conditions and
// counters, by kind. DynamoDB charges for each of them.
type counting struct {
	driver.Table
	mu   sync.Mutex
	rows map[string]int
}

func (c *counting) count(part string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind, _, _ := strings.Cut(part, "-") // of audit-2026-11-27 and origin-6
	c.rows[kind]++
}

func (c *counting) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	for _, op := range ops {
		c.count(op.Key.Part)
	}
	return c.Table.Write(ctx, ops...)
}

func (c *counting) Put(ctx context.Context, rows ...driver.Row) error {
	for _, row := range rows {
		c.count(row.Part)
	}
	return c.Table.Put(ctx, rows...)
}

func (c *counting) Add(ctx context.Context, key driver.Key, delta int64) (int64, error) {
	c.count(key.Part)
	return c.Table.Add(ctx, key, delta)
}

// importOfOne returns the rows that the import of one package writes, by kind, and the
// requests to storage. The process has answered the same requests before. The client has a
// token if the mode is closed.
func importOfOne(t *testing.T, mode *app.Auth) (rows, requests map[string]int) {
	t.Helper()
	m, token := drivertest.NewMemory(time.Now), ""
	table := &counting{Table: m.Table, rows: map[string]int{}}
	d := apptest.On(m)
	d.Table = table
	g := &guarded{memory: m, root: auth.NewSecret(auth.API)}
	if mode != nil {
		mode.Environment = auth.Digest(g.root)
	}
	g.Process = apptest.New(t, d, func(c *app.Config) { c.Auth = mode })
	g.must(t, g.root, "POST", "/api/repos?_async=1", `{"Name":"hello"}`)
	g.drain(t)
	if mode != nil && mode.Closed {
		token = g.token(t, auth.Grant{Role: auth.Publisher, Repos: []string{"hello"}})
	}
	for _, version := range []string{"1.0", "2.0"} {
		g.must(t, token, "PUT", "/api/files/d/hello.deb", string(debtest.Deb(debtest.Spec{Version: version})))
		clear(table.rows)
		requests = m.Counts()
		g.must(t, token, "POST", "/api/repos/hello/file/d?_async=1", "")
		g.drain(t)
		for call, n := range m.Counts() {
			requests[call] = n - requests[call]
		}
	}
	return table.rows, requests
}

// TestImportWritesThreeRowsMoreThanWithoutAccounts: the records of admission and end, and
// the origin of the package. An open server writes no origin. Of these only the record of
// the end is a request of its own. A closed server reads one row more: the worker decides
// with the token as it is at that moment.
func TestImportWritesThreeRowsMoreThanWithoutAccounts(t *testing.T) {
	rows, requests := importOfOne(t, nil)
	for _, c := range []struct {
		name           string
		mode           *app.Auth
		rows, requests map[string]int
	}{
		{"open", &app.Auth{AnyHost: true}, map[string]int{"audit": 2}, map[string]int{"Table.Write": 1}},
		{"closed", &app.Auth{Closed: true}, map[string]int{"audit": 2, "origin": 1}, map[string]int{"Table.Write": 1, "Table.Get": 1}},
	} {
		written, made := importOfOne(t, c.mode)
		if more := increase(rows, written); !maps.Equal(more, c.rows) {
			t.Errorf("%s: rows more: %v, want %v", c.name, more, c.rows)
		}
		if more := increase(requests, made); !maps.Equal(more, c.requests) {
			t.Errorf("%s: requests more: %v, want %v", c.name, more, c.requests)
		}
	}
}

// increase returns the differences of two counts that are not 0.
func increase(before, after map[string]int) map[string]int {
	more := map[string]int{}
	for _, counts := range []map[string]int{before, after} {
		for name := range counts {
			if n := after[name] - before[name]; n != 0 {
				more[name] = n
			}
		}
	}
	return more
}

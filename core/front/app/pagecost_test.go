package app_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/auth"
)

// TestPagesCountTheirRequests to the storage (W18): at most the number that is given,
// with one package and with many.
func TestPagesCountTheirRequests(t *testing.T) {
	g := newPrivate(t, `{"Private":[]}`, func(c *app.Config) { c.Pages, c.Version = &app.Pages{}, app.Version })
	p := newPerson(t, g.App)
	p.signIn(g.token(t, auth.Grant{Role: auth.Admin}))
	g.must(t, g.root, "POST", "/api/repos/hello/snapshots", `{"Name":"one"}`)
	key := g.keyOf(t, "hello")
	most := map[string]int{
		"/": 5, "/-/d/open/s": 25, "/-/d/open/s?q=hello": 26, "/-/p/open/s/main/hello/1.0/all": 5, "/-/search?q=hello": 6, "/open/dists/s/": 5,
		"/-/": 11, "/-/repos": 1, "/-/repos/hello": 9, "/-/repos/hello?q=hello": 9, "/-/compare?of=repos&left=hello&right=hello": 9, "/-/publications/open/s/compare": 9, "/-/packages": 16, "/-/packages?q=hello": 16, "/-/package/" + key: 14, "/-/mirrors": 1, "/-/snapshots": 2,
		"/-/snapshots/one": 9, "/-/compare?left=one&right=one": 6, "/-/publications": 4, "/-/publications/open/s": 18, "/-/publications/open/s/tree": 5, "/-/tasks": 2, "/-/graph": 4, "/-/keys": 1,
		"/-/storage": 7, "/-/tokens": 2, "/-/audit": 2,
	}
	// The rights of a token are read again after a while, so the least of three counts.
	least := func(path string, once func(path string) int) int {
		return min(once(path), once(path), once(path))
	}
	requests := func(path string) int {
		sum := func() (n int) {
			for _, count := range g.memory.Counts() {
				n += count
			}
			return n
		}
		before := sum()
		if code, body := p.get(path); code != 200 {
			t.Errorf("%s: %d %.300s", path, code, body)
		}
		return sum() - before
	}
	for _, path := range slices.Sorted(maps.Keys(most)) {
		bound := most[path]
		if n := least(path, requests); n > bound {
			t.Errorf("%s with one package: %d requests, want at most %d", path, n, bound)
		}
	}
	for i := range 300 {
		g.must(t, g.root, "PUT", fmt.Sprintf("/api/files/d/p%d_1.0_all.deb", i), string(debtest.Deb(debtest.Spec{Package: fmt.Sprintf("p%d", i)})))
	}
	g.must(t, g.root, "POST", "/api/repos/hello/file/d", "")
	g.must(t, g.root, "PUT", "/api/publish/open/s", `{}`)
	for _, path := range slices.Sorted(maps.Keys(most)) {
		bound := most[path]
		if n := least(path, requests); n > bound {
			t.Errorf("%s with 301 packages: %d requests, want at most %d", path, n, bound)
		}
	}
}

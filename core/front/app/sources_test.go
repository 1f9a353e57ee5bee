package app_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// suites returns the URIs and suites of the stanzas for apt at a path.
func suites(t *testing.T, s *apptest.Process, path string) string {
	t.Helper()
	code, text := s.Ask(t, "GET", path, "")
	var found []string
	for stanza := range strings.SplitSeq(text, "\n\n") {
		var uri, suite string
		signed := false
		for line := range strings.Lines(stanza) {
			if v, ok := strings.CutPrefix(line, "URIs: "); ok {
				uri = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "Suites: "); ok {
				suite = strings.TrimSpace(v)
			}
			signed = signed || line == "Signed-By:\n"
		}
		if uri != "" {
			if !signed {
				t.Errorf("%s: %s %s has no key", path, uri, suite)
			}
			found = append(found, strings.TrimPrefix(uri, "http://example.com")+" "+suite)
		}
	}
	if (code == 404) != (found == nil) || code != 200 && code != 404 {
		t.Errorf("%s: %d\n%s", path, code, text)
	}
	if code == 404 && strings.Contains(text, "BEGIN PGP") {
		t.Errorf("%s: a key for nothing", path)
	}
	return strings.Join(found, ", ")
}

// TestSourcesAreThoseAskedFor holds that a text for apt enrols a machine in the requested
// prefix or publication, and never in an unsigned one.
func TestSourcesAreThoseAskedFor(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	www := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m), func(c *app.Config) {
		c.Storages = map[string]driver.Blobs{"filesystem:www": www.Blobs}
	})
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Fill(t, "r", apptest.Deb("a1", "1", "amd64"))
	publish := func(prefix, distribution, more string) {
		s.Must(t, "POST", "/api/publish/"+prefix, `{"SourceKind":"local","Distribution":"`+distribution+`","Sources":[{"Name":"r"}]`+more+`}`, nil)
	}
	publish(":.", "prod", "")
	publish(":.", "dark", `,"Signing":{"Skip":true}`)
	publish("nightly", "sid", "")
	publish("nightly", "next/updates", "")
	publish("team_a", "sid", "")
	publish("bare", "sid", `,"Signing":{"Skip":true}`)
	publish("filesystem:www:x", "sid", "")
	for path, want := range map[string]string{
		"/aptless.sources":                                               " prod",
		"/aptless.sources?prefix=.":                                      " prod",
		"/aptless.sources?prefix=":                                       " prod",
		"/aptless.sources?distribution=dark":                             "",
		"/aptless.sources?distribution=prod":                             " prod",
		"/aptless.sources?distribution=":                                 " prod",
		"/dists/prod/aptless.sources":                                    " prod",
		"/dists/dark/aptless.sources":                                    "",
		"/dists/none/aptless.sources":                                    "",
		"/nightly/aptless.sources":                                       "/nightly next/updates, /nightly sid",
		"/aptless.sources?prefix=nightly":                                "/nightly next/updates, /nightly sid",
		"/aptless.sources?prefix=nightly/":                               "/nightly next/updates, /nightly sid",
		"/aptless.sources?prefix=nightly&distribution=sid":               "/nightly sid",
		"/nightly/aptless.sources?distribution=sid":                      "/nightly sid",
		"/aptless.sources?prefix=nightly&distribution=sid&distribution=": "/nightly sid",
		"/nightly/dists/next/updates/aptless.sources":                    "/nightly next/updates",
		"/team/a/aptless.sources":                                        "/team/a sid",
		"/aptless.sources?prefix=team/a":                                 "/team/a sid",
		"/team/aptless.sources":                                          "",
		"/bare/aptless.sources":                                          "",
		"/none/aptless.sources":                                          "",
		"/x/aptless.sources":                                             "",
		"/aptless.sources?prefix=filesystem:www:x":                       "/repos/www/x sid",
		"/repos/www/x/aptless.sources":                                   "/repos/www/x sid",
		"/repos/www/aptless.sources":                                     "",
		"/repos/-/nightly/aptless.sources?distribution=sid":              "/nightly sid",
		"/aptless.sources?prefix=filesystem:none:x":                      "",
	} {
		if got := suites(t, s, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if _, text := s.Ask(t, "GET", "/bare/aptless.sources", ""); !strings.Contains(text, "not signed") || !strings.Contains(text, "/nightly/aptless.sources") {
		t.Errorf("an address without a publication says\n%s", text)
	}
	before := m.Counts()
	suites(t, s, "/aptless.sources")
	if after := m.Counts(); after["Table.Get"] != before["Table.Get"] || after["Table.Scan"] != before["Table.Scan"]+1 {
		t.Errorf("requests before %v, after %v: want one scan", before, after)
	}
}

// TestSourcesHaveTheKeyOfTheTree holds that a text for apt contains the key that signed
// the tree, also after the server has received other keys.
func TestSourcesHaveTheKeyOfTheTree(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	var keys []*pgp.SecretKey
	for _, name := range []string{"Old", "New"} {
		key, err := pgp.Generate(name, "a@example.org", pgp.Ed25519, apptest.SigningTime)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	with := func(own ...*pgp.SecretKey) *apptest.Process {
		signer, err := pgp.NewSigner(own...)
		if err != nil {
			t.Fatal(err)
		}
		a, err := app.New(t.Context(), apptest.On(m), signer, app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return &apptest.Process{App: a}
	}
	has := func(s *apptest.Process, want ...*pgp.SecretKey) {
		t.Helper()
		_, text := s.Ask(t, "GET", "/aptless.sources", "")
		for _, k := range keys {
			wanted := false
			for _, w := range want {
				wanted = wanted || w == k
			}
			if block := strings.Split(string(k.Armor()), "\n")[3]; strings.Contains(text, block) != wanted {
				t.Errorf("key %s: wanted %v in\n%s", k.UserIDs()[0], wanted, text)
			}
		}
		others, err := s.SignedByOthers(t.Context())
		if err != nil || (len(others) > 0) != (want == nil) {
			t.Errorf("signed by others: %v, %v", others, err)
		}
	}
	old := with(keys[0])
	old.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, old.Dispatcher.Handle, 8) })
	old.Fill(t, "r", apptest.Deb("a1", "1", "amd64"))
	old.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"sid","Sources":[{"Name":"r"}]}`, nil)
	has(old, keys[0])
	has(with(keys[1], keys[0]), keys[0]) // a key rotation has begun; the tree has its former signature
	has(with(keys[1]))
	if _, text := with(keys[1]).Ask(t, "GET", "/aptless.sources", ""); !strings.Contains(text, keys[0].ID().String()) {
		t.Errorf("the key that signed is not named in\n%s", text)
	}
}

package app_test

import (
	"strings"
	"testing"

	"aptless/core/front/app"
	"aptless/core/front/auth"
)

// TestPagesHidePrivatePrefixes from strangers, on every page. A reader of the files sees
// them. Whether a hidden publication exists cannot be seen.
func TestPagesHidePrivatePrefixes(t *testing.T) {
	g := newPrivate(t, `{"Private":["team-a"]}`, func(c *app.Config) { c.Pages = &app.Pages{} })
	reader := g.download(t, "host", "team-a")
	other := g.token(t, auth.Grant{Role: auth.Admin})
	for _, path := range []string{"/", "/-/search?q=hello", "/dists/"} {
		_, page := g.as("", "GET", path, "")
		if strings.Contains(page, "team-a") {
			t.Errorf("%s shows a stranger the private prefix", path)
		}
	}
	shown := func(page string) string { // without the links that lead back to the page itself
		text, _, _ := strings.Cut(page, "<footer")
		return text
	}
	_, absent := g.as("", "GET", "/-/d/team-a/none", "")
	for _, path := range []string{"/-/d/team-a/s", "/-/p/team-a/s/main/hello/1.0/all"} {
		code, page := g.as("", "GET", path, "")
		if code != 401 || shown(page) != shown(absent) {
			t.Errorf("%s: a stranger gets %d: %s", path, code, page)
		}
		for _, secret := range []string{reader, other} {
			if code, page := g.as(secret, "GET", path, ""); code != 200 || !strings.Contains(page, "hello") {
				t.Errorf("%s: a reader gets %d: %s", path, code, page)
			}
		}
	}
	if _, page := g.as(reader, "GET", "/-/d/team-a/s", ""); !strings.Contains(page, "auth.conf.d") {
		t.Error("the page of a private publication does not say where the token belongs")
	}
	for _, path := range []string{"/", "/-/d/open/s", "/-/p/open/s/main/hello/1.0/all", "/-/search?q=hello", "/open/dists/s/", "/open/pool/main/h/hello/"} {
		code, page := g.as("", "GET", path, "")
		head, none := g.as("", "HEAD", path, "")
		if code != 200 || head != 200 || none != "" || !strings.Contains(page, "hello") && strings.Contains(path, "p") && !strings.Contains(path, "dists") && path != "/" {
			t.Errorf("%s: %d, HEAD %d: %s", path, code, head, page)
		}
	}
}

// TestPagesShowPublishedThingsOnly: a package that is in a repository and not published is
// on no page.
func TestPagesShowPublishedThingsOnly(t *testing.T) {
	g := newPrivate(t, `{"Private":[]}`, func(c *app.Config) { c.Pages = &app.Pages{} })
	g.must(t, g.root, "POST", "/api/repos", `{"Name":"secret-repo"}`)
	g.must(t, g.root, "POST", "/api/repos/secret-repo/copy/hello/hello", `{}`)
	for _, path := range []string{"/", "/-/search?q=secret", "/-/d/open/s?q=secret"} {
		if code, page := g.as("", "GET", path, ""); code != 200 || strings.Contains(page, "secret-repo") {
			t.Errorf("%s: %d %s", path, code, page)
		}
	}
	for path, want := range map[string]int{"/-/d/open/none": 404, "/-/d/none/s": 404, "/-/p/open/s/main/hello/2.0/all": 404, "/-/p/open/s/main/x,Name/1.0/all": 404,
		"/-/d/open": 404, "/-/search?q=Name+(%25+": 400, "/none/": 404, "/open/dists/s/Release": 200, "/key.asc": 200} {
		if code, page := g.as("", "GET", path, ""); code != want {
			t.Errorf("%s: %d, want %d: %.300s", path, code, want, page)
		}
	}
}

// TestPagesLinkFoldersThatAreThere: a publication of the pool layout hash has no folder of
// packages that a person could walk through. One without packages has none at all.
func TestPagesLinkFoldersThatAreThere(t *testing.T) {
	g := newPrivate(t, `{"Private":[]}`, func(c *app.Config) { c.Pages = &app.Pages{} })
	g.must(t, g.root, "POST", "/api/repos", `{"Name":"empty"}`)
	for prefix, more := range map[string]string{
		"hashed": `"Sources":[{"Name":"hello"}],"PoolLayout":"hash"`,
		"bare":   `"Sources":[{"Name":"empty"}]`,
	} {
		g.must(t, g.root, "POST", "/api/publish/"+prefix, `{"SourceKind":"local","Distribution":"s","Architectures":["amd64"],`+more+`}`)
	}
	for prefix, want := range map[string]bool{"open": true, "hashed": false, "bare": false} {
		for _, path := range []string{"/", "/-/d/" + prefix + "/s"} {
			code, page := g.as("", "GET", path, "")
			if got := strings.Contains(page, `"/`+prefix+`/pool/"`); code != 200 || got != want || !strings.Contains(page, `"/`+prefix+`/dists/`) {
				t.Errorf("%s: %d, a link to the packages of %s: %v", path, code, prefix, got)
			}
		}
	}
}

package browser

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// manyPackages is the number of packages of a long list. All of them differ between the
// snapshots that are compared.
const manyPackages = 20_000

// TestLongLists follows the update of a mirror with many packages, finds one of them, and
// compares snapshots that differ in all of them.
func TestLongLists(t *testing.T) {
	s := serve(t)
	hold := make(chan bool)
	a := archiveOf(t, manyPackages, hold)
	b := open(t, s)
	b.look("light", 1280)
	s.mirror(t, "upstream", a.url+"/2")
	b.part(t, "W4 an update is followed on the page", func(t *testing.T) {
		b.visit("/-/mirrors/upstream/update")
		ask[bool](b, `document.querySelector("[name=unsigned]").checked = true`)
		b.press("Preview")
		b.press("Update the mirror")
		ask[bool](b, "(window.stays = true)")
		b.shows("running")
		b.shows("1 of 1 packages to come")
		close(hold)
		b.shows("succeeded")
		if !ask[bool](b, "window.stays === true") {
			t.Error("the page was loaded anew")
		}
		b.press("To the result")
		b.shows("tool00000")
	})
	s.json(t, "POST", "/api/mirrors/upstream/snapshots", `{"Name":"after"}`)
	s.json(t, "POST", "/api/repos", `{"Name":"few"}`)
	s.json(t, "POST", "/api/repos/few/snapshots", `{"Name":"before"}`)
	s.json(t, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Distribution":"stable","PoolLayout":"hash","Sources":[{"Name":"after"}]}`)
	b.part(t, "W2 find a package see where it is published download it", func(t *testing.T) {
		b.visit("/-/d/-/stable")
		b.do(chromedp.SendKeys(chromedp.ID("q"), "tool1234"))
		b.shows("10 shown") // the page follows the typing
		b.find(t, a)
	})
	b.part(t, "W3 compare filter go to one package", func(t *testing.T) { b.compare(t) })
	b.part(t, "W11 the same with scripts off", func(t *testing.T) {
		quiet := open(t, s)
		quiet.t = t
		quiet.scriptsOff()
		quiet.find(t, a)
		quiet.compare(t)
	})
}

// find searches for a package by a query, and downloads it.
func (b *tab) find(t *testing.T, a *archive) {
	b.visit("/-/d/-/stable")
	b.fillIn("q", "Name (% *12345), $Architecture (amd64)")
	b.press("Find")
	b.shows("1 shown")
	b.press("tool12345")
	b.shows("tool of the number 12345")
	digest := ask[string](b, `document.querySelector("main td .key").textContent.trim()`)
	file := ask[string](b, `document.querySelector("main tbody a").getAttribute("href")`)
	status, _, data := b.s.try(t, "GET", file, "", nil)
	if got := fmt.Sprintf("%x", sha256.Sum256(data)); status != http.StatusOK || got != digest || len(data) != len(a.file) {
		t.Errorf("%s: %d, %d bytes with the digest %s, and the page has %s", file, status, len(data), got, digest)
	}
	b.visit("/-/packages?q=tool12345")
	b.press("tool12345")
	b.shows("Where it is")
	if in := ask[string](b, `[...document.querySelectorAll("main dd a")].map(a => a.getAttribute("href")).join(" ")`); !strings.Contains(in, "/-/publications/-/stable") || !strings.Contains(in, "/-/mirrors/upstream") {
		t.Errorf("it is in %s", in)
	}
}

// compare compares two snapshots, and goes to a package of the differences.
func (b *tab) compare(t *testing.T) {
	b.visit("/-/compare?left=before&right=after")
	b.shows("Differences: 20,000")
	b.press("Next page")
	b.shows("tool00100")
	b.visit("/-/compare?left=before&right=after")
	b.fillIn("name", "tool0777")
	b.press("Compare")
	b.shows("10 shown")
	b.press("2.0")
	b.shows("tool of the number 7770")
	if at := ask[string](b, "location.pathname"); !strings.HasPrefix(at, "/-/package/") {
		t.Errorf("the link leads to %s", at)
	}
}

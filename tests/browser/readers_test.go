package browser

import (
	"strings"
	"testing"
)

// TestPagesForReaders opens each page for readers in both themes and at both widths. axe
// finds nothing, and no page loads anything from elsewhere.
func TestPagesForReaders(t *testing.T) {
	about := []string{"--title", "Example repository", "--about", "Packages of the Example project for Debian.", "--contact", "https://www.example.org/contact"}
	b := open(t, serve(t, about...))
	b.everywhere("/")
	b = open(t, serveFilled(t, about...))
	b.visit("/-/d/-/stable?q=hostile")
	hostile := ask[string](b, `document.querySelector("#found th a").getAttribute("href")`)
	b.everywhere("/", "/-/d/-/stable", "/-/d/team_a/bookworm", "/-/d/-/stable?q=nothing-has-this-name", "/-/p/-/stable/main/hello/2.10-3/amd64", hostile,
		"/-/search", "/-/search?q=hello", "/-/search?q="+escaped("Name (% "), "/dists/stable/", "/pool/main/h/hello/", "/-/d/-/absent")
	b.visit(hostile)
	if text := b.text(); !strings.Contains(text, "<script>document.title='taken'</script>") || !strings.Contains(text, "javascript:document.title") || !strings.Contains(text, "and 9,700 more") {
		t.Errorf("the hostile package is not shown as text: %.2000s", text)
	}
}

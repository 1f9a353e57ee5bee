package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"aptless/core/formats/deb/debtest"
)

// key returns the address of the page of a package by a link of the current page.
func (b *tab) link(text string) string {
	b.t.Helper()
	return ask[string](b, `[...document.querySelectorAll("main a")].find(a => a.textContent.trim().startsWith(`+quote(text)+`)).getAttribute("href")`)
}

// press presses the button or link that has a text.
func (b *tab) press(text string) {
	b.t.Helper()
	expression := `[...document.querySelectorAll("main a, main button")].find(a => a.textContent.trim() === ` + quote(text) + `)`
	ctx, cancel := contextOf(b)
	defer cancel()
	if !ask[bool](b, "!!"+expression) {
		b.t.Fatalf("there is no button %q: %.2000s", text, b.text())
	}
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.JSPath(expression))); err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
}

// fillIn sets the value of a field.
func (b *tab) fillIn(name, value string) {
	b.t.Helper()
	ask[bool](b, `(() => {const f = document.querySelector(`+quote(`main [name="`+name+`"]`)+`); f.value = `+quote(value)+`; return true})()`)
}

// TestPagesOfTheConsole opens each page in both themes and at both widths, on an empty
// server and on one with objects of all kinds.
func TestPagesOfTheConsole(t *testing.T) {
	b := open(t, serve(t))
	lists := []string{"/-/", "/-/repos", "/-/packages", "/-/mirrors", "/-/snapshots", "/-/publications", "/-/tasks", "/-/graph", "/-/keys", "/-/storage", "/-/audit"}
	b.glance(lists...)
	b = open(t, serveFilled(t))
	b.everywhere(lists...)
	b.visit("/-/repos/stable?q=hostile")
	hostile := b.link("hostile")
	b.visit("/-/repos/stable?q=hello")
	hello := b.link("hello")
	b.visit("/-/tasks")
	failed := b.link("Update mirror never-updated")
	b.everywhere("/-/repos/stable", hello+"?contents=1", hostile, "/-/mirrors/upstream", "/-/compare?left=stable-2026-11-01&right=stable-2026-11-20",
		"/-/publications/-/stable", "/-/publications/-/stable/tree?path=dists/stable/main", failed, "/-/repos/stable/upload")
	b.glance("/-/repos/empty", "/-/repos/stable?q=nothing", "/-/repos/absent", "/-/packages?q="+escaped("Name (% "), "/-/mirrors/never-updated", "/-/snapshots/stable-2026-11-01", "/-/compare",
		"/-/publications/team_a/bookworm", "/-/graph?of=stable-2026-11-01", "/-/new/repo", "/-/repos/stable/edit", "/-/snapshots/stable-2026-11-01/edit", "/-/new/clear", "/-/repos/stable/snapshot", "/-/repos/stable/publish", "/-/repos/stable/drop", "/-/mirrors/upstream/update",
		"/-/publications/-/stable/update", "/-/publications/team_a/bookworm/switch", "/-/publications/-/stable/drop", "/-/sign-in")
	b.visit(hostile)
	if text := b.text(); !strings.Contains(text, "<script>document.title='taken'</script>") || ask[string](b, "document.title") == "taken" {
		t.Errorf("the hostile package is not shown as text: %.1000s", text)
	}
}

// debFile writes a package to a file, and returns its path.
func debFile(t *testing.T, spec debtest.Spec) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), debtest.FileName(spec))
	if err := os.WriteFile(file, debtest.Deb(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

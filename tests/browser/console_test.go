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
	s := serve(t)
	b := open(t, s)
	lists := []string{"/-/", "/-/repos", "/-/packages", "/-/mirrors", "/-/snapshots", "/-/publications", "/-/tasks", "/-/graph", "/-/keys", "/-/storage", "/-/audit"}
	b.everywhere(lists...)
	s.fill(t)
	b.everywhere(lists...)
	b.visit("/-/repos/stable?q=hostile")
	hostile := b.link("hostile")
	b.visit("/-/repos/stable?q=hello")
	hello := b.link("hello")
	b.visit("/-/tasks")
	failed := b.link("Update mirror never-updated")
	b.everywhere("/-/repos/stable", "/-/repos/empty", "/-/repos/stable?q=nothing", "/-/repos/absent", "/-/packages?q="+escaped("Name (% "), hello+"?contents=1", hostile,
		"/-/mirrors/upstream", "/-/mirrors/never-updated", "/-/snapshots/stable-2026-11-01", "/-/compare", "/-/compare?left=stable-2026-11-01&right=stable-2026-11-20",
		"/-/publications/-/stable", "/-/publications/team_a/bookworm", "/-/publications/-/stable/tree?path=dists/stable/main", failed, "/-/graph?of=stable-2026-11-01",
		"/-/new/repo", "/-/repos/stable/upload", "/-/repos/stable/snapshot", "/-/repos/stable/publish", "/-/repos/stable/drop", "/-/mirrors/upstream/update",
		"/-/publications/-/stable/update", "/-/publications/team_a/bookworm/switch", "/-/publications/-/stable/drop", "/-/sign-in")
	b.visit(hostile)
	if text := b.text(); !strings.Contains(text, "<script>document.title='taken'</script>") || ask[string](b, "document.title") == "taken" {
		t.Errorf("the hostile package is not shown as text: %.1000s", text)
	}
}

// TestUploadAndPublish by a person: a file, the preview of its import, a publication by
// preview, a switch between snapshots, and the way back.
func TestUploadAndPublish(t *testing.T) {
	s := serve(t)
	b := open(t, s)
	b.look("light", 1280)
	b.visit("/-/new/repo")
	b.fillIn("name", "tools")
	b.fillIn("distribution", "stable")
	b.press("Preview")
	b.press("Create the repository")
	file := filepath.Join(t.TempDir(), "hello_1.0_amd64.deb")
	if err := os.WriteFile(file, debtest.Deb(debtest.Spec{Version: "1.0", Architecture: "amd64"}), 0o644); err != nil {
		t.Fatal(err)
	}
	b.press("Upload packages")
	b.do(chromedp.SetUploadFiles(chromedp.ID("files"), []string{file}))
	b.click("Upload")
	b.shows("Import into tools")
	b.press("Preview")
	b.shows("hello_1.0_amd64.deb")
	b.press("Import the packages")
	b.shows("succeeded")
	b.press("To the result")
	b.shows("hello")
	b.press("Publish")
	b.press("Preview")
	b.shows("Added: 1.")
	b.press("Publish")
	b.shows("succeeded")
	b.press("To the result")
	b.shows("current")
	if status, _, _ := s.try(t, "GET", "/dists/stable/InRelease", "", nil); status != 200 {
		t.Errorf("the publication is not served: %d", status)
	}
	b.quiet()

	b.visit("/-/repos/tools/snapshot")
	b.fillIn("snapshot", "one")
	b.press("Preview")
	b.shows("packages of tools as they are now: 1.")
	b.press("Make the snapshot")
	b.shows("succeeded")
	s.add(t, "tools", debtest.Spec{Version: "2.0", Architecture: "amd64"})
	s.json(t, "POST", "/api/repos/tools/snapshots", `{"Name":"two"}`)
	s.json(t, "POST", "/api/publish/snap", `{"SourceKind":"snapshot","Distribution":"stable","Sources":[{"Name":"one"}]}`)
	b.visit("/-/publications/snap/stable/switch")
	b.fillIn("snapshot-main", "two")
	b.press("Preview")
	b.shows("Added: 1.")
	s.json(t, "POST", "/api/publish/snap/stable/update", `{"Label":"moved"}`) // the world moves
	b.press("Publish the snapshots")
	b.shows("it has changed since your preview")
	b.press("Publish the snapshots")
	b.shows("succeeded")
	if _, _, index := s.try(t, "GET", "/snap/dists/stable/main/binary-amd64/Packages", "", nil); !strings.Contains(string(index), "Version: 2.0") {
		t.Errorf("the switch is not published: %s", index)
	}
	b.visit("/-/publications/snap/stable")
	b.press("Go back to 1")
	b.press("Preview")
	b.shows("Removed: 1.")
	b.press("Publish the former state")
	b.shows("succeeded")
	if _, _, index := s.try(t, "GET", "/snap/dists/stable/main/binary-amd64/Packages", "", nil); strings.Contains(string(index), "Version: 2.0") {
		t.Errorf("the former state is not published: %s", index)
	}

	b.visit("/-/publications/snap/stable/drop")
	b.press("Preview")
	b.fillIn("confirm", "other")
	b.press("Drop the publication")
	b.shows("Nothing was done")
	if status, _, _ := s.try(t, "GET", "/api/publish/snap/stable", "", nil); status != 200 {
		t.Errorf("a wrong name has dropped the publication: %d", status)
	}
	b.fillIn("confirm", "snap/stable")
	b.press("Drop the publication")
	b.shows("succeeded")
	if status, _, _ := s.try(t, "GET", "/api/publish/snap/stable", "", nil); status != 404 {
		t.Errorf("the publication is not dropped: %d", status)
	}
	b.quiet()
}

package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestForms copies, moves and removes packages, and merges, filters and pulls into
// snapshots. It stages sources, changes a mirror, trusts a key and measures the storage.
// Each form has a preview.
func TestForms(t *testing.T) {
	s := serveFilled(t)
	b := open(t, s)
	b.look("light", 1280)
	act := func(path, submit, preview string, fields ...string) {
		t.Helper()
		b.visit(path)
		for i := 0; i < len(fields); i += 2 {
			if fields[i+1] == "tick" {
				ask[bool](b, `document.querySelector('main [name="`+fields[i]+`"]').checked = true`)
			} else {
				b.fillIn(fields[i], fields[i+1])
			}
		}
		b.press("Preview")
		b.shows(preview)
		b.valid(path)
		b.press(submit)
	}
	holds := func(list, want string) {
		t.Helper()
		if _, _, keys := s.try(t, "GET", list, "", nil); strings.Count(string(keys), `"P`) != strings.Count(want, " ")+1 || !strings.Contains(string(keys), strings.Fields(want)[0]+" ") {
			t.Errorf("%s has %s, want %s", list, keys, want)
		}
	}
	b.part(t, "repositories", func(t *testing.T) {
		act("/-/repos/stable/copy", "Copy the packages", "Added: 2. Removed: 0.", "query", "hello", "to", "empty")
		b.shows("succeeded")
		holds("/api/repos/empty/packages", "hello hello")
		act("/-/repos/empty/remove", "Remove the packages", "Removed: 1.", "query", "hello (= 2.12-1)")
		b.shows("succeeded")
		holds("/api/repos/empty/packages", "hello")
		act("/-/repos/stable/copy", "Copy the packages", "Added: 1. Removed: 1.", "query", "greeter", "to", "empty", "move", "tick")
		b.shows("succeeded")
		holds("/api/repos/empty/packages", "greeter hello")
	})
	b.part(t, "uploaders and comparisons", func(t *testing.T) {
		b.visit("/-/repos/stable")
		b.press("Uploaders")
		b.fillIn("rules", `{"rules": [{"condition": "Name (% lib*)", "allow": ["0123456789ABCDEF"]}]}`)
		b.press("Preview")
		b.shows("Name (% lib*): allows 0123456789ABCDEF, denies none")
		b.press("Change the uploaders")
		b.shows("succeeded")
		b.press("To the result")
		b.shows("Allowed keys")
		b.visit("/-/compare?of=repos&left=empty&right=stable")
		b.shows("Added: 6")
		b.press("as Markdown")
		b.shows("| greeter-data | all |  | 2.10-3 |")
		b.press("Removed: 1")
		b.shows("1 shown")
		b.visit("/-/publications/-/stable")
		b.press("1 added, 0 removed")
		b.shows("2.12-1")
		b.press("as JSON")
		b.shows(`"Component": "main"`)
		b.glance("/-/repos/stable", "/-/repos/stable/uploaders", "/-/compare?of=repos&left=empty&right=stable&text=markdown", "/-/publications/-/stable/compare")
	})
	b.part(t, "a query by its fields", func(t *testing.T) {
		b.visit("/-/repos/stable")
		ask[bool](b, `document.querySelector("details.terms").open = true`)
		b.fillIn("name", "*hello*")
		b.fillIn("version", ">= 2.12")
		b.press("Find by fields")
		b.shows("1 shown")
		if query := ask[string](b, `document.getElementById("q").value`); query != `Name (% "*hello*"), $Version (>= "2.12")` {
			t.Errorf("the form has written %s", query)
		}
		b.visit("/-/repos/stable")
		b.do(chromedp.SendKeys(chromedp.ID("q"), "Name ("))
		b.shows("The query cannot be read")
		b.do(chromedp.SendKeys(chromedp.ID("q"), "= hello)"))
		b.shows("2 shown")
	})
	b.part(t, "snapshots", func(t *testing.T) {
		act("/-/new/merge", "Make the snapshot", "Packages: ", "snapshot", "merged", "sources", "stable-2026-11-01\nstable-2026-11-20")
		b.shows("succeeded")
		act("/-/snapshots/merged/filter", "Make the snapshot", "Packages: 1.", "snapshot", "filtered", "queries", "libgreeting1")
		b.shows("succeeded")
		holds("/api/snapshots/filtered/packages", "libgreeting1")
		act("/-/snapshots/filtered/pull", "Make the snapshot", "Adds hello-doc_2.10-3_all", "source", "merged", "snapshot", "pulled", "queries", "hello-doc", "alone", "tick")
		b.shows("succeeded")
		holds("/api/snapshots/pulled/packages", "hello-doc libgreeting1")
	})
	b.part(t, "sources of a publication", func(t *testing.T) {
		act("/-/publications/team_a/bookworm/sources", "Stage the sources", "Component extra from filtered.", "sources", "main: merged\nextra: filtered")
		b.shows("succeeded")
		b.press("To the result")
		b.shows("staged for the next update")
		b.press("Discard them")
		b.press("Preview")
		b.press("Discard them")
		b.shows("succeeded")
		b.press("To the result")
		if strings.Contains(b.text(), "staged for the next update") {
			t.Error("the staged sources are there")
		}
	})
	b.part(t, "mirrors and keys and the storage", func(t *testing.T) {
		act("/-/new/mirror", "Create the mirror", "Only packages that match: hello", "name", "made", "url", s.url+"/", "distribution", "stable", "components", "main", "filter", "hello")
		b.shows("public key") // no key of the archive is trusted
		_, _, key := s.try(t, "GET", "/key.asc", "", nil)
		act("/-/new/trust", "Trust the key", "to the default ring", "armor", string(key))
		b.shows("Keys of the default ring")
		act("/-/new/mirror", "Create the mirror", "Only packages that match: hello", "name", "made", "url", s.url+"/", "distribution", "stable", "components", "main", "filter", "hello")
		b.shows("The mirror was never updated.")
		act("/-/mirrors/made/edit", "Change the mirror", "Only packages that match: greeter", "filter", "greeter")
		b.shows("greeter")
		act("/-/storage/check", "Check the storage", "The task reads")
		b.shows("succeeded")
		b.press("To the result")
		b.shows("The largest ones first")
		b.visit("/-/keys")
		b.glance("/-/new/mirror", "/-/mirrors/made/edit", "/-/new/merge", "/-/snapshots/merged/pull", "/-/snapshots/merged/filter", "/-/repos/stable/copy", "/-/repos/stable/remove",
			"/-/publications/team_a/bookworm/sources", "/-/keys", "/-/new/trust", "/-/storage", "/-/storage/check")
	})
}

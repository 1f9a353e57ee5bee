package browser

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"aptless/core/formats/deb/debtest"
)

// TestFirstVisit of a machine's administrator: the text that is copied from the page of a
// distribution makes apt read it and download from it.
func TestFirstVisit(t *testing.T) {
	s := serveFilled(t)
	b := open(t, s)
	b.part(t, "W1 the copied text", func(t *testing.T) {
		b.look("light", 1280)
		b.visit("/")
		b.press("stable")
		for _, variant := range []string{"sources", "keyfile"} {
			sees(t, machine(t, b.copied(variant)), "hello", "2.12-1")
		}
	})
	b.part(t, "W9 the tree and a dated state", func(t *testing.T) { b.tree(t) })
	b.part(t, "W11 the tree with scripts off", func(t *testing.T) {
		quiet := open(t, s)
		quiet.t = t
		quiet.scriptsOff()
		quiet.tree(t)
	})
}

// tree goes through the folders of a publication to a package file, and to the state of
// the publication at a date.
func (b *tab) tree(t *testing.T) {
	b.visit("/-/d/-/stable")
	b.press("package files")
	for _, folder := range []string{"main/", "h/", "hello/"} {
		b.press(folder)
	}
	file := b.link("hello_2.12-1_amd64.deb")
	if status, _, data := b.s.try(t, "GET", "/pool/main/h/hello/"+strings.TrimPrefix(file, "./"), "", nil); status != 200 || len(data) == 0 {
		t.Errorf("%s: %d, %d bytes", file, status, len(data))
	}
	b.visit("/-/publications/-/stable/tree")
	for _, folder := range []string{"dists/", "stable/", "main/", "binary-amd64/"} {
		b.press(folder)
	}
	b.shows("Packages.gz")
	b.visit("/-/d/-/stable")
	dated := b.link("/snapshots/")
	if status, _, data := b.s.try(t, "GET", dated, "", nil); status != 200 || !strings.Contains(string(data), "Suite: stable") {
		t.Errorf("the dated state %s: %d %.200s", dated, status, data)
	}
}

// dropFile drags a file onto the form of an upload.
func (b *tab) dropFile(name string, content []byte) {
	b.t.Helper()
	ask[bool](b, `(() => {
		const bytes = Uint8Array.from(atob(`+quote(base64.StdEncoding.EncodeToString(content))+`), c => c.charCodeAt(0));
		const dragged = new DataTransfer();
		dragged.items.add(new File([bytes], `+quote(name)+`));
		const target = document.querySelector("form[data-upload] .drop");
		for (const kind of ["dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, {dataTransfer: dragged, bubbles: true, cancelable: true}));
		return true;
	})()`)
}

// dateOf returns the date of a Release file.
func (s *server) dateOf(t *testing.T, dist string) time.Time {
	t.Helper()
	_, _, text := s.try(t, "GET", dist+"/InRelease", "", nil)
	_, rest, _ := strings.Cut(string(text), "\nDate: ")
	line, _, _ := strings.Cut(rest, "\n")
	at, err := time.Parse(time.RFC1123, line)
	if err != nil {
		t.Fatalf("%s: %v: %.200s", dist, err, text)
	}
	return at
}

// TestActing by a person: a file, the preview of its import, and a publication by preview.
// Then a switch between snapshots, the way back, and a publication that is dropped.
func TestActing(t *testing.T) {
	s := serve(t)
	b := open(t, s)
	b.look("light", 1280)
	b.part(t, "W5 upload publish by preview seen by apt", func(t *testing.T) {
		b.visit("/-/new/repo")
		b.fillIn("name", "tools")
		b.fillIn("distribution", "stable")
		b.press("Preview")
		b.press("Create the repository")
		b.press("Upload packages")
		b.dropFile("hello_1.0_amd64.deb", debtest.Deb(debtest.Spec{Version: "1.0", Architecture: "amd64"}))
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
		b.visit("/-/d/-/stable")
		sees(t, machine(t, b.copied("sources")), "hello", "1.0")
	})
	b.part(t, "W6 W7 switch refused if it has changed since the preview and rollback", func(t *testing.T) {
		b.visit("/-/repos/tools/snapshot")
		b.fillIn("snapshot", "one")
		b.press("Preview")
		b.shows("packages of tools as they are now: 1.")
		b.press("Make the snapshot")
		b.shows("succeeded")
		s.add(t, "tools", debtest.Spec{Version: "2.0", Architecture: "amd64"})
		s.json(t, "POST", "/api/repos/tools/snapshots", `{"Name":"two"}`)
		s.json(t, "POST", "/api/publish/snap", `{"SourceKind":"snapshot","Distribution":"stable","Sources":[{"Name":"one"}]}`)
		b.visit("/-/d/snap/stable")
		client := machine(t, b.copied("sources"))
		sees(t, client, "hello", "1.0")
		b.visit("/-/publications/snap/stable/switch")
		b.fillIn("snapshot-main", "two")
		b.press("Preview")
		b.shows("Added: 1.")
		s.json(t, "POST", "/api/publish/snap/stable/update", `{"Label":"moved"}`) // the world moves
		b.press("Publish the snapshots")
		b.shows("it has changed since your preview")
		if _, _, index := s.try(t, "GET", "/snap/dists/stable/main/binary-amd64/Packages", "", nil); strings.Contains(string(index), "Version: 2.0") {
			t.Error("the switch was made although the publication has changed")
		}
		b.press("Publish the snapshots")
		b.shows("succeeded")
		client.Forget(t) // apt asks for a confirmation of the new Label
		sees(t, client, "hello", "2.0")
		switched := s.dateOf(t, "/snap/dists/stable")
		b.visit("/-/publications/snap/stable")
		b.press("Go back to 1")
		b.press("Preview")
		b.shows("Removed: 1.")
		b.press("Publish the former state")
		b.shows("succeeded")
		client.Forget(t)
		sees(t, client, "hello", "1.0")
		if at := s.dateOf(t, "/snap/dists/stable"); !at.After(switched) {
			t.Errorf("the date of the former state is %s, not after %s", at, switched)
		}
	})
	b.part(t, "W8 drop with a wrong name", func(t *testing.T) {
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
	})
}

// tabTo moves the focus by the Tab key to an element that has a text, a name or an ID.
func (b *tab) tabTo(want string) {
	b.t.Helper()
	for range 60 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if ask[bool](b, `(e => [e.textContent.trim(), e.name, e.id].includes(`+quote(want)+`))(document.activeElement)`) {
			if !ask[bool](b, `document.activeElement.matches(":focus-visible") && getComputedStyle(document.activeElement).outlineStyle !== "none" || document.activeElement.type === "file"`) {
				b.t.Errorf("the focus on %q is not seen", want)
			}
			return
		}
	}
	b.t.Fatalf("Tab does not reach %q: %.2000s", want, b.text())
}

// enter moves the focus to an element, presses Enter, and waits for the next page.
func (b *tab) enter(want string) {
	b.t.Helper()
	b.tabTo(want)
	ctx, cancel := contextOf(b)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		b.t.Fatalf("%s: %v", want, err)
	}
}

// keys types into the element of a name.
func (b *tab) keys(name, text string) {
	b.t.Helper()
	b.tabTo(name)
	b.do(chromedp.KeyEvent(text))
}

// TestActingByKeyboard uploads and publishes without a mouse.
func TestActingByKeyboard(t *testing.T) {
	s := serve(t)
	b := open(t, s)
	b.look("light", 1280)
	b.part(t, "W12 upload and publish by keyboard", func(t *testing.T) {
		b.visit("/-/")
		b.tabTo("Skip to the content")
		b.do(chromedp.KeyEvent(kb.Enter))
		if at := ask[string](b, "document.activeElement.id"); at != "main" {
			t.Errorf("the first link skips to %q", at)
		}
		b.visit("/-/")
		b.enter("Repositories")
		b.enter("New repository")
		b.keys("name", "tools")
		b.keys("distribution", "stable")
		b.enter("Preview")
		b.enter("Create the repository")
		b.enter("Upload packages")
		b.tabTo("files")
		b.do(chromedp.SetUploadFiles(chromedp.ID("files"), []string{debFile(t, debtest.Spec{Version: "1.0", Architecture: "amd64"})}))
		b.tabTo("Upload")
		b.do(chromedp.KeyEvent(kb.Enter))
		b.shows("Import into tools")
		b.enter("Preview")
		b.enter("Import the packages")
		b.shows("succeeded")
		b.enter("To the result")
		b.enter("Publish")
		b.enter("Preview")
		b.enter("Publish")
		b.shows("succeeded")
		b.enter("To the result")
		b.visit("/-/d/-/stable")
		sees(t, machine(t, b.copied("keyfile")), "hello", "1.0")
	})
}

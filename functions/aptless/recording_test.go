package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"aptless/core/front/app/apptest"
	"aptless/tests/freeport"
)

var record = flag.Int("record", 0, "write docs/cli.md from a session with this number of packages; make recordings")

// sequence is a sequence of a terminal (ECMA-48), an end of a line, or text.
var sequence = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+`)

// phaseOf is the part of a bar with the phase of a task.
var phaseOf = regexp.MustCompile(`: (Release|indexes|files|list|plan|packages|sign|switch|uploads)\b.*`)

// bar is a bar that is not done.
var bar = regexp.MustCompile(`^\s*\d+\.\d+% \[`)

// screen returns the last screen of a session at a terminal, and the bar of each phase that
// it has shown.
func screen(text string) (last string, phases []string) {
	lines, y, shown := []string{""}, 0, ""
	for _, s := range sequence.FindAllString(text, -1) {
		switch {
		case s == "\n":
			y++
		case strings.HasSuffix(s, "A"): // cursor up: a frame has ended
			n := 1
			_, _ = fmt.Sscanf(s, "\x1b[%dA", &n)
			y = max(0, y-n)
			for _, l := range lines[y:] {
				if at := phaseOf.FindStringSubmatch(l); at != nil && at[1] != shown && !strings.Contains(l, "done!") {
					shown, phases = at[1], append(phases, strings.TrimRight(l, " "))
				}
			}
		case strings.HasSuffix(s, "K"):
			lines[y] = ""
		case strings.HasPrefix(s, "\x1b"), s == "\r":
		default:
			lines[y] += s
		}
		for len(lines) <= y {
			lines = append(lines, "")
		}
	}
	var kept []string
	for _, l := range lines {
		if !bar.MatchString(l) { // of a file that has left the screen
			kept = append(kept, strings.TrimRight(l, " "))
		}
	}
	return strings.TrimSpace(strings.Join(kept, "\n")), phases
}

// TestRecordedSession runs the session that docs/cli.md shows: push, an update of a mirror,
// a snapshot and a publication, each at a terminal. With -record it writes the page.
func TestRecordedSession(t *testing.T) {
	n := max(*record, 5)
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	far := newRunning(t, withKey(t), "--listen", address)
	near := newRunning(t, withKey(t), "--allow-upstream", "127.0.0.1")
	home := t.TempDir()
	big, few := filepath.Join(home, "big"), filepath.Join(home, "few")
	for _, dir := range []string{big, few} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		dir := big
		if i < 3 {
			dir = few
		}
		name := fmt.Sprintf("tool-%05d", i)
		if err := os.WriteFile(filepath.Join(dir, name+"_1.0_amd64.deb"), apptest.Deb(name, "1.0", "amd64"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := far.must("GET", "/key.asc", "")
	if err := os.WriteFile(filepath.Join(home, "key.asc"), []byte(key), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := line(t, time.Now(), "push", "--url", "unix://"+far.socket, "--repo", "r", "--create", "--publish", "stable", big); code != 0 {
		t.Fatal(out)
	}
	near.must("GET", "/api/version", "")
	page := ""
	for _, words := range []string{
		"push --repo tools --create --publish stable FEW", "push --repo tools --publish stable FEW", "push --repo big --create --publish nightly BIG", "key trusted add KEY",
		"mirror create far http://" + address + " stable", "mirror update far", "snapshot create far-1 from mirror far", "publish snapshot -distribution=frozen far-1 far",
		"publish list", "publish history frozen far", "repo show tols",
	} {
		real := strings.NewReplacer("FEW", few, "BIG", big, "KEY", filepath.Join(home, "key.asc")).Replace(words)
		text, code := atTerminal(t, []string{"APTLESS_URL=unix://" + near.socket}, strings.Fields(real)...)
		if want := map[bool]int{true: 3}[words == "repo show tols"]; code != want {
			t.Fatalf("%s: exit code %d\n%s", words, code, text)
		}
		last, phases := screen(text)
		page += "$ aptless " + strings.NewReplacer("FEW", "few", "BIG", "big", "KEY", "key.asc").Replace(words) + "\n"
		for _, p := range phases {
			page += p + "\n"
		}
		shown := strings.NewReplacer("unix://"+near.socket, "http://127.0.0.1:8080", address, "archive.example.org", home+"/", "").Replace(last)
		if all := strings.Split(shown, "\n"); len(all) > 20 {
			shown = strings.Join(append(append(all[:3:3], fmt.Sprintf("… %d lines …", len(all)-8)), all[len(all)-5:]...), "\n")
		}
		page += shown + "\n\n"
	}
	page = strings.ReplaceAll(page, address, "archive.example.org")
	for _, part := range []string{"done!", "published ./stable", "nothing new: 3 files", "Mirror `far` has been successfully updated.", "aptless repo show tools"} {
		if !strings.Contains(page, part) {
			t.Errorf("the session has no %q:\n%s", part, page)
		}
	}
	if *record == 0 {
		return
	}
	const path = "../../docs/cli.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), "## A recorded session\n")
	_, after, ends := strings.Cut(rest, "\n## Which server")
	if !found || !ends {
		t.Fatalf("%s has no recorded session", path)
	}
	text := fmt.Sprintf("%s## A recorded session\n\nThe lines below are those of a terminal, recorded by `make recordings` on %s. `few` has three packages, and `big` has %d. For each\ncommand, the first lines are the bars when a phase began.\n\n```\n%s```\n\n## Which server%s",
		before, time.Now().UTC().Format("2 January 2006"), n-3, strings.TrimSuffix(page, "\n"), after)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

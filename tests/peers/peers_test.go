package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEachInstalledPeerIsMeasured runs the benchmark with few packages.
func TestEachInstalledPeerIsMeasured(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is missing")
	}
	bin := filepath.Join(t.TempDir(), "aptless")
	if out, err := exec.Command("go", "build", "-o", bin, "../../functions/aptless").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	work := t.TempDir()
	var out, progress bytes.Buffer
	err := bench(options{aptless: bin, packages: 20, runs: 1, work: work, peers: "aptless,aptly,reprepro"}, &out, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(out.String()) {
		if cells := strings.Split(line, "|"); len(cells) > 4 {
			rows[strings.TrimSpace(cells[1])] = cells
		}
	}
	for _, name := range []string{"import by one call", "first publication", "first publication, Contents", "one more", "one more, Contents",
		"nothing changed", "switch, few changed", "drop, to the answer", "drop, all gone", "mirror, first update", "mirror, 1 % changed",
		"snapshot diff", "query, field by regular expression", "all packages, details", "query by name, all packages", "start with data"} {
		if cells := rows[name]; len(cells) < 3 || strings.TrimSpace(cells[2]) == "" {
			t.Errorf("no figure of aptless for %q", name)
		}
	}
	for _, peer := range []string{"aptly", "reprepro"} {
		_, err := exec.LookPath(peer)
		said := strings.Contains(out.String(), peer+" is not installed, so it is not measured")
		if said != (err != nil) {
			t.Errorf("the report says that %s is absent: %v; look-up: %v", peer, said, err)
		}
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("the folder still has %v, %v", left, err)
	}
}

func TestTableHasMediansAndRatios(t *testing.T) {
	r := newResults(io.Discard)
	for _, ms := range []int{30, 10, 20} {
		r.add("aptless", "import", figures{time.Duration(ms) * time.Millisecond, time.Second, int64(ms) << 20}, nil)
	}
	r.add("aptly", "import", figures{50 * time.Millisecond, 0, 7 << 20}, nil)
	r.add("aptly", "drop", figures{2 * time.Second, 0, 8 << 20}, nil)
	r.add("aptly", "import", figures{time.Hour, 0, 1 << 30}, errors.New("full"))
	r.add("aptly", "merge", figures{}, errLacks)
	var out strings.Builder
	r.table(&out, []string{"aptless", "aptly"})
	want := `| Operation | aptless: s | CPU s | MiB | aptly: s | MiB | times |
|---|---|---|---|---|---|---|
| import | 0.0200 | 1.00 | 20 | 0.0500 | 7 | 2.5 |
| drop | | | | 2.00 | 8 | |
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	if len(r.failed) != 1 || r.failed[0] != "aptly, import: full" {
		t.Errorf("failed: %v", r.failed)
	}
}

func TestWorkloadIsTheSameAgain(t *testing.T) {
	for i, want := range series(0, 20, "1.0-1", false) {
		if got := series(i, 1, "1.0-1", false)[0]; got.Package != want.Package || got.Fields["Depends"] != want.Fields["Depends"] || len(got.Files) != len(want.Files) {
			t.Errorf("package %d is %v, and %v in a longer series", i, got, want)
		}
	}
}

func TestMistakesAreRefused(t *testing.T) {
	for _, o := range []options{
		{packages: 9, runs: 1, peers: "aptly"},
		{packages: 10, runs: 0, peers: "aptly"},
		{packages: 10, runs: 1, peers: "apt"},
		{packages: 10, runs: 1, peers: "aptless", aptless: "/nonexistent/aptless"},
	} {
		o.work = t.TempDir()
		if err := bench(o, io.Discard, io.Discard); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestTinyPackagesHaveOneFile(t *testing.T) {
	for i, got := range series(0, 20, "1.0-1", true) {
		if want := series(i, 1, "1.0-1", false)[0]; len(got.Files) != 1 || got.Package != want.Package || got.Fields["Depends"] != want.Fields["Depends"] {
			t.Errorf("package %d is %+v", i, got)
		}
	}
}

package graphviz

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
)

// fixed are objects in memory.
type fixed struct {
	mirrors      []Mirror
	repos        []Repo
	snapshots    []Snapshot
	publications []Publication
	broken       string // the method that fails
}

var errBroken = errors.New("broken")

func (f fixed) fail(method string) error {
	if f.broken == method {
		return errBroken
	}
	return nil
}

func (f fixed) Mirrors(context.Context) ([]Mirror, error) { return f.mirrors, f.fail("Mirrors") }
func (f fixed) Repos(context.Context) ([]Repo, error)     { return f.repos, f.fail("Repos") }
func (f fixed) Snapshots(context.Context) ([]Snapshot, error) {
	return f.snapshots, f.fail("Snapshots")
}
func (f fixed) Publications(context.Context) ([]Publication, error) {
	return f.publications, f.fail("Publications")
}

func TestDot(t *testing.T) {
	objects := fixed{
		mirrors: []Mirror{{ID: "m", Name: "debian", ArchiveRoot: "http://deb.example.org/debian/", Distribution: "trixie",
			Components: []string{"main", "contrib"}, Architectures: []string{"amd64", "i386"}, Packages: 7}},
		repos: []Repo{{ID: "r", Name: "tools", Comment: "our tools", Packages: 3}},
		snapshots: []Snapshot{
			{ID: "s1", Name: "of-mirror", Description: "not shown", OfMirror: true, Packages: 7, Sources: []string{"m"}},
			{ID: "s2", Name: "merged", Description: "Merged", Packages: 10, Sources: []string{"s1", "r", "gone", "r"}},
		},
		publications: []Publication{{ID: "p", StoragePrefix: "s3:eu:debian", Distribution: "stable",
			Components: []string{"contrib", "main"}, Architectures: []string{"amd64", "source"}, Sources: []string{"s2", "s1"}}},
	}
	got, err := Dot(t.Context(), objects, Horizontal)
	if err != nil {
		t.Fatal(err)
	}
	const want = `digraph aptly {
	"m" [fillcolor=darkgoldenrod1, label="{Mirror debian|url: http://deb.example.org/debian/|dist: trixie|comp: main, contrib|arch: amd64, i386|pkgs: 7}", shape=Mrecord, style=filled];
	"r" [fillcolor=mediumseagreen, label="{Repo tools|comment: our tools|pkgs: 3}", shape=Mrecord, style=filled];
	"s1" [fillcolor=cadetblue1, label="{Snapshot of-mirror|Snapshot from repo|pkgs: 7}", shape=Mrecord, style=filled];
	"s2" [fillcolor=cadetblue1, label="{Snapshot merged|Merged|pkgs: 10}", shape=Mrecord, style=filled];
	"p" [fillcolor=darkolivegreen1, label="{Published s3:eu:debian/stable|comp: contrib main|arch: amd64, source}", shape=Mrecord, style=filled];
	"m"->"s1";
	"s1"->"s2";
	"r"->"s2";
	"s2"->"p";
	"s1"->"p";
}
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got, err = Dot(t.Context(), objects, Vertical)
	if err != nil {
		t.Fatal(err)
	}
	vertical := strings.NewReplacer(`"{`, `"`, `}"`, `"`, "aptly {\n", "aptly {\n\trankdir=LR;\n").Replace(want)
	if string(got) != vertical {
		t.Errorf("got\n%s\nwant\n%s", got, vertical)
	}
}

func TestDotOfNothing(t *testing.T) {
	if got, err := Dot(t.Context(), fixed{}, Horizontal); err != nil || string(got) != "digraph aptly {\n}\n" {
		t.Errorf("%s, %v", got, err)
	}
	for _, method := range []string{"Mirrors", "Repos", "Snapshots", "Publications"} {
		if got, err := Dot(t.Context(), fixed{broken: method}, Horizontal); !errors.Is(err, errBroken) || got != nil {
			t.Errorf("%s: %s, %v", method, got, err)
		}
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain text":     "plain text",
		`a"b`:            `a\"b`,
		`\`:              `\\`,
		`\N`:             `\\N`,
		"{a|b}<c>":       `\{a\|b\}\<c\>`,
		"R&D":            "R&D",
		"&lt;&#38;":      "&amp;lt;&amp;#38;",
		"two\nlines\tte": "two lines te",
		"\xff\x00":       "\uFFFD ",
		"ü €":            "ü €",
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// statement is a line of a graph with one repository and one snapshot of it.
var statement = regexp.MustCompile(`^\t"(?:[^"\\]|\\")*"(?: \[fillcolor=[a-z0-9]+, label="\{((?:[^"\\{}|<>]|\\.)*\|){2}pkgs: 1\}", shape=Mrecord, style=filled\]|->"(?:[^"\\]|\\")*");$`)

// FuzzDot draws objects of any name: there are two nodes and one edge.
func FuzzDot(f *testing.F) {
	for _, text := range []string{"a", `"`, `\`, `\"`, "}|{", "\n", "\xff", "&quot;", `"];x->y;`, "<b>"} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, name, id string) {
		got, err := Dot(t.Context(), fixed{
			repos:     []Repo{{ID: id + "r", Name: name, Comment: name, Packages: 1}},
			snapshots: []Snapshot{{ID: id + "s", Name: name, Description: name, Packages: 1, Sources: []string{id + "r"}}},
		}, Horizontal)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(got), "\n}\n"), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d lines:\n%s", len(lines), got)
		}
		for _, line := range lines[1:] {
			if !statement.MatchString(line) {
				t.Errorf("%q", line)
			}
		}
	})
}

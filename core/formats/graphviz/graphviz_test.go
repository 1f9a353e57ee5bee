package graphviz

import (
	"regexp"
	"strings"
	"testing"
)

func TestDot(t *testing.T) {
	nodes := []Node{
		{ID: "m", Color: "darkgoldenrod1", Label: []string{"Mirror debian", "comp: main, contrib", "pkgs: 7"}},
		{ID: "r", Color: "mediumseagreen", Label: []string{"Repo tools", "comment: our tools", "pkgs: 3"}},
		{ID: "s1", Color: "cadetblue1", Label: []string{"Snapshot of-mirror", "pkgs: 7"}, From: []string{"m"}},
		{ID: "s2", Color: "cadetblue1", Label: []string{"Snapshot merged"}, From: []string{"s1", "r", "gone", "r"}},
		{ID: "p", Color: "darkolivegreen1", Label: []string{"Published s3:eu:debian/stable", ""}, From: []string{"s2", "s1"}},
	}
	got := Dot(nodes, Horizontal)
	const want = `digraph aptly {
	"m" [fillcolor=darkgoldenrod1, label="{Mirror debian|comp: main, contrib|pkgs: 7}", shape=Mrecord, style=filled];
	"r" [fillcolor=mediumseagreen, label="{Repo tools|comment: our tools|pkgs: 3}", shape=Mrecord, style=filled];
	"s1" [fillcolor=cadetblue1, label="{Snapshot of-mirror|pkgs: 7}", shape=Mrecord, style=filled];
	"s2" [fillcolor=cadetblue1, label="{Snapshot merged}", shape=Mrecord, style=filled];
	"p" [fillcolor=darkolivegreen1, label="{Published s3:eu:debian/stable|}", shape=Mrecord, style=filled];
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
	got = Dot(nodes, Vertical)
	vertical := strings.NewReplacer(`"{`, `"`, `}"`, `"`, "aptly {\n", "aptly {\n\trankdir=LR;\n").Replace(want)
	if string(got) != vertical {
		t.Errorf("got\n%s\nwant\n%s", got, vertical)
	}
}

func TestDotOfNothing(t *testing.T) {
	if got := string(Dot(nil, Horizontal)); got != "digraph aptly {\n}\n" {
		t.Error(got)
	}
}

// TestEqualNodesGiveEqualGraphs draws the same nodes twice.
func TestEqualNodesGiveEqualGraphs(t *testing.T) {
	nodes := []Node{{ID: "a", Label: []string{"<|>"}}}
	if once, twice := string(Dot(nodes, Horizontal)), string(Dot(nodes, Horizontal)); once != twice {
		t.Errorf("%s, then %s", once, twice)
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

// statement matches a line of a graph with one repository and one snapshot of it.
var statement = regexp.MustCompile(`^\t"(?:[^"\\]|\\")*"(?: \[fillcolor=[a-z0-9]+, label="\{((?:[^"\\{}|<>]|\\.)*\|){2}pkgs: 1\}", shape=Mrecord, style=filled\]|->"(?:[^"\\]|\\")*");$`)

// FuzzDot draws objects with arbitrary names. There are two nodes and one edge.
func FuzzDot(f *testing.F) {
	for _, text := range []string{"a", `"`, `\`, `\"`, "}|{", "\n", "\xff", "&quot;", `"];x->y;`, "<b>"} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, name, id string) {
		got := Dot([]Node{
			{ID: id + "r", Color: "red", Label: []string{name, name, "pkgs: 1"}},
			{ID: id + "s", Color: "red", Label: []string{name, name, "pkgs: 1"}, From: []string{id + "r"}},
		}, Horizontal)
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

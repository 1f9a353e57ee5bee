package graphviz

import (
	"fmt"
	"regexp"
	"strings"
)

// Node is a node of a graph.
type Node struct {
	ID    string
	Color string   // a colour name of Graphviz; not escaped
	Label []string // lines of text
	From  []string // IDs of nodes with an edge to this one; unknown IDs are ignored
}

// Layout is the direction in which a graph grows.
type Layout int

// The layouts of aptly's API.
const (
	Horizontal Layout = iota
	Vertical
)

// Dot returns a graph of nodes in the given order.
func Dot(nodes []Node, layout Layout) []byte {
	open, shut := "{", "}"
	var b strings.Builder
	b.WriteString("digraph aptly {\n")
	if layout == Vertical {
		open, shut = "", ""
		b.WriteString("\trankdir=LR;\n")
	}
	drawn := map[string]bool{}
	for _, n := range nodes {
		drawn[n.ID] = true
		label := make([]string, len(n.Label))
		for i, field := range n.Label {
			label[i] = escape(field)
		}
		fmt.Fprintf(&b, "\t%s [fillcolor=%s, label=\"%s%s%s\", shape=Mrecord, style=filled];\n",
			quote(n.ID), n.Color, open, strings.Join(label, "|"), shut)
	}
	for _, n := range nodes {
		led := map[string]bool{}
		for _, from := range n.From {
			if drawn[from] && !led[from] {
				fmt.Fprintf(&b, "\t%s->%s;\n", quote(from), quote(n.ID))
			}
			led[from] = true
		}
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

// quote returns a quoted ID. Only a quote is escaped. A backslash before a quote
// would be ambiguous, so IDs have no backslash.
func quote(id string) string {
	return `"` + strings.NewReplacer(`\`, "_", `"`, `\"`).Replace(plain(id)) + `"`
}

// special matches the characters with a meaning in a record's label.
var special = regexp.MustCompile(`[\\"{}|<>]`)

// entity matches text that labels show as another character, as in HTML.
var entity = regexp.MustCompile(`&(#?[0-9A-Za-z]+;)`)

// escape returns text that a record's field shows unchanged.
func escape(text string) string {
	return entity.ReplaceAllString(special.ReplaceAllString(plain(text), `\$0`), "&amp;$1")
}

// plain converts text to one line of UTF-8.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

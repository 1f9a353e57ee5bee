package graphviz

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// Mirror is a mirror as it is drawn.
type Mirror struct {
	ID, Name, ArchiveRoot, Distribution string
	Components, Architectures           []string
	Packages                            int
}

// Repo is a local repository as it is drawn.
type Repo struct {
	ID, Name, Comment string
	Packages          int
}

// Snapshot is a snapshot as it is drawn.
type Snapshot struct {
	ID, Name, Description string
	OfMirror              bool
	Packages              int
	Sources               []string // their IDs; they may be gone
}

// Publication is a publication as it is drawn.
type Publication struct {
	ID, StoragePrefix, Distribution string
	Components, Architectures       []string
	Sources                         []string // their IDs; they may be gone
}

// Objects reads what is to be drawn. Nothing is locked: what one method returns
// may be older than what another does.
type Objects interface {
	Mirrors(context.Context) ([]Mirror, error)
	Repos(context.Context) ([]Repo, error)
	Snapshots(context.Context) ([]Snapshot, error)
	Publications(context.Context) ([]Publication, error)
}

// Layout says in which direction a graph grows.
type Layout int

// The layouts, as clients know them.
const (
	Horizontal Layout = iota
	Vertical
)

// node is an object of any kind; label has the fields of its record.
type node struct {
	id, color string
	label     []string
	sources   []string
}

// Dot returns the graph of all objects.
func Dot(ctx context.Context, of Objects, layout Layout) ([]byte, error) {
	nodes, err := read(ctx, of)
	if err != nil {
		return nil, err
	}
	open, shut := "{", "}"
	var b strings.Builder
	b.WriteString("digraph aptly {\n")
	if layout == Vertical {
		open, shut = "", ""
		b.WriteString("\trankdir=LR;\n")
	}
	drawn := map[string]bool{}
	for _, n := range nodes {
		drawn[n.id] = true
		for i, field := range n.label {
			n.label[i] = escape(field)
		}
		fmt.Fprintf(&b, "\t%s [fillcolor=%s, label=\"%s%s%s\", shape=Mrecord, style=filled];\n",
			quote(n.id), n.color, open, strings.Join(n.label, "|"), shut)
	}
	for _, n := range nodes {
		led := map[string]bool{}
		for _, source := range n.sources {
			if drawn[source] && !led[source] {
				fmt.Fprintf(&b, "\t%s->%s;\n", quote(source), quote(n.id))
			}
			led[source] = true
		}
	}
	b.WriteString("}\n")
	return []byte(b.String()), nil
}

// read returns the nodes: mirrors, repositories, snapshots, publications.
func read(ctx context.Context, of Objects) ([]node, error) {
	mirrors, err := of.Mirrors(ctx)
	if err != nil {
		return nil, err
	}
	repos, err := of.Repos(ctx)
	if err != nil {
		return nil, err
	}
	snapshots, err := of.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	publications, err := of.Publications(ctx)
	if err != nil {
		return nil, err
	}
	var nodes []node
	for _, m := range mirrors {
		nodes = append(nodes, node{id: m.ID, color: "darkgoldenrod1", label: []string{"Mirror " + m.Name, "url: " + m.ArchiveRoot,
			"dist: " + m.Distribution, "comp: " + strings.Join(m.Components, ", "), "arch: " + strings.Join(m.Architectures, ", "), packages(m.Packages)}})
	}
	for _, r := range repos {
		nodes = append(nodes, node{id: r.ID, color: "mediumseagreen", label: []string{"Repo " + r.Name, "comment: " + r.Comment, packages(r.Packages)}})
	}
	for _, s := range snapshots {
		description := s.Description
		if s.OfMirror {
			description = "Snapshot from repo"
		}
		nodes = append(nodes, node{id: s.ID, color: "cadetblue1", label: []string{"Snapshot " + s.Name, description, packages(s.Packages)}, sources: s.Sources})
	}
	for _, p := range publications {
		nodes = append(nodes, node{id: p.ID, color: "darkolivegreen1", label: []string{"Published " + p.StoragePrefix + "/" + p.Distribution,
			"comp: " + strings.Join(p.Components, " "), "arch: " + strings.Join(p.Architectures, ", ")}, sources: p.Sources})
	}
	return nodes, nil
}

func packages(n int) string { return fmt.Sprintf("pkgs: %d", n) }

// quote returns a quoted ID. In it only the quote has to be escaped; a
// backslash stands for itself but before a quote, so IDs are without any.
func quote(id string) string {
	return `"` + strings.NewReplacer(`\`, "_", `"`, `\"`).Replace(plain(id)) + `"`
}

// special are the characters that mean something in the label of a record.
var special = regexp.MustCompile(`[\\"{}|<>]`)

// entity is what labels show as another character, as in HTML.
var entity = regexp.MustCompile(`&(#?[0-9A-Za-z]+;)`)

// escape returns text that the field of a record shows as it is.
func escape(text string) string {
	return entity.ReplaceAllString(special.ReplaceAllString(plain(text), `\$0`), "&amp;$1")
}

// plain makes a text one line of UTF-8.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

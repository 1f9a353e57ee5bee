package console

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"aptless/core/client"
)

// Bounds and sizes of the drawing, in pixels.
const (
	maxNodes   = 300
	nodeWidth  = 220
	nodeHeight = 46
	gapX       = 70
	gapY       = 16
	margin     = 8
)

// node is an object of the graph.
type node struct {
	ID, Kind, Name, About, Path string
	From                        []string
	Layer, Row                  int
	X, Y                        int
}

// edge is a line from an object to one that is made of it.
type edge struct{ X1, Y1, MX, X2, Y2 int }

// graphView is the data of the page of the graph.
type graphView struct {
	Nodes         []node
	Edges         []edge
	Width, Height int
	Total         int
	Of            string // only objects around this one
}

var (
	nodeLine = regexp.MustCompile(`^\s*"((?:[^"\\]|\\.)*)" \[.*label="\{?((?:[^"\\]|\\.)*?)\}?", ?shape`)
	edgeLine = regexp.MustCompile(`^\s*"((?:[^"\\]|\\.)*)" ?-> ?"((?:[^"\\]|\\.)*)"`)
	escapes  = regexp.MustCompile(`\\(.)`)
)

// readDot reads the nodes and edges of a graph in the form in which servers draw it.
func readDot(text string) (nodes []node) {
	at := map[string]int{}
	for line := range strings.Lines(text) {
		if m := edgeLine.FindStringSubmatch(line); m != nil {
			if i, ok := at[m[2]]; ok {
				nodes[i].From = append(nodes[i].From, m[1])
			}
			continue
		}
		m := nodeLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n := node{ID: m[1]}
		fields := strings.Split(strings.ReplaceAll(m[2], `\|`, "\x00"), "|")
		for i := range fields {
			fields[i] = strings.ReplaceAll(escapes.ReplaceAllString(fields[i], "$1"), "\x00", "|")
		}
		n.Kind, n.Name, _ = strings.Cut(fields[0], " ")
		n.Kind = strings.ToLower(n.Kind)
		if len(fields) > 1 {
			n.About = fields[len(fields)-1]
		}
		n.link()
		at[n.ID] = len(nodes)
		nodes = append(nodes, n)
	}
	return nodes
}

// link sets the path of the page of a node.
func (n *node) link() {
	switch n.Kind {
	case "repo":
		n.Path = pathTo("repos", n.Name)
	case "mirror":
		n.Path = pathTo("mirrors", n.Name)
	case "snapshot":
		n.Path = pathTo("snapshots", n.Name)
	case "published":
		if prefix, distribution, ok := cutLast(n.Name, "/"); ok {
			n.Path = placePath(client.Place{Prefix: prefix, Distribution: distribution})
		}
	}
}

// around returns the nodes from which a node is made, and the nodes that are made of it.
func around(nodes []node, name string) []node {
	keep := map[string]bool{}
	for _, n := range nodes {
		if n.Name == name {
			keep[n.ID] = true
		}
	}
	up, down := clone(keep), clone(keep)
	for range nodes {
		before := len(up) + len(down)
		for _, n := range nodes {
			for _, from := range n.From {
				if up[n.ID] {
					up[from] = true
				}
				if down[from] {
					down[n.ID] = true
				}
			}
		}
		if len(up)+len(down) == before {
			break
		}
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(n node) bool { return !up[n.ID] && !down[n.ID] })
}

func clone(m map[string]bool) map[string]bool {
	c := map[string]bool{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// draw places the nodes in layers: each is right of its sources.
func draw(nodes []node) (v graphView) {
	at := map[string]int{}
	for i, n := range nodes {
		at[n.ID] = i
	}
	for range nodes {
		moved := false
		for i := range nodes {
			for _, from := range nodes[i].From {
				if j, ok := at[from]; ok && nodes[j].Layer >= nodes[i].Layer && nodes[j].Layer < len(nodes) {
					nodes[i].Layer, moved = nodes[j].Layer+1, true
				}
			}
		}
		if !moved {
			break
		}
	}
	rows := map[int]int{}
	for i := range nodes {
		n := &nodes[i]
		n.Row = rows[n.Layer]
		rows[n.Layer]++
		n.X, n.Y = margin+n.Layer*(nodeWidth+gapX), margin+n.Row*(nodeHeight+gapY)
		v.Width, v.Height = max(v.Width, n.X+nodeWidth+margin), max(v.Height, n.Y+nodeHeight+margin)
	}
	for _, n := range nodes {
		for _, from := range n.From {
			if j, ok := at[from]; ok {
				f := nodes[j]
				e := edge{X1: f.X + nodeWidth, Y1: f.Y + nodeHeight/2, X2: n.X, Y2: n.Y + nodeHeight/2}
				e.MX = (e.X1 + e.X2) / 2
				v.Edges = append(v.Edges, e)
			}
		}
	}
	v.Nodes = nodes
	return v
}

func (q *request) graph() error {
	text, err := q.api.Fetch(q.ctx, client.Graph("dot", ""))
	if err != nil {
		return err
	}
	nodes := readDot(string(text))
	total, of := len(nodes), q.query("of")
	if of != "" {
		nodes = around(nodes, of)
	}
	if len(nodes) > maxNodes {
		nodes = nodes[len(nodes)-maxNodes:]
	}
	v := draw(nodes)
	v.Total, v.Of = total, of
	return q.write(http.StatusOK, "graph", "Graph", v)
}

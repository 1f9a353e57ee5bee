package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/source"
	"aptless/core/engine/named"
	"aptless/core/formats/graphviz"
)

// drawing reads the objects of the graph, and looks up packages in their lists.
type drawing struct {
	publications *publish.Store
	lists        pkglist.Store
	sources      []func(context.Context) ([]source.Source, error) // in the order of their nodes
}

// nodes returns the nodes of all sources, then the nodes of all publications. It takes
// no lock, so nodes may have different ages.
func (d drawing) nodes(ctx context.Context) ([]graphviz.Node, error) {
	var nodes []graphviz.Node
	for _, read := range d.sources {
		sources, err := read(ctx)
		if err != nil {
			return nil, err
		}
		for _, src := range sources {
			nodes = append(nodes, sourceNode(src))
		}
	}
	publications, err := d.publications.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range publications {
		components := slices.Sorted(maps.Keys(p.Components))
		n := graphviz.Node{ID: named.UUIDOf(p.Dist().ID()), Color: "darkolivegreen1", Label: []string{
			"Published " + p.Dist().Display() + "/" + p.Distribution,
			"comp: " + strings.Join(components, " "), "arch: " + strings.Join(p.Architectures, ", "),
		}}
		for _, c := range components {
			n.From = append(n.From, p.Components[c].UUID)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// sourceNode returns the node of a source, with aptly's labels and colours.
func sourceNode(src source.Source) graphviz.Node {
	n := graphviz.Node{ID: src.UUID, From: src.Made}
	title := ""
	switch src.Kind {
	case source.Mirror:
		title, n.Color = "Mirror ", "darkgoldenrod1"
	case source.Repo:
		title, n.Color = "Repo ", "mediumseagreen"
	case source.Snapshot:
		title, n.Color = "Snapshot ", "cadetblue1"
	}
	n.Label = slices.Concat([]string{title + src.Name}, src.About, []string{fmt.Sprintf("pkgs: %d", src.List.Count)})
	return n
}

// errNoDot is the error of os/exec for a missing program dot; aptly answers with it.
var errNoDot = errors.New(`exec: "dot": executable file not found in $PATH`)

// drawNothing is the Draw of a system without the program dot.
func drawNothing(context.Context, string, []byte) ([]byte, error) { return nil, errNoDot }

package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"

	"aptless/core/archive/mirror"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/upstream"
	"aptless/core/formats/graphviz"
)

// objects shows the graph what there is.
type objects struct {
	mirrors      *mirror.Store
	repos        *repo.Store
	snapshots    *snapshot.Store
	publications *publish.Store
}

func (o objects) Mirrors(ctx context.Context) ([]graphviz.Mirror, error) {
	all, err := o.mirrors.All(ctx)
	var drawn []graphviz.Mirror
	for _, m := range all {
		drawn = append(drawn, graphviz.Mirror{ID: m.UUID, Name: m.Name, ArchiveRoot: upstream.Shown(m.ArchiveRoot), Distribution: m.Distribution,
			Components: m.Components, Architectures: m.Architectures, Packages: m.List.Count})
	}
	return drawn, err
}

func (o objects) Repos(ctx context.Context) ([]graphviz.Repo, error) {
	all, err := o.repos.All(ctx)
	var drawn []graphviz.Repo
	for _, r := range all {
		drawn = append(drawn, graphviz.Repo{ID: r.UUID, Name: r.Name, Comment: r.Comment, Packages: r.List.Count})
	}
	return drawn, err
}

func (o objects) Snapshots(ctx context.Context) ([]graphviz.Snapshot, error) {
	all, err := o.snapshots.All(ctx, false)
	var drawn []graphviz.Snapshot
	for _, s := range all {
		g := graphviz.Snapshot{ID: s.UUID, Name: s.Name, Description: s.Description, OfMirror: s.SourceKind == snapshot.OfMirror, Packages: s.List.Count}
		for _, source := range s.Sources {
			g.Sources = append(g.Sources, source.UUID)
		}
		drawn = append(drawn, g)
	}
	return drawn, err
}

func (o objects) Publications(ctx context.Context) ([]graphviz.Publication, error) {
	all, err := o.publications.All(ctx)
	var drawn []graphviz.Publication
	for _, p := range all {
		g := graphviz.Publication{ID: nameUUID(p.ID()), StoragePrefix: p.StoragePrefix(), Distribution: p.Distribution,
			Components: slices.Sorted(maps.Keys(p.Components)), Architectures: p.Architectures}
		for _, c := range g.Components {
			g.Sources = append(g.Sources, p.Components[c].UUID)
		}
		drawn = append(drawn, g)
	}
	return drawn, err
}

// nameUUID returns the UUID of what has none, made of its name: version 8 (RFC
// 9562).
func nameUUID(name string) string {
	b := sha256.Sum256([]byte(name))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// errNoDot is what a system says that is without the program.
var errNoDot = errors.New(`exec: "dot": executable file not found in $PATH`)

// drawNothing is the Draw of where pictures cannot be made.
func drawNothing(context.Context, string, []byte) ([]byte, error) { return nil, errNoDot }

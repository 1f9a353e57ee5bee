package snapshot

import (
	"context"
	"errors"

	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/named"
)

// Source returns the snapshot as a source of snapshots and publications.
func (s Snapshot) Source() source.Source {
	src := source.Source{Kind: source.Snapshot, UUID: s.UUID, Name: s.Name, Title: source.Title(s.Name, s.Description),
		List: s.List, Files: s.AppStreamFiles, About: []string{s.Description},
		Meta: source.Meta{Origin: s.Origin, NotAutomatic: s.NotAutomatic, ButAutomaticUpgrades: s.ButAutomaticUpgrades}}
	if s.SourceKind == OfMirror {
		src.About = []string{"Snapshot from repo"} // aptly's text in drawings
	}
	for _, from := range s.Sources {
		src.Made = append(src.Made, from.UUID)
	}
	return src
}

// SourceByName implements source.Finder.
func (s *Store) SourceByName(ctx context.Context, name string) (source.Source, error) {
	found, err := s.ByName(ctx, name)
	if err != nil {
		return source.Source{}, err
	}
	return found.Source(), nil
}

// SourceWithDefaults implements source.Heir.
func (s *Store) SourceWithDefaults(ctx context.Context, name string) (source.Source, error) {
	found, err := s.ByName(ctx, name)
	if err != nil {
		return source.Source{}, err
	}
	src := found.Source()
	src.Distributions, src.Components, err = s.defaults(ctx, found)
	return src, err
}

// SourceByUUID implements source.Finder.
func (s *Store) SourceByUUID(ctx context.Context, get named.Getter, uuid, name string) (source.Source, error) {
	found, err := s.Rows().ByUUID(ctx, get, uuid, name)
	return found.Source(), err
}

// Sources returns all snapshots, ascending by name.
func (s *Store) Sources(ctx context.Context) ([]source.Source, error) {
	var sources []source.Source
	all, err := s.All(ctx, false)
	for _, found := range all {
		sources = append(sources, found.Source())
	}
	return sources, err
}

// maxAncestors bounds the snapshots that are read to find a snapshot's
// repositories and mirrors.
const maxAncestors = 1000

// defaults returns the distributions and components of the repositories and
// mirrors from which a snapshot derives, directly or through snapshots. A source
// that is gone has none and hides its own sources.
func (s *Store) defaults(ctx context.Context, found Snapshot) (distributions, components []string, err error) {
	seen := map[string]bool{found.UUID: true}
	for queue := []Snapshot{found}; len(queue) > 0; queue = queue[1:] {
		for _, from := range queue[0].Sources {
			if seen[from.UUID] || len(seen) > maxAncestors {
				continue
			}
			seen[from.UUID] = true
			var finder source.Finder
			switch queue[0].SourceKind {
			case OfRepo:
				finder = s.Repos
			case OfMirror:
				finder = s.Mirrors
			default:
				parent, err := s.Rows().ByUUID(ctx, s.Rows().Get, from.UUID, from.Name)
				if err == nil {
					queue = append(queue, parent)
				} else if !errors.Is(err, driver.ErrNotFound) {
					return nil, nil, err
				}
				continue
			}
			src, err := finder.SourceByUUID(ctx, s.Rows().Get, from.UUID, from.Name)
			if err != nil && !errors.Is(err, driver.ErrNotFound) {
				return nil, nil, err
			}
			distributions, components = append(distributions, src.Distributions...), append(components, src.Components...)
		}
	}
	return distributions, components, nil
}

package repo

import (
	"context"

	"aptless/core/archive/source"
	"aptless/core/engine/named"
)

// Source returns the repository as a source of snapshots and publications.
func (r Repo) Source() source.Source {
	src := source.Source{Kind: source.Repo, UUID: r.UUID, Name: r.Name, Title: source.Title(r.Name, r.Comment), List: r.List,
		About: []string{"comment: " + r.Comment}}
	if r.DefaultDistribution != "" {
		src.Distributions = []string{r.DefaultDistribution}
	}
	if r.DefaultComponent != "" {
		src.Components = []string{r.DefaultComponent}
	}
	return src
}

// SourceByName implements source.Finder.
func (s *Store) SourceByName(ctx context.Context, name string) (source.Source, error) {
	r, err := s.ByName(ctx, name)
	return r.Source(), err
}

// SourceByUUID implements source.Finder.
func (s *Store) SourceByUUID(ctx context.Context, get named.Getter, uuid, name string) (source.Source, error) {
	r, err := s.Rows().ByUUID(ctx, get, uuid, name)
	return r.Source(), err
}

// Sources returns all repositories, ascending by UUID.
func (s *Store) Sources(ctx context.Context) ([]source.Source, error) {
	var sources []source.Source
	all, err := s.All(ctx)
	for _, r := range all {
		sources = append(sources, r.Source())
	}
	return sources, err
}

package mirror

import (
	"context"
	"fmt"
	"strings"

	"aptless/core/archive/source"
	"aptless/core/archive/upstream"
	"aptless/core/engine/named"
)

// Source returns the mirror as a source of snapshots and publications. A mirror
// that was never updated has a Reason that forbids its use.
func (m Mirror) Source() source.Source {
	src := source.Source{Kind: source.Mirror, UUID: m.UUID, Name: m.Name, Title: m.Title(), List: m.List, Files: m.AppStreamFiles,
		Meta: source.Meta{Origin: m.Meta["Origin"], NotAutomatic: m.Meta["NotAutomatic"], ButAutomaticUpgrades: m.Meta["ButAutomaticUpgrades"]},
		About: []string{"url: " + upstream.Shown(m.ArchiveRoot), "dist: " + m.Distribution,
			"comp: " + strings.Join(m.Components, ", "), "arch: " + strings.Join(m.Architectures, ", ")}}
	if !m.Flat() {
		src.Distributions, src.Components = []string{m.Distribution}, m.Components
	}
	if !m.Updated() {
		src.Reason = "mirror not updated"
	}
	return src
}

// Title names a mirror in descriptions and errors.
func (m Mirror) Title() string {
	distribution := m.Distribution
	if distribution == "" {
		distribution = "./"
	}
	title := fmt.Sprintf("[%s]: %s %s", m.Name, upstream.Shown(m.ArchiveRoot), distribution)
	for _, part := range []struct {
		on   bool
		name string
	}{{m.DownloadSources, " [src]"}, {m.DownloadUdebs, " [udeb]"}, {m.DownloadInstaller, " [installer]"}, {m.DownloadAppStream, " [appstream]"}} {
		if part.on {
			title += part.name
		}
	}
	return title
}

// SourceByName implements source.Finder.
func (s *Store) SourceByName(ctx context.Context, name string) (source.Source, error) {
	m, err := s.ByName(ctx, name)
	if err != nil {
		return source.Source{}, err
	}
	return m.Source(), nil
}

// SourceByUUID implements source.Finder.
func (s *Store) SourceByUUID(ctx context.Context, get named.Getter, uuid, name string) (source.Source, error) {
	m, err := s.Rows().ByUUID(ctx, get, uuid, name)
	if err != nil {
		return source.Source{}, err
	}
	return m.Source(), nil
}

// Sources returns all mirrors, ascending by name.
func (s *Store) Sources(ctx context.Context) ([]source.Source, error) {
	var sources []source.Source
	all, err := s.All(ctx)
	for _, m := range all {
		sources = append(sources, m.Source())
	}
	return sources, err
}

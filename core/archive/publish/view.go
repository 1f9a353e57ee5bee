package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/publish/paths"
	"aptless/core/archive/source"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
)

// View is a publication as clients see it; the keys are in alphabetical order.
type View struct {
	AcquireByHash                                       bool
	Architectures                                       []string
	ButAutomaticUpgrades, Codename, Distribution, Label string
	MultiDist                                           bool
	NotAutomatic, Origin, Path                          string
	PoolLayout                                          paths.Layout `json:",omitempty"` // of the layout hash only: aptly knows none
	Prefix, SignedBy                                    string
	SkipContents                                        bool
	SourceKind                                          string
	Sources                                             []SourceView
	Storage, Suite, Version                             string
	ValidFor                                            string   `json:",omitempty"` // aptly knows none
	Aliases                                             []string `json:",omitempty"` // aptly knows none
	Owed                                                *Owed    `json:",omitempty"` // what the commit made necessary and is not done yet
	Warnings                                            []string `json:",omitempty"` // of the answer to a publication that is not applied yet
}

// Owed is work that is left after a commit: the apply of a publication, or its
// removal. The server goes on with it until it is done.
type Owed struct {
	What   string    // "apply" or "drop"
	Since  time.Time // the commit
	Tries  int       // tasks that have tried it after the one that committed
	Reason string    // why the last try did not succeed; "" if there was none
}

// notApplied is the warning of an answer to a publication that is committed.
const notApplied = "published, but not all files of the tree are up to date yet: the server goes on until they are"

// SourceView is a component and the name of its source.
type SourceView struct{ Component, Name string }

// views returns components and the names of their sources as clients see them.
func views(names map[string]string) []SourceView {
	list := []SourceView{}
	for _, c := range slices.Sorted(maps.Keys(names)) {
		list = append(list, SourceView{c, names[c]})
	}
	return list
}

// view returns the publication as clients see it.
func (s *Store) view(ctx context.Context, p Publication) (View, error) {
	names, err := s.sourceNames(ctx, &p)
	if err != nil {
		return View{}, err
	}
	v := p.view(names)
	v.Owed, err = s.owed(ctx, &p)
	return v, err
}

// owed returns the work that a publication's commit has left, nil if it is done.
func (s *Store) owed(ctx context.Context, p *Publication) (*Owed, error) {
	if p.Applied && !p.Dropping {
		return nil, nil
	}
	owed := &Owed{What: "apply", Since: p.Date}
	if p.Dropping {
		owed.What = "drop"
	}
	e, err := calendar.Get(ctx, s.Table, debtName(p.Dist()))
	if errors.Is(err, driver.ErrNotFound) { // the task that committed is about to write the row
		return owed, nil
	}
	owed.Since, owed.Tries, owed.Reason = e.Since, e.Tries, e.Reason
	return owed, err
}

// view returns the publication as clients see it, with the names of its sources
// by component.
func (p *Publication) view(names map[string]string) View {
	return View{
		AcquireByHash: p.ByHash, Architectures: p.Architectures, ButAutomaticUpgrades: p.ButAutomaticUpgrades,
		Distribution: p.Distribution, Label: p.Label, MultiDist: p.MultiDist, NotAutomatic: p.NotAutomatic, Origin: p.Origin,
		Path: p.Dist().String(), PoolLayout: p.PoolLayout, Prefix: p.Prefix, SignedBy: p.SignedBy,
		SkipContents: p.SkipContents, SourceKind: string(p.Kind), Sources: views(names), Storage: p.Storage,
		Suite: p.Suite, Codename: p.Codename, Version: p.Version, ValidFor: ShowValidity(p.ValidFor), Aliases: p.Aliases,
	}
}

// answer is the view that a task answers if it has committed and does not get to
// the end of its apply.
func (p *Publication) answer() View {
	names := map[string]string{}
	for c, src := range p.Components {
		names[c] = src.Name
	}
	v := p.view(names)
	v.Warnings = []string{notApplied}
	return v
}

// sourceNames returns the names that the sources have now, by component. A
// source that is gone keeps the name it had.
func (s *Store) sourceNames(ctx context.Context, p *Publication) (map[string]string, error) {
	names := map[string]string{}
	for c, published := range p.Components {
		src, err := s.Sources.ByUUID(ctx, s.get, p.Kind.of(), published.UUID, published.Name)
		switch {
		case err == nil:
			names[c] = src.Name
		case errors.Is(err, driver.ErrNotFound):
			names[c] = published.Name
		default:
			return nil, err
		}
	}
	return names, nil
}

// List returns all publications.
func (s *Store) List(ctx context.Context) ([]View, error) {
	all, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	views := []View{}
	for _, p := range all {
		v, err := s.view(ctx, p)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// Below returns the publications of a prefix of a storage, with the names of sources
// as they were when each was published: it reads their rows and nothing else.
func (s *Store) Below(ctx context.Context, storage, prefix string) ([]View, error) {
	var views []View
	all, err := s.scan(ctx, Name{Storage: storage, Prefix: prefix}.dist().StoragePrefix()+"/")
	for _, p := range all {
		if p.Prefix != prefix { // the prefix a begins like the prefix a/b
			continue
		}
		names := map[string]string{}
		for c, src := range p.Components {
			names[c] = src.Name
		}
		views = append(views, p.view(names))
	}
	return views, err
}

// Show returns one publication. The error matches driver.ErrNotFound if there is
// none.
func (s *Store) Show(ctx context.Context, n Name) (View, error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return View{}, fmt.Errorf("unable to show: %w", err)
	}
	return s.view(ctx, p)
}

// Staged returns the sources that are staged. The error matches
// driver.ErrNotFound if none are.
func (s *Store) Staged(ctx context.Context, n Name) ([]SourceView, error) {
	p, err := s.read(ctx, s.get, n)
	if err == nil && p.Staged == nil {
		err = &notFound{"No source changes exist"}
	}
	if err != nil {
		return nil, fmt.Errorf("unable to show: %w", err)
	}
	return views(p.Staged), nil
}

// RevisionView is a revision as clients see it.
type RevisionView struct {
	Generation int64
	Date       time.Time
	Current    bool
	Sources    []SourceView // under the names they had
}

// Revisions returns the revisions of a publication, the current one first.
func (s *Store) Revisions(ctx context.Context, n Name) ([]RevisionView, error) {
	p, err := s.read(ctx, s.get, n)
	if err != nil {
		return nil, fmt.Errorf("unable to show: %w", err)
	}
	list := []RevisionView{}
	for _, rev := range slices.Backward(p.Revisions) {
		names := map[string]string{}
		for c, src := range rev.Components {
			names[c] = src.Name
		}
		list = append(list, RevisionView{rev.Generation, rev.Date, rev.Generation == p.Generation, views(names)})
	}
	return list, nil
}

// line is the text form of a publication in messages.
func (s *Store) line(ctx context.Context, p *Publication) (string, error) {
	var parts, extras []string
	for _, c := range p.components() {
		src, err := s.Sources.ByUUID(ctx, s.get, p.Kind.of(), p.Components[c].UUID, p.Components[c].Name)
		if errors.Is(err, driver.ErrNotFound) {
			src, err = source.Source{Title: source.Title(p.Components[c].Name, "")}, nil
		}
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("{%s: %s}", c, src))
	}
	for _, f := range [][2]string{{"origin", p.Origin}, {"notautomatic", p.NotAutomatic}, {"butautomaticupgrades", p.ButAutomaticUpgrades}, {"label", p.Label},
		{"suite", p.Suite}, {"codename", p.Codename}} {
		if f[1] != "" {
			extras = append(extras, f[0]+": "+f[1])
		}
	}
	extra := ""
	if extras != nil {
		extra = " (" + strings.Join(extras, ", ") + ")"
	}
	return fmt.Sprintf("%s%s [%s] publishes %s", p.Dist(), extra, strings.Join(p.Architectures, ", "), strings.Join(parts, ", ")), nil
}

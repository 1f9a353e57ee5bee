package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/archive/publish/tree"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// cleaner removes package files that a publication has lost. keeps are the lists
// that it has, nil for none.
func (s *Store) cleaner(a *task.Attempt, inv *files.Inventory, p Publication, keeps map[string]index.Published) *files.Cleaner {
	return &files.Cleaner{Store: s.filesOf(a, inv.Dist), Inventory: inv, Scope: p.widest(), Keeps: keeps, Kept: p.scope(),
		Others:  func(ctx context.Context, dir string) ([]files.User, error) { return s.users(ctx, &p, dir) },
		PutBack: func(ctx context.Context, names []string) error { return s.putBackPackages(ctx, p.Dist(), names) },
		Shown:   func(ctx context.Context, names []string) (map[string]bool, error) { return s.shown(ctx, &p, names) },
	}
}

// shown returns those of some package files that dropped publications of the prefix have,
// as far as apt may see them. The publication p itself is none of these.
func (s *Store) shown(ctx context.Context, p *Publication, names []string) (map[string]bool, error) {
	var asked, shown map[string]bool
	for r, err := range s.removals(ctx, p.Dist()) {
		if err != nil {
			return nil, err
		}
		if !r.Shown || r.Name == p.Name {
			continue
		}
		if asked == nil {
			asked, shown = map[string]bool{}, map[string]bool{}
			for _, name := range names {
				asked[name] = true
			}
		}
		for _, l := range r.lists() {
			found, err := s.files().Published(ctx, r.widest(), l.Component, l.Published, asked)
			if err != nil {
				return nil, err
			}
			for name := range found {
				shown[name] = true
			}
		}
	}
	return shown, nil
}

// putBackPackages puts back package files that an attempt has removed after it was
// overtaken. These are in lists that are staged by now, or in the inventory. A list
// leaves its staging row after the commit that enters it into the inventory, so the
// rows are read first.
func (s *Store) putBackPackages(ctx context.Context, d paths.Dist, names []string) error {
	removed := map[string]bool{}
	for _, name := range names {
		removed[name] = true
	}
	prefix := d.StoragePrefix() + "/"
	for row, err := range s.Table.Scan(ctx, StagingPart, prefix) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(row.Sort, prefix) {
			break
		}
		var st staging
		if err := json.Unmarshal(row.Data, &st); err != nil {
			return fmt.Errorf("%s: %w", row.Key, err)
		}
		if st.Prefix != d.Prefix {
			continue
		}
		for _, c := range slices.Sorted(maps.Keys(st.Lists)) {
			found, err := s.files().Published(ctx, st.Scope, c, st.Lists[c], removed)
			if err == nil {
				err = s.files().PutBack(ctx, d, found)
			}
			if err != nil {
				return err
			}
		}
	}
	inv := &files.Inventory{Store: s.files(), Dist: d}
	entered, err := inv.Entries(ctx, names)
	if err != nil {
		return err
	}
	return s.files().PutBack(ctx, d, entered)
}

// users returns the lists of other publications that have package files in a
// directory. For a publication that is not applied the lists of its old tree
// are added.
func (s *Store) users(ctx context.Context, p *Publication, dir string) ([]files.User, error) {
	neighbours, err := s.neighbours(ctx, p)
	if err != nil {
		return nil, err
	}
	var users []files.User
	for _, other := range neighbours {
		in := other.published()
		for _, c := range other.components() {
			if in[c].PoolDir == dir {
				users = append(users, files.User{Scope: other.scope(), List: in[c].List})
			}
		}
		old, err := s.older(ctx, &other)
		if err != nil {
			return nil, err
		}
		if old == nil {
			continue
		}
		for _, c := range slices.Sorted(maps.Keys(old.Lists)) {
			was := old.Lists[c]
			if was.PoolDir == dir {
				users = append(users, files.User{Scope: other.widest(), List: was.List})
			}
		}
	}
	return users, nil
}

// maxLeftovers bounds the leftovers of a publication: each has some 200 bytes of its
// row. The files of the oldest are removed when there are more.
const maxLeftovers = 60

// leave returns the leftovers after an update with SkipCleanup. They are the
// leftovers so far, and the lists of last that the publication has no more.
func (p *Publication) leave(last, now map[string]index.Published) []Leftover {
	left := slices.Clone(p.Left)
	for _, component := range slices.Sorted(maps.Keys(last)) {
		l := Leftover{component, last[component]}
		if l.Published != now[component] && !slices.Contains(left, l) {
			left = append(left, l)
		}
	}
	return left
}

// leaveOlder is for a publication that is being dropped, and is published again with a
// manifest. If its last one was never applied, the package files of the one before are there.
// They become leftovers.
func (s *Store) leaveOlder(ctx context.Context, p *Publication, m *tree.Manifest) error {
	if !p.Dropping {
		return nil
	}
	old, err := s.older(ctx, p)
	if err == nil && old != nil {
		p.Left = p.leave(old.Lists, m.Lists)
	}
	return err
}

// cleaned returns the leftovers that go when the committed manifest is applied: all, or
// with SkipCleanup the oldest for which the row has no room.
func (p *Publication) cleaned() []Leftover {
	if p.SkipCleanup {
		return p.Left[:max(0, len(p.Left)-maxLeftovers)]
	}
	return p.Left
}

// cleanPackages removes the package files that the publication has lost since
// the lists of last, unless SkipCleanup says that they stay. It also removes
// the package files of leftovers.
func (s *Store) cleanPackages(ctx context.Context, a *task.Attempt, inv *files.Inventory, p Publication, lists, last map[string]index.Published) error {
	c := s.cleaner(a, inv, p, lists)
	if !p.SkipCleanup {
		if err := c.Clean(ctx, last); err != nil {
			return err
		}
	}
	for _, l := range p.cleaned() {
		if err := c.Clean(ctx, map[string]index.Published{l.Component: l.Published}); err != nil {
			return err
		}
	}
	return nil
}

// dropPackages removes the package files of a publication that was dropped. With
// LeaveFiles they stay in a directory that another publication has, too. If its manifest
// is gone, m is nil. Then the row names the lists, and a damaged list is left out.
func (s *Store) dropPackages(ctx context.Context, a *task.Attempt, inv *files.Inventory, r removal, m *tree.Manifest) error {
	all := r.lists()
	if m != nil {
		all = append(leftovers(m.Lists), r.Left...)
	}
	c := s.cleaner(a, inv, r.Publication, nil)
	for _, l := range all {
		if r.LeaveFiles {
			others, err := c.Others(ctx, l.PoolDir)
			if err != nil {
				return err
			}
			if len(others) > 0 {
				continue
			}
		}
		err := c.Clean(ctx, map[string]index.Published{l.Component: l.Published})
		if m == nil && errors.Is(err, lists.ErrDamaged) {
			a.Warn("the package files of %s in component %s are not known, and stay: %v", r.Dist(), l.Component, err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

package publish

import (
	"context"
	"maps"
	"slices"

	"aptless/core/archive/publish/index"
	"aptless/core/engine/task"
)

// Leftover is a list that a component had, whose package files an update with
// SkipCleanup has left in the tree. They go with the next update that cleans up, and
// with the publication.
type Leftover struct {
	Component string
	index.Published
}

// maxLeftovers bounds the leftovers of a publication: each has some 200 bytes of its
// row. The files of the oldest are removed when there are more.
const maxLeftovers = 60

// leave returns the leftovers after an update with SkipCleanup: those that there are,
// and the lists of last that the publication has no more.
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

// cleaned returns the leftovers that go when the committed manifest is applied: all, or
// with SkipCleanup the oldest for which the row has no room.
func (p *Publication) cleaned() []Leftover {
	if p.SkipCleanup {
		return p.Left[:max(0, len(p.Left)-maxLeftovers)]
	}
	return p.Left
}

// cleanPackages removes the package files that the publication has lost since the
// lists of last, unless SkipCleanup says that they stay, and those of leftovers.
func (s *Store) cleanPackages(ctx context.Context, a *task.Attempt, p Publication, lists, last map[string]index.Published) error {
	c := s.cleaner(a, p, lists)
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

// dropPackages removes the package files of a publication that is dropped. With
// skipCleanup those stay that are in a directory which another publication has, too.
func (s *Store) dropPackages(ctx context.Context, a *task.Attempt, p Publication, lists map[string]index.Published, skipCleanup bool) error {
	all := slices.Clone(p.Left)
	for component, published := range lists {
		all = append(all, Leftover{component, published})
	}
	c := s.cleaner(a, p, nil)
	for _, l := range all {
		if skipCleanup {
			others, err := c.Others(ctx, l.PoolDir)
			if err != nil {
				return err
			}
			if len(others) > 0 {
				continue
			}
		}
		if err := c.Clean(ctx, map[string]index.Published{l.Component: l.Published}); err != nil {
			return err
		}
	}
	return nil
}

package pkglist

import (
	"context"
	"fmt"

	"aptless/core/formats/deb"
)

// Collision is two packages that one publication cannot have together. They have
// a file with one path in the pool and different content. Example: the .debs of
// 2.0 and 1:2.0, since file names have no epoch (Debian policy 5.6.12).
type Collision struct {
	File     string // base name
	Old, New *deb.Package
}

func (c *Collision) Error() string {
	return fmt.Sprintf("file %s of %v differs from that of %v, and both have the same path in the pool: remove %v first, or give %v another version",
		c.File, c.New, c.Old, c.Old, c.New)
}

// Collisions returns the first Collision in index order, nil if there is none. It
// is between a package that only to has and another package of to. It reads the
// chunks that the lists do not share, and chunks of to that may have equal names. It ignores
// packages for which counts is false; nil counts all.
func Collisions(ctx context.Context, from, to *List, counts func(*deb.Package) bool) (*Collision, error) {
	added, names, err := additions(ctx, from, to)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var group []*deb.Package // of one name
	for p, err := range to.Some(ctx, func(c *Chunk) bool { return c.MayHaveOne(names) }) {
		if err != nil {
			return nil, err
		}
		if len(group) > 0 && group[0].Name != p.Name {
			group = nil
		}
		keys := added[p.Name]
		if keys == nil || counts != nil && !counts(p.Package) {
			continue
		}
		for _, q := range group {
			file := SharedFile(q, p.Package)
			switch {
			case file == "":
			case keys[p.Key()]:
				return &Collision{file, q, p.Package}, nil
			case keys[q.Key()]:
				return &Collision{file, p.Package, q}, nil
			}
		}
		group = append(group, p.Package)
	}
	return nil, nil
}

// additions returns the keys of the packages that only to has, by package name,
// and these names in index order.
func additions(ctx context.Context, from, to *List) (added map[string]map[string]bool, names []string, err error) {
	added = map[string]map[string]bool{}
	for change, err := range Changes(ctx, from, to) {
		if err != nil {
			return nil, nil, err
		}
		p := change.New
		if p == nil || change.Old != nil && change.Old.Key() == p.Key() {
			continue
		}
		if added[p.Name] == nil {
			added[p.Name] = map[string]bool{}
			names = append(names, p.Name)
		}
		added[p.Name][p.Key()] = true
	}
	return added, names, nil
}

// Rival returns a package of the list that is in a Collision with p, nil if there
// is none. It reads the chunks that may have packages of the name of p.
func (l *List) Rival(ctx context.Context, p *deb.Package) (*deb.Package, error) {
	for q, err := range l.Some(ctx, func(c *Chunk) bool { return c.MayHaveOne([]string{p.Name}) }) {
		if err != nil {
			return nil, err
		}
		if SharedFile(q.Package, p) != "" {
			return q.Package, nil
		}
	}
	return nil, nil
}

// SharedFile returns the name of a file that two packages of one name have in one
// pool directory with different content, or "". It ignores installers, since all
// their versions have equal file names.
func SharedFile(p, q *deb.Package) string {
	switch {
	case p.Name != q.Name:
		return ""
	case (p.Kind == deb.Source) != (q.Kind == deb.Source) || p.Kind == deb.Installer || q.Kind == deb.Installer:
		return ""
	}
	in, err := p.PoolDir()
	if other, otherErr := q.PoolDir(); err != nil || otherErr != nil || in != other {
		return ""
	}
	for _, f := range p.Files {
		for _, g := range q.Files {
			if f.Name == g.Name && f.SHA256 != g.SHA256 {
				return f.Name
			}
		}
	}
	return ""
}

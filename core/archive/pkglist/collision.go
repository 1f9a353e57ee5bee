package pkglist

import (
	"context"
	"fmt"

	"aptless/core/formats/deb"
)

// Collision is two packages of which a publication can have one only: both have
// a file of the same path in the pool, with different content. Example: the .debs
// of 2.0 and 1:2.0, since file names leave the epoch out (Debian policy 5.6.12).
type Collision struct {
	File     string // base name
	Old, New *deb.Package
}

func (c *Collision) Error() string {
	return fmt.Sprintf("file %s of %v differs from that of %v, and both have the same path in the pool: remove %v first, or give %v another version",
		c.File, c.New, c.Old, c.Old, c.New)
}

// Collisions returns the first Collision in index order, nil if there is none,
// between a package that from lacks and to has, and another package of to. It
// reads the chunks that the two lists do not share, and those of to that may
// have packages of the same names.
func Collisions(ctx context.Context, from, to *List) (*Collision, error) {
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
		if keys == nil {
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

// additions returns the keys of the packages that from lacks and to has, by the
// name of the package, and these names in index order.
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

// SharedFile returns the name of a file that two packages of one name have in
// the same directory of the pool with different content, or "". The files of an
// installer do not count: they have the same names in each of its versions.
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

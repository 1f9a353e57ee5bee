package publish

import (
	"context"
	"encoding/json"
	"errors"
	"path"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
)

// Roots returns what the row of a publication needs of the storage. With
// driver.ErrNotFound, for a manifest that is gone, it is what the row itself says.
func (s *Store) Roots(ctx context.Context, data []byte) (gc.Roots, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return gc.Roots{}, err
	}
	var roots gc.Roots
	for _, c := range r.Components {
		roots.Packages = append(roots.Packages, c.List)
	}
	for _, rev := range r.Revisions {
		roots.Keys = append(roots.Keys, path.Dir(rev.Manifest)+"/")
		for _, c := range rev.Components {
			roots.Packages = append(roots.Packages, c.List)
		}
		if rev.Contents != nil {
			roots.Lists = append(roots.Lists, *rev.Contents)
		}
	}
	var missing error
	for _, key := range []string{r.Manifest, r.Old} {
		if key == "" {
			continue
		}
		roots.Keys = append(roots.Keys, path.Dir(key)+"/")
		m, err := s.manifest(ctx, key)
		if errors.Is(err, driver.ErrNotFound) {
			missing = err
			continue
		}
		if err != nil {
			return gc.Roots{}, err
		}
		if m.Contents != nil {
			roots.Lists = append(roots.Lists, *m.Contents)
		}
		for _, l := range m.Lists {
			roots.Packages = append(roots.Packages, l.List)
		}
	}
	return roots, missing
}

package files

import (
	"context"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Bounds of the AppStream files of a component.
const (
	maxAppStreamFiles = 10000
	maxAppStreamFile  = 4 << 30 // bytes
)

// AppStream stages the files that snapshots of mirrors have beside packages, as
// they are: AppStream (DEP-11) and translations of descriptions. byComponent has
// the SHA-256 of each by its path. A path begins with the component of the
// mirror: a file of another component than the published one is left out.
func (s *Store) AppStream(ctx context.Context, st *index.Stager, base *index.Set, byComponent map[string]map[string]string) ([]index.File, error) {
	var staged []index.File
	components := slices.Sorted(maps.Keys(byComponent))
	for _, c := range components {
		n := 0
		for _, name := range slices.Sorted(maps.Keys(byComponent[c])) {
			if !strings.HasPrefix(name, c+"/") || name != path.Clean(name) || paths.Nested(st.Header.Components, c, name) {
				continue
			}
			if n++; n > maxAppStreamFiles {
				return nil, task.Fail(500, "unable to open AppStream files from pool: more than %d for component %s", maxAppStreamFiles, c)
			}
			f, err := s.appStreamFile(ctx, st, base, name, byComponent[c][name])
			if err != nil {
				return nil, err
			}
			staged = append(staged, f)
		}
	}
	return staged, nil
}

// appStreamFile stages a file of the pool unless the last publication had it.
func (s *Store) appStreamFile(ctx context.Context, st *index.Stager, base *index.Set, name, sha256 string) (index.File, error) {
	had := slices.IndexFunc(base.Releases, func(f index.File) bool { return f.Path == name && f.SHA256 == sha256 })
	if had >= 0 && st.Staged(base) && base.Releases[had].Has(st.Digests()) {
		return base.Releases[had], nil
	}
	r, _, err := s.Blobs.Open(ctx, s.PoolKey(sha256), nil)
	if errors.Is(err, driver.ErrNotFound) {
		return index.File{}, task.Fail(500, "unable to open AppStream file from pool: %s is gone", name)
	}
	if err != nil {
		return index.File{}, err
	}
	defer r.Close()
	spool := st.Spool(ctx, "appstream")
	defer spool.Abort()
	size, err := io.Copy(spool, io.LimitReader(r, maxAppStreamFile+1))
	if err != nil {
		return index.File{}, err
	}
	if size > maxAppStreamFile {
		return index.File{}, task.Fail(500, "unable to write AppStream file: %s has more than %d bytes", name, int64(maxAppStreamFile))
	}
	return st.Stage(ctx, name, spool)
}

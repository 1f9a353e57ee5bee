package publish

import (
	"context"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Bounds of what a component passes on.
const (
	maxPassedFiles = 10000
	maxPassedFile  = 4 << 30 // bytes
)

// passedOn stages the files that snapshots of mirrors have beside packages, as
// they are: AppStream (DEP-11) and translations of descriptions. Their paths
// begin with the component that they were of; where that is published under
// another name, they are not.
func (st *stager) passedOn(ctx context.Context, m, prev *manifest, verb string) error {
	for _, c := range slices.Sorted(maps.Keys(m.Lists)) {
		n := 0
		files := st.record.passed[c]
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if !strings.HasPrefix(name, c+"/") || name != path.Clean(name) || st.record.nested(c, name) {
				continue
			}
			if n++; n > maxPassedFiles {
				return task.Fail(500, "%s: unable to open AppStream files from pool: more than %d for component %s", verb, maxPassedFiles, c)
			}
			o, err := st.passedFile(ctx, name, files[name], prev, verb)
			if err != nil {
				return err
			}
			m.Releases = append(m.Releases, file{name, o})
		}
	}
	return nil
}

// passedFile stages a file of the pool unless the last publication had it.
func (st *stager) passedFile(ctx context.Context, name, sha256 string, prev *manifest, verb string) (object, error) {
	had := slices.IndexFunc(prev.Releases, func(f file) bool { return f.Path == name && f.SHA256 == sha256 })
	if had >= 0 && st.staged(prev) {
		return prev.Releases[had].object, nil
	}
	r, _, err := st.store.Blobs.Open(ctx, st.store.PoolKey(sha256), nil)
	if errors.Is(err, driver.ErrNotFound) {
		return object{}, task.Fail(500, "%s: unable to open AppStream file from pool: %s is gone", verb, name)
	}
	if err != nil {
		return object{}, err
	}
	defer r.Close()
	s := st.spool(ctx, "passed")
	defer s.abort()
	size, err := io.Copy(s, io.LimitReader(r, maxPassedFile+1))
	if err != nil {
		return object{}, err
	}
	if size > maxPassedFile {
		return object{}, task.Fail(500, "%s: unable to write AppStream file: %s has more than %d bytes", verb, name, int64(maxPassedFile))
	}
	return st.stage(ctx, name, s)
}

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

// skeletons is where operators put files that are published as they are: below
// it <prefix>/dists/<distribution>/<component>/.
const skeletons = "private/skel"

// Bounds of the skeleton of a component.
const (
	maxSkeletonFiles = 1000
	maxSkeletonFile  = 64 << 20 // bytes
)

// skeleton stages the files that operators have put beside the indexes.
func (st *stager) skeleton(ctx context.Context, m, prev *manifest, verb string) error {
	taken := map[string]bool{}
	for _, f := range m.listed() {
		taken[f.Path] = true
	}
	for _, c := range slices.Sorted(maps.Keys(m.Lists)) {
		root := path.Join(skeletons, st.record.Prefix, "dists", st.record.Distribution, c) + "/"
		n := 0
		for info, err := range st.store.Blobs.List(ctx, root, "") {
			if err != nil {
				return err
			}
			name := c + "/" + strings.TrimPrefix(info.Key, root)
			if st.record.nested(c, name) {
				continue
			}
			if n++; n > maxSkeletonFiles {
				return task.Fail(500, "%s: unable to get skeleton files: more than %d for component %s", verb, maxSkeletonFiles, c)
			}
			if taken[name] {
				return task.Fail(500, "%s: unable to generate skeleton index: %s is generated", verb, name)
			}
			taken[name] = true
			o, err := st.skeletonFile(ctx, info.Key, name, prev, verb)
			if err != nil {
				return err
			}
			m.Releases = append(m.Releases, file{name, o})
		}
	}
	return nil
}

// nested says whether a file below a component is of another one inside it.
func (r *Record) nested(component, name string) bool {
	for c := range r.Components {
		if strings.HasPrefix(c, component+"/") && strings.HasPrefix(name, c+"/") {
			return true
		}
	}
	return false
}

// skeletonFile stages a file unless the last publication had it.
func (st *stager) skeletonFile(ctx context.Context, key, name string, prev *manifest, verb string) (object, error) {
	r, _, err := st.store.Blobs.Open(ctx, key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return object{}, task.Fail(500, "%s: unable to read skeleton file: %s is gone", verb, name)
	}
	if err != nil {
		return object{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxSkeletonFile+1))
	if err != nil {
		return object{}, err
	}
	if len(data) > maxSkeletonFile {
		return object{}, task.Fail(500, "%s: unable to read skeleton file: %s has more than %d bytes", verb, name, maxSkeletonFile)
	}
	return st.text(ctx, prev, name, data)
}

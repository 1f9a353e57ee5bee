package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Bounds of the skeleton of a component.
const (
	maxSkeletonFiles = 1000
	maxSkeletonFile  = 64 << 20 // bytes
)

// Skeleton stages the files that operators have put beside the indexes. set has
// all other files that Release lists: none of them may be replaced. state is as of
// SkeletonState.
func (s *Store) Skeleton(ctx context.Context, st *index.Stager, base, set *index.Set) (staged []index.File, state string, err error) {
	taken := map[string]bool{}
	for _, f := range set.Listed() {
		taken[f.Path] = true
	}
	var seen skeletonState
	for _, c := range st.Header.Components {
		root := st.Dist.Skeleton(c)
		n := 0
		for info, err := range s.Blobs.List(ctx, root, "") {
			if err != nil {
				return nil, "", err
			}
			seen.add(info)
			name := c + "/" + strings.TrimPrefix(info.Key, root)
			if paths.Nested(st.Header.Components, c, name) {
				continue
			}
			if n++; n > maxSkeletonFiles {
				return nil, "", task.Fail(500, "unable to get skeleton files: more than %d for component %s", maxSkeletonFiles, c)
			}
			if taken[name] {
				return nil, "", task.Fail(500, "unable to generate skeleton index: %s is generated", name)
			}
			taken[name] = true
			f, err := s.skeletonFile(ctx, st, base, info.Key, name)
			if err != nil {
				return nil, "", err
			}
			staged = append(staged, f)
		}
	}
	return staged, seen.digest(), nil
}

// SkeletonState returns a digest of the keys and versions of the files of operators. It
// is "" without any.
func (s *Store) SkeletonState(ctx context.Context, d paths.Dist, components []string) (string, error) {
	var seen skeletonState
	for _, c := range components {
		n := 0
		for info, err := range s.Blobs.List(ctx, d.Skeleton(c), "") {
			if err != nil {
				return "", err
			}
			seen.add(info)
			if n++; n > maxSkeletonFiles {
				break // the publication refuses it
			}
		}
	}
	return seen.digest(), nil
}

// skeletonState is the text of which the digest is the state.
type skeletonState []byte

func (t *skeletonState) add(info driver.Info) {
	*t = fmt.Appendf(*t, "%q %d %q %d\n", info.Key, info.Size, info.ETag, info.ModTime.Unix())
}

func (t skeletonState) digest() string {
	if len(t) == 0 {
		return ""
	}
	sum := sha256.Sum256(t)
	return hex.EncodeToString(sum[:])
}

// skeletonFile stages a file unless the last publication had it.
func (s *Store) skeletonFile(ctx context.Context, st *index.Stager, base *index.Set, key, name string) (index.File, error) {
	r, _, err := s.Blobs.Open(ctx, key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return index.File{}, task.Fail(500, "unable to read skeleton file: %s is gone", name)
	}
	if err != nil {
		return index.File{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxSkeletonFile+1))
	if err != nil {
		return index.File{}, err
	}
	if len(data) > maxSkeletonFile {
		return index.File{}, task.Fail(500, "unable to read skeleton file: %s has more than %d bytes", name, maxSkeletonFile)
	}
	return st.Text(ctx, base, name, data)
}

package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"aptless/core/archive/pool"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// errTooLarge says that a file of an operator has more than MaxSkeletonFile bytes.
var errTooLarge = fmt.Errorf("more than %d bytes", MaxSkeletonFile)

// skeleton reads the files that operators have put beside the indexes of a publication,
// and notes their digests. use is called for each file; nil for none. A publication that
// was made without such files has none: its row says so, and nothing is listed.
func (s *Store) skeleton(ctx context.Context, p *Publication, use func(key, sum string, size int64) error) error {
	p.Skeleton = nil
	if p.state == "" {
		return nil
	}
	components := slices.Sorted(maps.Keys(p.Components))
	for _, component := range components {
		root := p.Dist().Skeleton(component)
		files := map[string]string{}
		for info, err := range s.Blobs.List(ctx, root, "") {
			if err != nil {
				return err
			}
			name := strings.TrimPrefix(info.Key, root)
			if paths.Nested(components, component, component+"/"+name) {
				continue
			}
			if len(files) == MaxSkeletonFiles {
				return task.Fail(500, "unable to read skeleton files: more than %d for component %s", MaxSkeletonFiles, component)
			}
			sum, size, err := s.sumOf(ctx, info.Key)
			if errors.Is(err, driver.ErrNotFound) || errors.Is(err, errTooLarge) {
				return task.Fail(503, "unable to read skeleton file %s/%s: %w", component, name, err)
			}
			if err != nil {
				return err
			}
			if files[name] = sum; use != nil {
				if err := use(info.Key, sum, size); err != nil {
					return err
				}
			}
		}
		if len(files) > 0 {
			if p.Skeleton == nil {
				p.Skeleton = map[string]map[string]string{}
			}
			p.Skeleton[component] = files
		}
	}
	return nil
}

// sumOf returns the SHA-256 and the size of an object.
func (s *Store) sumOf(ctx context.Context, key string) (sum string, size int64, err error) {
	body, _, err := s.Blobs.Open(ctx, key, nil)
	if err != nil {
		return "", 0, err
	}
	defer body.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, io.LimitReader(body, MaxSkeletonFile+1))
	if err == nil && size > MaxSkeletonFile {
		err = errTooLarge
	}
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// poolSkeletons has the pool keep the skeleton files of all publications, so that clients
// read them as they read package files.
func (s *Store) poolSkeletons(ctx context.Context, objects []Object) error {
	for i := range objects {
		p := objects[i].Publication
		if p == nil {
			continue
		}
		err := s.skeleton(ctx, p, func(key, sum string, size int64) error {
			has, err := s.Pool.Has(ctx, sum)
			if err != nil || has {
				return err
			}
			body, _, err := s.Blobs.Open(ctx, key, nil)
			if err != nil {
				return err
			}
			defer body.Close()
			return s.Pool.Keep(ctx, sum, size, body)
		})
		if errors.Is(err, driver.ErrDigest) {
			return task.Fail(503, "unable to export: a skeleton file of publication %s is being changed, please try again", p.Dist())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// placeSkeleton writes the skeleton files of a loaded publication where its operator
// would put them. Files that are there and equal are not written, and files of other
// names stay. It reads the pool and writes new objects: an operator may change a file in
// place, and the pool's must not change with it.
func (s *Store) placeSkeleton(ctx context.Context, p *Publication) error {
	for _, component := range slices.Sorted(maps.Keys(p.Skeleton)) {
		files := p.Skeleton[component]
		for _, name := range slices.Sorted(maps.Keys(files)) {
			key := p.Dist().Skeleton(component) + name
			was, _, err := s.sumOf(ctx, key)
			if err == nil && was == files[name] {
				continue
			}
			if err != nil && !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, errTooLarge) {
				return err
			}
			if err := s.placeFile(ctx, key, files[name]); err != nil {
				return fmt.Errorf("skeleton file %s/%s: %w", component, name, err)
			}
		}
	}
	return nil
}

func (s *Store) placeFile(ctx context.Context, key, sum string) error {
	body, info, err := s.Blobs.Open(ctx, pool.FileKey(sum), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = s.Blobs.Put(ctx, key, body, driver.PutOptions{Size: info.Size})
	return err
}

package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Mounted is a store that holds the objects of one key prefix for another store.
type Mounted struct {
	Blobs Blobs
	At    string // key prefix in the combined store; ends in a slash
	Keys  string // key prefix in Blobs, which replaces At
}

// Mount returns base combined with the mounted stores. The key prefixes At must not
// contain each other. A List whose prefix is not at or below a mounted store lists
// base only.
func Mount(base Blobs, stores ...Mounted) Blobs {
	if len(stores) == 0 {
		return base
	}
	return &mounts{base, stores}
}

type mounts struct {
	base   Blobs
	stores []Mounted
}

// find returns the store that holds key, and the object's key in that store.
func (m *mounts) find(key string) (Mounted, string) {
	for _, s := range m.stores {
		if rest, ok := strings.CutPrefix(key, s.At); ok {
			return s, s.Keys + rest
		}
	}
	return Mounted{Blobs: m.base}, key
}

// name turns the key of info in s into the key in the combined store.
func (s Mounted) name(info Info) Info {
	info.Key = s.At + strings.TrimPrefix(info.Key, s.Keys)
	return info
}

func (m *mounts) Open(ctx context.Context, key string, rng *Range) (io.ReadCloser, Info, error) {
	s, inner := m.find(key)
	r, info, err := s.Blobs.Open(ctx, inner, rng)
	return r, s.name(info), err
}

func (m *mounts) Stat(ctx context.Context, key string) (Info, error) {
	s, inner := m.find(key)
	info, err := s.Blobs.Stat(ctx, inner)
	return s.name(info), err
}

func (m *mounts) Put(ctx context.Context, key string, r io.Reader, opt PutOptions) (Info, error) {
	s, inner := m.find(key)
	info, err := s.Blobs.Put(ctx, inner, r, opt)
	return s.name(info), err
}

// Copy between different stores reads the object and puts it.
func (m *mounts) Copy(ctx context.Context, dst, src string, opt PutOptions) (Info, error) {
	to, dstKey := m.find(dst)
	from, srcKey := m.find(src)
	if to.At == from.At {
		info, err := to.Blobs.Copy(ctx, dstKey, srcKey, opt)
		return to.name(info), err
	}
	if err := CheckKey(dst); err != nil {
		return Info{}, err
	}
	r, info, err := from.Blobs.Open(ctx, srcKey, nil)
	if err != nil {
		return Info{}, fmt.Errorf("copy to %s: %w", dst, err)
	}
	defer r.Close()
	opt.SHA256, opt.Size = "", info.Size
	info, err = to.Blobs.Put(ctx, dstKey, r, opt)
	return to.name(info), err
}

func (m *mounts) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	s, inner := m.find(prefix)
	if s.At == "" {
		return s.Blobs.List(ctx, prefix, after)
	}
	if rest, ok := strings.CutPrefix(after, s.At); ok {
		after = s.Keys + rest
	} else if after > s.At {
		return func(func(Info, error) bool) {}
	} else {
		after = ""
	}
	return func(yield func(Info, error) bool) {
		for info, err := range s.Blobs.List(ctx, inner, after) {
			if err == nil {
				info = s.name(info)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func (m *mounts) Delete(ctx context.Context, keys ...string) error {
	byStore := map[string][]string{}
	stores := map[string]Blobs{}
	for _, key := range keys {
		s, inner := m.find(key)
		byStore[s.At], stores[s.At] = append(byStore[s.At], inner), s.Blobs
	}
	for _, at := range slices.Sorted(maps.Keys(byStore)) {
		if err := stores[at].Delete(ctx, byStore[at]...); err != nil {
			return err
		}
	}
	return nil
}

func (m *mounts) Sync(ctx context.Context) error {
	errs := []error{m.base.Sync(ctx)}
	for _, s := range m.stores {
		errs = append(errs, s.Blobs.Sync(ctx))
	}
	return errors.Join(errs...)
}

package driver

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Mounted is a store of whose keys some are another store's.
type Mounted struct {
	Blobs Blobs
	At    string // what the keys begin with; ends at a slash
	Keys  string // what they begin with in the other store, in its place
}

// Mount returns the Blobs of base and of what is mounted. No two mounted stores
// are at the same place or below each other. A listing is of base unless its
// prefix is at or below where another store is.
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

// find returns the store of a key, and the key there.
func (m *mounts) find(key string) (Mounted, string) {
	for _, s := range m.stores {
		if rest, ok := strings.CutPrefix(key, s.At); ok {
			return s, s.Keys + rest
		}
	}
	return Mounted{Blobs: m.base}, key
}

// name is the inverse of find.
func (s Mounted) name(info Info) Info {
	info.Key = s.At + strings.TrimPrefix(info.Key, s.Keys)
	return info
}

func (m *mounts) Open(ctx context.Context, key string, rng *Range) (io.ReadCloser, Info, error) {
	s, there := m.find(key)
	r, info, err := s.Blobs.Open(ctx, there, rng)
	return r, s.name(info), err
}

func (m *mounts) Stat(ctx context.Context, key string) (Info, error) {
	s, there := m.find(key)
	info, err := s.Blobs.Stat(ctx, there)
	return s.name(info), err
}

func (m *mounts) Put(ctx context.Context, key string, r io.Reader, opt PutOptions) (Info, error) {
	s, there := m.find(key)
	info, err := s.Blobs.Put(ctx, there, r, opt)
	return s.name(info), err
}

// Copy reads and puts what is in different stores.
func (m *mounts) Copy(ctx context.Context, dst, src string, opt PutOptions) (Info, error) {
	to, there := m.find(dst)
	from, here := m.find(src)
	if to.At == from.At {
		info, err := to.Blobs.Copy(ctx, there, here, opt)
		return to.name(info), err
	}
	if err := CheckKey(dst); err != nil {
		return Info{}, err
	}
	r, info, err := from.Blobs.Open(ctx, here, nil)
	if err != nil {
		return Info{}, fmt.Errorf("copy to %s: %w", dst, err)
	}
	defer r.Close()
	opt.SHA256, opt.Size = "", info.Size
	info, err = to.Blobs.Put(ctx, there, r, opt)
	return to.name(info), err
}

func (m *mounts) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	s, there := m.find(prefix)
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
		for info, err := range s.Blobs.List(ctx, there, after) {
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
		s, there := m.find(key)
		byStore[s.At], stores[s.At] = append(byStore[s.At], there), s.Blobs
	}
	for at, list := range byStore {
		if err := stores[at].Delete(ctx, list...); err != nil {
			return err
		}
	}
	return nil
}

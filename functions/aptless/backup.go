package main

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/front/api"
	"aptless/infra/embedded"
)

// freezer makes copies of the data folder for backups.
type freezer struct {
	store *embedded.Store
	data  string

	mu   sync.Mutex
	open map[string]frozenCopy
}

// frozenCopy is a copy that a client has not removed yet.
type frozenCopy struct {
	*embedded.Frozen
	made time.Time
}

// keepCopy is how long a copy stays whose client is gone.
const keepCopy = 24 * time.Hour

// Freeze implements api.Freezer.
func (f *freezer) Freeze(ctx context.Context) (api.Frozen, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.open {
		if time.Since(c.made) > keepCopy {
			if err := c.Close(); err != nil {
				return api.Frozen{}, err
			}
			delete(f.open, id)
		}
	}
	c, err := f.store.Freeze(ctx)
	if err != nil {
		return api.Frozen{}, err
	}
	data, err := filepath.Abs(f.data)
	if err != nil {
		return api.Frozen{}, err
	}
	id := filepath.Base(c.Dir)
	if f.open == nil {
		f.open = map[string]frozenCopy{}
	}
	f.open[id] = frozenCopy{c, time.Now()}
	return api.Frozen{ID: id, Path: c.Dir, Data: data, Objects: c.Objects}, nil
}

// Thaw implements api.Freezer.
func (f *freezer) Thaw(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.open[id]
	if !ok {
		return driver.ErrNotFound
	}
	delete(f.open, id)
	return c.Close()
}

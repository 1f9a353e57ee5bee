package simulation

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"aptless/core/engine/driver"
)

// direct is the Blobs port of a process whose storage takes signed uploads. Clients put
// them past the process; see client.store.
type direct struct{ blobs }

var _ driver.Direct = direct{}

func (s direct) SignPut(ctx context.Context, key string, size int64, sha256 string, expires time.Duration) (driver.SignedPut, error) {
	return s.p.world.direct.SignPut(ctx, key, size, sha256, expires) // makes no request
}

func (s direct) SignPart(ctx context.Context, key, id string, part driver.Part, expires time.Duration) (driver.SignedPut, error) {
	return s.p.world.direct.SignPart(ctx, key, id, part, expires) // makes no request
}

func (s direct) BeginParts(ctx context.Context, key string) (string, error) {
	return do(ctx, s.p, "Blobs.BeginParts "+key, true, func(inner context.Context, _ bool) (string, error) {
		return s.p.world.direct.BeginParts(inner, key)
	})
}

func (s direct) Parts(ctx context.Context, key, id string) ([]driver.Part, error) {
	return do(ctx, s.p, "Blobs.Parts "+key, false, func(inner context.Context, _ bool) ([]driver.Part, error) {
		return s.p.world.direct.Parts(inner, key, id)
	})
}

func (s direct) CompleteParts(ctx context.Context, key, id string, parts []driver.Part) error {
	_, err := do(ctx, s.p, "Blobs.CompleteParts "+key, true, func(inner context.Context, half bool) (struct{}, error) {
		if half {
			return struct{}{}, errFault
		}
		s.p.world.direct.Blobs = s.p.world.memory.Blobs // another one after a power failure
		return struct{}{}, s.p.world.direct.CompleteParts(inner, key, id, parts)
	})
	return err
}

func (s direct) AbortParts(ctx context.Context, key, id string) error {
	_, err := do(ctx, s.p, "Blobs.AbortParts "+key, true, func(inner context.Context, _ bool) (struct{}, error) {
		return struct{}{}, s.p.world.direct.AbortParts(inner, key, id)
	})
	return err
}

// edge is the Edge port of a process.
type edge struct{ p *Process }

func (e edge) Update(ctx context.Context, put map[string]string, remove []string) error {
	_, err := do(ctx, e.p, "Edge.Update", true, func(_ context.Context, half bool) (struct{}, error) {
		if half {
			return struct{}{}, errFault
		}
		w := e.p.world
		w.mu.Lock()
		defer w.mu.Unlock()
		maps.Copy(w.edge, put)
		for _, key := range remove {
			delete(w.edge, key)
		}
		return struct{}{}, nil
	})
	return err
}

func (e edge) Keys(ctx context.Context) iter.Seq2[string, error] {
	return pages(ctx, e.p, "Edge.Keys", "", func(_ context.Context, after string) iter.Seq2[string, error] {
		w := e.p.world
		w.mu.Lock()
		keys := slices.Sorted(maps.Keys(w.edge))
		w.mu.Unlock()
		return func(yield func(string, error) bool) {
			for _, key := range keys {
				if key > after && !yield(key, nil) {
					return
				}
			}
		}
	}, func(key string) string { return key })
}

package simulation

import (
	"bytes"
	"context"
	"io"
	"iter"
	"strings"

	"aptless/core/engine/driver"
)

// blobs is the Blobs port of a process.
type blobs struct{ p *Process }

func (s blobs) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	type opened struct {
		r    io.ReadCloser
		info driver.Info
		half bool
	}
	o, err := do(ctx, s.p, "Blobs.Open "+key, false, func(inner context.Context, half bool) (opened, error) {
		r, info, err := s.p.world.memory.Blobs.Open(inner, key, rng)
		if half && err == nil { // the reader fails, and not the call
			return opened{&broken{r: r, left: info.Size / 2}, info, true}, errFault
		}
		return opened{r, info, false}, err
	})
	if o.half {
		return o.r, o.info, nil
	}
	if err != nil {
		return nil, driver.Info{}, err
	}
	return &broken{r: o.r, p: s.p, left: -1}, o.info, nil
}

// broken is the body of an object. It fails after left bytes, or when its process is dead.
type broken struct {
	r    io.ReadCloser
	p    *Process
	left int64 // -1: it does not fail
}

func (b *broken) Read(data []byte) (int, error) {
	switch {
	case b.p != nil && b.p.dead.Load():
		return 0, errDead
	case b.left < 0:
		return b.r.Read(data)
	case b.left == 0:
		return 0, errFault
	}
	n, err := b.r.Read(data[:min(int64(len(data)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *broken) Close() error { return b.r.Close() }

func (s blobs) Stat(ctx context.Context, key string) (driver.Info, error) {
	return do(ctx, s.p, "Blobs.Stat "+key, false, func(inner context.Context, _ bool) (driver.Info, error) {
		return s.p.world.memory.Blobs.Stat(inner, key)
	})
}

// Put reads all of r before its turn, so the effect is one step.
func (s blobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return driver.Info{}, err
	}
	return do(ctx, s.p, "Blobs.Put "+key, true, func(inner context.Context, half bool) (driver.Info, error) {
		if half {
			return driver.Info{}, errFault
		}
		info, err := s.p.world.memory.Blobs.Put(inner, key, bytes.NewReader(data), opt)
		if err == nil {
			s.p.world.check.stored(inner, s.p, key, data)
		}
		return info, err
	})
}

func (s blobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	return do(ctx, s.p, "Blobs.Copy "+dst, true, func(inner context.Context, half bool) (driver.Info, error) {
		if half {
			return driver.Info{}, errFault
		}
		info, err := s.p.world.memory.Blobs.Copy(inner, dst, src, opt)
		if err == nil {
			s.p.world.check.stored(inner, s.p, dst, nil)
		}
		return info, err
	})
}

func (s blobs) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return pages(ctx, s.p, "Blobs.List "+prefix, after, func(inner context.Context, after string) iter.Seq2[driver.Info, error] {
		return s.p.world.memory.Blobs.List(inner, prefix, after)
	}, func(i driver.Info) string { return i.Key })
}

// pages is a listing, page by page. Each page is a call.
func pages[T any](ctx context.Context, p *Process, name, after string, all func(ctx context.Context, after string) iter.Seq2[T, error], key func(T) string) iter.Seq2[T, error] {
	// The listing counts where it begins. Its reader may be in another function.
	ctx = context.WithValue(ctx, siteKey{}, p.world.coverage.site(ctx, name))
	return func(yield func(T, error) bool) {
		after := after
		for {
			size := p.world.pageSize(name)
			type page struct {
				items []T
				more  bool
			}
			got, err := do(ctx, p, name, false, func(inner context.Context, _ bool) (page, error) {
				var g page
				for v, err := range all(inner, after) {
					if err != nil {
						return g, err
					}
					if len(g.items) == size {
						g.more = true
						break
					}
					g.items = append(g.items, v)
				}
				return g, nil
			})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, v := range got.items {
				if !yield(v, nil) {
					return
				}
				after = key(v)
			}
			if !got.more {
				return
			}
		}
	}
}

func (s blobs) Delete(ctx context.Context, keys ...string) error {
	name := "Blobs.Delete"
	if len(keys) > 0 {
		name += " " + keys[0]
	}
	_, err := do(ctx, s.p, name, true, func(inner context.Context, half bool) (struct{}, error) {
		some := keys
		if half {
			some = keys[:len(keys)/2]
		}
		kept := s.p.world.check.losing(ctx, nil, some)
		err := s.p.world.memory.Blobs.Delete(inner, some...)
		s.p.world.check.deleted(some)
		kept()
		return struct{}{}, err
	})
	return err
}

// Sync makes no request.
func (s blobs) Sync(ctx context.Context) error {
	if s.p.dead.Load() {
		return errDead
	}
	return s.p.world.memory.Blobs.Sync(context.WithoutCancel(ctx))
}

// method returns the method of a call's name.
func method(name string) string {
	m, _, _ := strings.Cut(name, " ")
	return m
}

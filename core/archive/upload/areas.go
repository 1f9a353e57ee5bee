package upload

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lock"
)

// abandoned is the minimal age of a dead object without a row, or of a dead
// announcement. The two writes of an upload are much closer together.
const abandoned = 24 * time.Hour

// Areas returns the upload area's areas for the collector.
func (s *Store) Areas() []gc.Area {
	return []gc.Area{
		{Name: "deliveries", Items: s.deliveryItems}, // before the areas of objects
		{Name: "uploads", Items: s.incomingItems},
		{Name: "announced uploads", Items: s.announcedItems},
	}
}

// deliveryItems yields the rows of deliveries. A row goes if it is a day old and
// no task holds it. The process died before it admitted the task.
func (s *Store) deliveryItems(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		held, last := false, ""
		for row, err := range s.Table.Scan(ctx, uploadPart, max(after, deliveryPrefix)) {
			if err == nil && !strings.HasPrefix(row.Sort, deliveryPrefix) {
				return
			}
			if err != nil {
				yield(gc.Item{}, err)
				return
			}
			dir, _, _ := strings.Cut(row.Sort, "//")
			if dir != last {
				if held, err = s.needed(ctx, dir, sweep.Now()); err != nil {
					yield(gc.Item{}, err)
					return
				}
				last = dir
			}
			if !yield(gc.Item{At: row.Sort, Row: row.Key, Version: row.Version, Live: held}, nil) {
				return
			}
		}
	}
}

// needed reports whether the directory of a delivery is younger than a day, or
// locked by a task.
func (s *Store) needed(ctx context.Context, dir string, now time.Time) (bool, error) {
	text, _, _ := strings.Cut(strings.TrimPrefix(dir, deliveryPrefix), "-")
	since, err := strconv.ParseInt(text, 10, 64)
	if err != nil || now.Sub(time.Unix(since, 0)) <= abandoned {
		return true, nil
	}
	_, err = s.Table.Get(ctx, lock.Key(Lock(dir)))
	if errors.Is(err, driver.ErrNotFound) {
		return false, nil
	}
	return true, err
}

// incomingItems yields the objects of uploads. An object goes if it is a day old
// and no row names it. Rows are read after the listing. So a listed, old object
// has its row by then, or never gets one.
func (s *Store) incomingItems(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		var old []gc.Item
		for info, err := range s.Blobs.List(ctx, pool.IncomingPrefix, after) {
			if err != nil {
				yield(gc.Item{}, err)
				return
			}
			switch name := strings.TrimPrefix(info.Key, pool.IncomingPrefix); {
			case strings.Trim(strings.TrimPrefix(name, "direct-"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdef") != "":
				sweep.Foreign(info.Key)
			case sweep.Now().Sub(info.ModTime) > abandoned:
				old = append(old, gc.Item{At: info.Key, Object: info.Key})
			}
		}
		if len(old) == 0 {
			return
		}
		named, err := s.incoming(ctx)
		if err != nil {
			yield(gc.Item{}, err)
			return
		}
		for _, item := range old {
			item.Live = named[item.Object]
			if !yield(item, nil) {
				return
			}
		}
	}
}

// incoming returns the keys of all objects that rows name.
func (s *Store) incoming(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	for row, err := range s.Table.Scan(ctx, uploadPart, "") {
		if err != nil {
			return nil, err
		}
		dir, name, _ := strings.Cut(row.Sort, "//")
		u, err := upload(row, dir, name)
		if err != nil {
			return nil, err
		}
		named[u.Blob] = true
	}
	return named, nil
}

func (s *Store) announcedItems(ctx context.Context, sweep *gc.Sweep, after string) iter.Seq2[gc.Item, error] {
	return func(yield func(gc.Item, error) bool) {
		for row, err := range s.Table.Scan(ctx, announcedPart, after) {
			item := gc.Item{At: row.Sort, Row: row.Key, Version: row.Version}
			if err == nil {
				var n announcement
				n, err = decodeAnnouncement(row)
				item.Live = sweep.Now().Sub(n.At) < abandoned
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

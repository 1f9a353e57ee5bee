package upload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/lock"
)

// deliveryPrefix begins the names of the directories of deliveries. Names that
// clients give have no "$".
const deliveryPrefix = "$delivery-"

// NewDelivery returns the name of a directory for the files of one request, which
// are imported at once. Clients do not see it.
func (s *Store) NewDelivery() string {
	return fmt.Sprintf("%s%d-%s", deliveryPrefix, s.Now().Unix(), rand.Text())
}

// Lock is the resource that a task locks while it uses a directory.
func Lock(dir string) string { return "uploads/" + dir }

// deliveryItems yields the rows of deliveries. Those go that are a day old and that
// no task holds: the process has died before it admitted the task.
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

// needed reports whether the directory of a delivery is younger than a day or held
// by a task.
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

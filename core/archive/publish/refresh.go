package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/task"
)

// Bounds of how long a Release is valid.
const (
	minValidity = time.Hour
	maxValidity = 10 * 365 * 24 * time.Hour
)

// validityUnits are those in which clients say how long a Release is valid.
var validityUnits = map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// ParseValidity reads how long a Release is valid: a number of hours, days or
// weeks, such as "12h", "7d" or "2w". "" is 0, for ever.
func ParseValidity(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	unit, ok := validityUnits[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	d := time.Duration(n) * unit
	if !ok || err != nil || d < minValidity || d > maxValidity {
		return 0, task.Fail(400, "invalid ValidFor %.20q: 1h to 10 years, as a number of h, d or w", s)
	}
	return d, nil
}

// ShowValidity is the inverse of ParseValidity, in the largest unit that fits.
func ShowValidity(d time.Duration) string {
	for _, unit := range "wdh" {
		if u := validityUnits[byte(unit)]; d > 0 && d%u == 0 {
			return fmt.Sprintf("%d%c", d/u, unit)
		}
	}
	return ""
}

// calendar is the partition of the publications that expire: it is small when
// few do, and read by every tick.
const calendar = "expiry"

// expiry is a row of the calendar.
type expiry struct {
	Storage, Prefix, Distribution string
	Due                           time.Time // when the Release is made anew, or a tick asks for that again
}

func calendarKey(id string) driver.Key { return driver.Key{Part: calendar, Sort: id} }

// due is when the Release is made anew: at half of its life, so that half is left
// to mend what keeps it from being made.
func (p *Publication) due() time.Time { return p.Date.Add(p.ValidFor / 2) }

// schedule puts the publication into the calendar, or takes it out.
func (p *Publication) schedule(ctx context.Context, a *task.Attempt) error {
	if p.ValidFor == 0 && !p.Expires {
		return nil
	}
	key := calendarKey(p.Dist().ID())
	if _, err := a.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if p.Expires = p.ValidFor > 0; p.Expires {
		a.PutJSON(key, expiry{p.Storage, p.Prefix, p.Distribution, p.due()})
	} else {
		a.Drop(key)
	}
	return nil
}

// askAgain is how long a tick waits for the task that another one asked for.
const askAgain = time.Hour

// Due returns the tasks that make anew the Release files that expire, each of
// them to one caller only. They need no more than a signature.
func (s *Store) Due(ctx context.Context) ([]task.Spec, error) {
	var specs []task.Spec
	for row, err := range s.Table.Scan(ctx, calendar, "") {
		if err != nil {
			return specs, err
		}
		var e expiry
		if err := json.Unmarshal(row.Data, &e); err != nil {
			return specs, fmt.Errorf("calendar %s: %w", row.Sort, err)
		}
		if s.Now().Before(e.Due) {
			continue
		}
		n := Name{e.Storage, e.Prefix, e.Distribution}
		p, err := s.read(ctx, s.get, n)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return specs, err
		}
		e.Due = s.Now().Add(askAgain)
		data, err := json.Marshal(e)
		if err != nil {
			return specs, err
		}
		_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpPut, Key: row.Key, If: row.Version, Data: data})
		if errors.Is(err, driver.ErrConflict) {
			continue // another tick was first, or it was published meanwhile
		}
		if err != nil {
			return specs, err
		}
		l := p.lockUpdate(change{want: p.Components})
		specs = append(specs, task.Spec{Kind: "publish.refresh", Name: "Sign anew published repository " + p.Dist().String(),
			Resources: l.names, Locks: l.locks, Args: RefreshArgs{n}})
	}
	return specs, nil
}

// refresh publishes under a new date the lists that the publication has, if its
// Release is due by now.
func (s *Store) refresh(ctx context.Context, a *task.Attempt, args RefreshArgs) (task.Result, error) {
	done := task.Result{Value: struct{}{}}
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.apply(ctx, a, args.Name, 200)
	}
	p, err := s.read(ctx, a.GetJSON, args.Name)
	if errors.Is(err, driver.ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return task.Result{}, err
	}
	if p.ValidFor == 0 || p.Dropping || s.Now().Before(p.due()) {
		return done, nil
	}
	if err := p.lockUpdate(change{want: p.Components}).held(a); err != nil {
		return task.Result{}, err
	}
	if p.State, err = s.finishEarlier(ctx, a, p); err != nil {
		return task.Result{}, err
	}
	d, err := s.planAgain(ctx, p, uuids(p.Components), request{verb: toRefresh, Signing: Signing{p.Unsigned, p.Keys}})
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 200)
}

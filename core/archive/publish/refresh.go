package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"aptless/core/archive/publish/paths"
	"aptless/core/engine/calendar"
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

// ExpiryKind is the kind of the calendar entries of publications that expire;
// PlanRefresh is their planner.
const ExpiryKind = "publish.expiry"

// expiryName is the calendar entry that says when a Release is signed anew.
func expiryName(d paths.Dist) string { return "expiry/" + d.ID() }

// due is when the Release is made anew: at half of its life, so that half is left
// to mend what keeps it from being made.
func (p *Publication) due() time.Time { return p.Date.Add(p.ValidFor / 2) }

// schedule puts the publication into the calendar, or takes it out.
func (p *Publication) schedule(ctx context.Context, a *task.Attempt) error {
	had := p.Expires
	if p.Expires = p.ValidFor > 0; p.Expires {
		data, err := json.Marshal(p.Name)
		if err != nil {
			return err
		}
		return calendar.Schedule(ctx, a, calendar.Entry{Name: expiryName(p.Dist()), Kind: ExpiryKind, Data: data, Due: p.due()})
	}
	if !had {
		return nil
	}
	return calendar.Remove(ctx, a, expiryName(p.Dist()))
}

// PlanRefresh plans a calendar entry: the Release is signed anew if it is due. If
// that does not succeed, it is asked for again after an eighth of its validity,
// an hour at most.
func (s *Store) PlanRefresh(ctx context.Context, e calendar.Entry) (task.Plan, error) {
	var n Name
	if err := json.Unmarshal(e.Data, &n); err != nil {
		return task.Plan{}, err
	}
	p, err := s.read(ctx, s.get, n)
	if errors.Is(err, driver.ErrNotFound) || err == nil && p.ValidFor == 0 {
		return task.Plan{}, nil
	}
	if err != nil {
		return task.Plan{}, err
	}
	if s.Now().Before(p.due()) { // it was published since the entry was read
		return task.Plan{Next: p.due()}, nil
	}
	l := p.lockUpdate(change{want: p.Components})
	return task.Plan{Next: calendar.Until(s.Now(), p.ValidFor), Spec: task.Spec{Kind: "publish.refresh",
		Name: "Sign anew published repository " + p.Dist().String(), Resources: l.names, Locks: l.locks, Args: RefreshArgs{n}}}, nil
}

// oldCalendar is the partition in which earlier releases had the publications
// that expire.
const oldCalendar = "expiry"

// TakeOver moves the rows of the old calendar into the present one.
func (s *Store) TakeOver(ctx context.Context) error {
	for row, err := range s.Table.Scan(ctx, oldCalendar, "") {
		if err != nil {
			return err
		}
		var old struct {
			Name
			Due time.Time
		}
		if err := json.Unmarshal(row.Data, &old); err != nil {
			return fmt.Errorf("%s: %w", row.Key, err)
		}
		ops := []driver.Op{{Do: driver.OpDelete, Key: row.Key, If: row.Version}}
		e, err := calendar.Get(ctx, s.Table, expiryName(old.dist()))
		if errors.Is(err, driver.ErrNotFound) {
			e.Kind, e.Due = ExpiryKind, old.Due
			if e.Data, err = json.Marshal(old.Name); err == nil {
				ops = append(ops, e.PutOp())
			}
		}
		if err != nil {
			return err
		}
		if _, err := s.Table.Write(ctx, ops...); err != nil && !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return nil
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
	if p, err = s.finishEarlier(ctx, a, p, at); err != nil {
		return task.Result{}, err
	}
	d, err := s.planAgain(ctx, p, uuids(p.Components), request{verb: toRefresh, Signing: p.signing()})
	if err != nil {
		return task.Result{}, err
	}
	return s.publish(ctx, a, at, d, 200)
}

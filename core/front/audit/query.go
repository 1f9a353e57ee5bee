package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// Query selects records by their fields. An empty field selects all.
type Query struct {
	Since, Until time.Time // of at most MaxSpan; the last day if zero
	Event        string
	By           string // ID or name
	Owner        string
	Task         int64
	Path         string // the beginning of the path
	Status       int
	From         string
	Limit        int    // DefaultLimit if 0
	After        string // Next of an earlier answer
}

// Bounds of a query.
const (
	DefaultLimit = 200
	MaxLimit     = 1000
	MaxSpan      = 31 * 24 * time.Hour
)

// ErrQuery says that a query is not within its bounds.
var ErrQuery = errors.New("the query is not within its bounds")

// Page is the answer to a query. Next is After of the query for the next page; "" says
// that this page is the last.
type Page struct {
	Records []Record
	Next    string
}

func (q *Query) complete(now time.Time) error {
	if q.Until.IsZero() {
		q.Until = now
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-24 * time.Hour)
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 1 || q.Limit > MaxLimit || q.Until.Sub(q.Since) > MaxSpan {
		return fmt.Errorf("%w: limit is 1 to %d, and since and until are at most 31 days apart", ErrQuery, MaxLimit)
	}
	return nil
}

func (q *Query) matches(r *Record) bool {
	return (q.Event == "" || r.Event == q.Event) && (q.By == "" || r.By.ID == q.By || r.By.Name == q.By) &&
		(q.Owner == "" || r.By.Owner == q.Owner) && (q.Task == 0 || r.Task == q.Task) && strings.HasPrefix(r.Path, q.Path) &&
		(q.Status == 0 || r.Status == q.Status) && (q.From == "" || r.From == q.From)
}

// Ask returns a page of the records that match a query, in the order of time. ErrQuery:
// the query is not within its bounds.
func (s *Store) Ask(ctx context.Context, q Query) (Page, error) {
	page := Page{Records: []Record{}}
	if err := q.complete(s.Now()); err != nil {
		return page, err
	}
	after := q.Since.UTC().Format(stamp)
	if q.After > after {
		after = q.After
	}
	until := q.Until.UTC().Format(stamp)
	for row, err := range s.days(ctx, q.Since, q.Until, after) {
		if err != nil {
			return page, err
		}
		if row.Sort >= until {
			break
		}
		var r Record
		if err := json.Unmarshal(row.Data, &r); err != nil {
			return page, fmt.Errorf("row %s: %w", row.Key, err)
		}
		if !q.matches(&r) {
			continue
		}
		if len(page.Records) == q.Limit {
			last := page.Records[q.Limit-1]
			page.Next = last.Time.Format(stamp) + "-" + last.ID
			break
		}
		page.Records = append(page.Records, r)
	}
	return page, nil
}

// days yields the rows after a sort key, from the day of since to the day of until.
func (s *Store) days(ctx context.Context, since, until time.Time, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for day := since.UTC().Truncate(24 * time.Hour); !day.After(until); day = day.Add(24 * time.Hour) {
			if day.Format(time.DateOnly) < after[:len(time.DateOnly)] {
				continue
			}
			for row, err := range s.Table.Scan(ctx, partition(day), after) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

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

// Fault is a fault of a chain, as a Verifier reports it.
type Fault struct {
	ID   string // of the record at which the fault shows
	What string
}

func (f Fault) String() string { return f.ID + ": " + f.What }

// Verifier checks the chains of streams. Its caller adds records in the order of time.
type Verifier struct {
	// Partial says that earlier records are not added, so a stream may begin with any
	// number.
	Partial bool
	Faults  []Fault
	Records int
	streams map[string]Record
}

// Add checks the next record against its own hash and the last record of its stream.
func (v *Verifier) Add(r Record) {
	if v.streams == nil {
		v.streams = map[string]Record{}
	}
	v.Records++
	if r.digest() != r.Hash {
		v.Faults = append(v.Faults, Fault{r.ID, "the record was changed"})
	}
	name, number := split(r.ID)
	last, known := v.streams[name]
	_, before := split(last.ID)
	switch {
	case !known && number != 1 && !v.Partial:
		v.Faults = append(v.Faults, Fault{r.ID, "the records before it are missing"})
	case known && number != before+1:
		v.Faults = append(v.Faults, Fault{r.ID, fmt.Sprintf("it does not follow %s: records are missing, or it was put between", last.ID)})
	case known && r.Prev != last.Hash:
		v.Faults = append(v.Faults, Fault{r.ID, fmt.Sprintf("it was not written after %s as that is now", last.ID)})
	}
	v.streams[name] = r
}

// split returns the stream and the number of an ID.
func split(id string) (stream string, number int64) {
	stream, text, _ := strings.Cut(id, "-")
	fmt.Sscanf(text, "%d", &number)
	return stream, number
}

// swept is the row with the last day whose records were removed.
type swept struct{ Day time.Time }

// Sweep removes the records of days that are past Keep, and writes an Expired record
// for each.
func (s *Store) Sweep(ctx context.Context) error {
	keep := s.Keep
	if keep == 0 {
		keep = DefaultKeep
	}
	key, last := driver.Key{Part: "auth", Sort: "audit"}, s.Now().UTC().Add(-keep).Truncate(24*time.Hour).Add(-24*time.Hour)
	row, err := s.Table.Get(ctx, key)
	var at swept
	switch {
	case errors.Is(err, driver.ErrNotFound): // no record is older than this
		at.Day = last
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(row.Data, &at); err != nil {
			return err
		}
		if !at.Day.Before(last) {
			return nil
		}
	}
	for at.Day.Before(last) {
		day := at.Day.Add(24 * time.Hour)
		n, err := s.removeDay(ctx, day)
		if err != nil {
			return err
		}
		if at.Day = day; n > 0 {
			if _, err := s.Put(ctx, Record{Event: Expired, Of: day.Format(time.DateOnly), Count: n, By: By{Kind: "system"}}); err != nil {
				return err
			}
		}
	}
	data, err := json.Marshal(at)
	if err != nil {
		return err
	}
	return s.Table.Put(ctx, driver.Row{Key: key, Data: data})
}

// removeDay removes the records of a day and returns their number.
func (s *Store) removeDay(ctx context.Context, day time.Time) (int, error) {
	n := 0
	for {
		var ops []driver.Op
		for row, err := range s.Table.Scan(ctx, partition(day), "") {
			if err != nil {
				return n, err
			}
			if ops = append(ops, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version}); len(ops) == driver.MaxOps {
				break
			}
		}
		if len(ops) == 0 {
			return n, nil
		}
		if _, err := s.Table.Write(ctx, ops...); err != nil && !errors.Is(err, driver.ErrConflict) {
			return n, err
		}
		n += len(ops)
	}
}

package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"aptless/core/engine/driver"
)

// Events of records.
const (
	TaskAdmitted   = "task.admitted"
	TaskEnded      = "task.ended"
	Call           = "call"    // a change without a task
	Refused        = "refused" // 401
	Denied         = "denied"  // 403
	Limited        = "limited" // 429
	TokenCreated   = "token.created"
	TokenRevoked   = "token.revoked"
	TokenRotated   = "token.rotated"
	ModeSet        = "mode.set"
	BindingSet     = "binding.set"
	BindingRemoved = "binding.removed"
	Exchanged      = "oidc.exchanged"
	NotExchanged   = "oidc.refused"
	PolicySet      = "policy.set"
	PolicyRemoved  = "policy.removed"
	AccessSet      = "access.set"
	Expired        = "audit.expired"
)

// By is the principal of a record.
type By struct {
	Kind   string         `json:",omitempty"`
	ID     string         `json:",omitempty"`
	Name   string         `json:",omitempty"`
	Owner  string         `json:",omitempty"`
	Policy string         `json:",omitempty"`
	Claims map[string]any `json:",omitempty"`
}

// Record is one record. Hash is the SHA-256 of the JSON of the record without it.
type Record struct {
	ID     string // <stream>-<number>
	Time   time.Time
	Event  string
	By     By
	From   string   `json:",omitempty"` // address
	Method string   `json:",omitempty"`
	Path   string   `json:",omitempty"` // without the query
	Needs  []string `json:",omitempty"`
	Task   int64    `json:",omitempty"`
	Status int      `json:",omitempty"`
	Error  string   `json:",omitempty"`
	Of     string   `json:",omitempty"` // the record, token, binding, mode or day that it is about
	Count  int      `json:",omitempty"` // of refusals that have no record of their own
	Ends   []End    `json:",omitempty"` // of an Expired record: the last removed record of each stream
	Prev   string   // Hash of the record before it in its stream; "" at the beginning
	Hash   string
}

// End is the last removed record of a stream.
type End struct {
	Stream string
	Number int64
	Hash   string
}

// digest returns the SHA-256 of the record's JSON without Hash, in hexadecimal digits.
func (r Record) digest() string {
	r.Hash = ""
	data, _ := json.Marshal(r) // claims come from JSON
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Bounds of the texts of a record, in bytes.
const (
	maxText  = 1 << 10
	maxNeeds = 100
)

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return s[:maxText] + "…"
}

// Store writes, reads and removes records.
type Store struct {
	Table driver.Table
	Now   func() time.Time
	Log   *slog.Logger
	Keep  time.Duration // how long records are kept; 0 is DefaultKeep

	mu       sync.Mutex
	free     []*stream
	process  string
	opened   int
	refusals map[string]*minute
}

// DefaultKeep is how long records are kept.
const DefaultKeep = 400 * 24 * time.Hour

// stream is a chain of records. number and prev are of its last stored record.
type stream struct {
	name   string
	number int64
	prev   string
}

// take returns a stream without a writer: a free one, or a new one.
func (s *Store) take() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		t := s.free[n-1]
		s.free = s.free[:n-1]
		return t
	}
	if s.process == "" {
		var b [6]byte
		rand.Read(b[:]) // never fails
		s.process = hex.EncodeToString(b[:])
	}
	s.opened++
	return &stream{name: fmt.Sprintf("%s%03x", s.process, s.opened)}
}

// partition returns the partition of a day.
func partition(at time.Time) string { return "audit-" + at.UTC().Format(time.DateOnly) }

// stamp is the form of times in sort keys. All such texts have one length, so their
// order is the order of time.
const stamp = "2006-01-02T15:04:05.000000000Z"

// Pending is a record whose transaction is not over.
type Pending struct {
	Record Record
	Op     driver.Op // puts the record
	store  *Store
	stream *stream
}

// Begin makes a record for a transaction, which has to contain Op. The caller has to
// call Done after the transaction.
func (s *Store) Begin(r Record) *Pending {
	t := s.take()
	r.ID, r.Time, r.Prev = fmt.Sprintf("%s-%08d", t.name, t.number+1), s.Now().UTC(), t.prev
	r.Path, r.Error = clip(r.Path), clip(r.Error)
	if len(r.Needs) > maxNeeds {
		r.Needs = append(r.Needs[:maxNeeds:maxNeeds], fmt.Sprintf("and %d more", len(r.Needs)-maxNeeds))
	}
	r.Hash = r.digest()
	data, _ := json.Marshal(r)
	key := driver.Key{Part: partition(r.Time), Sort: r.Time.Format(stamp) + "-" + r.ID}
	return &Pending{r, driver.Op{Do: driver.OpPut, Key: key, If: driver.Absent, Data: data}, s, t}
}

// Done takes the error of the record's transaction. After nil the record is logged and
// its stream is free again. After an error the stream ends, since the record may be
// stored all the same. Example: the table commits, and its answer is lost.
func (p *Pending) Done(err error) {
	if err != nil {
		return
	}
	p.store.Log.Info("audit", "record", json.RawMessage(p.Op.Data))
	p.stream.number++
	p.stream.prev = p.Record.Hash
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.free = append(p.store.free, p.stream)
}

// Put stores a record in a transaction of its own.
func (s *Store) Put(ctx context.Context, r Record) (Record, error) {
	p := s.Begin(r)
	_, err := s.Table.Write(ctx, p.Op)
	p.Done(err)
	return p.Record, err
}

// minute counts the refusals of a source within a minute.
type minute struct {
	began   time.Time
	count   int // with records
	silent  int // without
	example Record
}

// perMinute bounds the refusals of a source that have records, each minute. maxSources
// bounds the counters. Further sources within the minute share one counter.
const (
	perMinute  = 10
	maxSources = 10_000
	others     = "other addresses" // of the shared counter
)

// Refuse records a refusal. After perMinute refusals of its source in a minute it only
// counts. The next minute of the source begins with a record of that number.
func (s *Store) Refuse(ctx context.Context, r Record) error {
	s.mu.Lock()
	if s.refusals == nil {
		s.refusals = map[string]*minute{}
	}
	now := s.Now()
	if s.refusals[r.From] == nil && len(s.refusals) >= maxSources {
		r.From = others
	}
	m := s.refusals[r.From]
	var counted *Record
	if m != nil && now.Sub(m.began) >= time.Minute {
		counted, m = m.rest(), nil
		delete(s.refusals, r.From)
	}
	if m == nil {
		m = &minute{began: now, example: r}
		s.refusals[r.From] = m
	}
	m.count++
	silent := m.count > perMinute
	if silent {
		m.silent++
	}
	s.mu.Unlock()
	var err error
	if counted != nil {
		_, err = s.Put(ctx, *counted)
	}
	if !silent {
		_, putErr := s.Put(ctx, r)
		err = errors.Join(err, putErr)
	}
	return err
}

// rest returns a record with the number of the refusals without records; nil for zero.
func (m *minute) rest() *Record {
	if m.silent == 0 {
		return nil
	}
	return &Record{Event: m.example.Event, From: m.example.From, Status: m.example.Status, Count: m.silent}
}

// Flush records the number of unrecorded refusals of each source whose minute is over.
func (s *Store) Flush(ctx context.Context) error {
	s.mu.Lock()
	var all []Record
	for _, source := range slices.Sorted(maps.Keys(s.refusals)) {
		m := s.refusals[source]
		if s.Now().Sub(m.began) < time.Minute {
			continue
		}
		if r := m.rest(); r != nil {
			all = append(all, *r)
		}
		delete(s.refusals, source)
	}
	s.mu.Unlock()
	for _, r := range all {
		if _, err := s.Put(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

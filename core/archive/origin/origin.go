package origin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aptless/core/engine/driver"
)

// By is the principal of an import.
type By struct {
	Kind   string
	ID     string         `json:",omitempty"`
	Name   string         `json:",omitempty"`
	Owner  string         `json:",omitempty"`
	Policy string         `json:",omitempty"` // by which its token was made
	Claims map[string]any `json:",omitempty"` // of the ID token of a CI job
}

// Upload is the upload of a file.
type Upload struct {
	By    string    `json:",omitempty"` // owner
	Token string    `json:",omitempty"` // ID
	At    time.Time `json:",omitzero"`
}

// Origin is one import of a file.
type Origin struct {
	SHA256   string // of the file
	Package  string // key
	Repo     string // name of the repository at that time
	UUID     string // of the repository
	Task     int64
	At       time.Time
	By       By
	Uploaded Upload
	Signers  []string `json:",omitempty"` // IDs of the keys that have signed the .changes
	Pending  bool     `json:",omitempty"` // not committed while the task is in origin-pending
}

// Store keeps Origins.
type Store struct{ Table driver.Table }

const (
	pendingPart = "origin-pending"
	digits      = "0123456789abcdef"
	maxShown    = 100
)

func part(digit byte) string { return "origin-" + string(digit) }

// Key returns the key of the row of an Origin.
func (o *Origin) Key() driver.Key {
	return driver.Key{Part: part(o.SHA256[0]), Sort: fmt.Sprintf("%s/%019d", o.SHA256, o.Task)}
}

// PendingKey returns the key of the row of a task with pending Origins.
func PendingKey(task int64) driver.Key {
	return driver.Key{Part: pendingPart, Sort: fmt.Sprintf("%019d", task)}
}

// pending is the row of a task with pending Origins.
type pending struct{ At time.Time }

// Begin notes that a task stores pending Origins.
func (s *Store) Begin(ctx context.Context, task int64, now time.Time) error {
	data, err := json.Marshal(pending{now.UTC()})
	if err != nil {
		return err
	}
	return s.Table.Put(ctx, driver.Row{Key: PendingKey(task), Data: data})
}

// Keep stores pending Origins of a task after Begin. The commit of the task has to
// delete the row of PendingKey.
func (s *Store) Keep(ctx context.Context, list []Origin) error {
	rows := make([]driver.Row, len(list))
	for i, o := range list {
		o.Pending = true
		data, err := json.Marshal(o)
		if err != nil {
			return err
		}
		rows[i] = driver.Row{Key: o.Key(), Data: data}
	}
	return s.Table.Put(ctx, rows...)
}

// Of returns the Origins of a file, the newest first, and at most 100.
func (s *Store) Of(ctx context.Context, sha256 string) ([]Origin, error) {
	if len(sha256) != 64 || strings.Trim(sha256, digits) != "" {
		return nil, nil
	}
	var list []Origin
	for row, err := range s.Table.Scan(ctx, part(sha256[0]), sha256+"/") {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(row.Sort, sha256+"/") {
			break
		}
		o, err := decode(row)
		if err != nil {
			return nil, err
		}
		if o.Pending {
			_, err := s.Table.Get(ctx, PendingKey(o.Task))
			if err == nil {
				continue
			}
			if !errors.Is(err, driver.ErrNotFound) {
				return nil, err
			}
		}
		o.Pending = false
		if list = append(list, o); len(list) > maxShown {
			list = list[1:]
		}
	}
	slices.Reverse(list)
	return list, nil
}

func decode(row driver.Row) (o Origin, err error) {
	if err := json.Unmarshal(row.Data, &o); err != nil {
		return o, fmt.Errorf("row %s: %w", row.Key, err)
	}
	return o, nil
}

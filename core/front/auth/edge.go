package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"aptless/core/engine/driver"
)

// partEdge is the partition of keys of the Edge whose values have to be written. The
// part of Sort before the last slash is the key.
const partEdge = "auth-edge"

// edgeSynced is the row that says that the Edge has the values of before its time.
func edgeSynced() driver.Key { return driver.Key{Part: "auth", Sort: "edge"} }

// tokenKey returns the key of a token in the Edge.
func tokenKey(digest string) string { return "t/" + digest }

// edgeOps returns the operations that note keys of the Edge, for the transaction of a
// change; nil without an Edge.
func (s *Store) edgeOps(keys ...string) []driver.Op {
	if s.Edge == nil {
		return nil
	}
	var ops []driver.Op
	for _, key := range keys {
		ops = append(ops, driver.Op{Do: driver.OpPut, Key: driver.Key{Part: partEdge, Sort: key + "/" + rand.Text()}, If: driver.Absent, Data: []byte("{}")})
	}
	return ops
}

// edgeToken is edgeOps for a token that may read published files.
func (s *Store) edgeToken(t *Token, digest string) []driver.Op {
	if len(treePatterns(t.Grants)) == 0 {
		return nil
	}
	return s.edgeOps(tokenKey(digest))
}

// treePatterns returns the patterns of the prefixes that grants read.
func treePatterns(grants []Grant) []string {
	var list []string
	for i := range grants {
		g := &grants[i]
		switch {
		case !g.holds(TreeRead):
		case !g.limited():
			list = append(list, All)
		default:
			list = append(list, g.Tree...)
		}
	}
	return list
}

// edgeValue is the value of a token in the Edge.
type edgeValue struct {
	Prefixes []string `json:"p"`
	Expires  int64    `json:"e"` // seconds since 1970; 0 is never
}

// PushEdge writes the values of noted keys into the Edge, and removes the notes. The
// table is the truth: a value is that of the table at this moment. A call that fails is
// repeated by a tick.
func (s *Store) PushEdge(ctx context.Context) error {
	if s.Edge == nil {
		return nil
	}
	if err := s.noteAll(ctx); err != nil {
		return err
	}
	var notes []driver.Row
	for row, err := range s.Table.Scan(ctx, partEdge, "") {
		if err != nil {
			return err
		}
		if notes = append(notes, row); len(notes) < driver.MaxEdge {
			continue
		}
		if err := s.push(ctx, notes); err != nil {
			return err
		}
		notes = nil
	}
	return s.push(ctx, notes)
}

// noteAll notes all keys once, for an Edge that is new.
func (s *Store) noteAll(ctx context.Context) error {
	_, err := s.Table.Get(ctx, edgeSynced())
	if !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	ops := s.edgeOps("private", "digests")
	for t, err := range s.all(ctx) {
		if err != nil {
			return err
		}
		if t.Ended(s.Now()) == "" {
			ops = append(ops, s.edgeToken(&t.Token, t.digest)...)
		}
		if len(ops) >= driver.MaxEdge {
			if _, err := s.Table.Write(ctx, ops...); err != nil {
				return err
			}
			ops = nil
		}
	}
	ops = append(ops, driver.Op{Do: driver.OpPut, Key: edgeSynced(), If: driver.Absent, Data: []byte("{}")})
	if _, err = s.Table.Write(ctx, ops...); errors.Is(err, driver.ErrConflict) { // another process was first
		return nil
	}
	return err
}

// push writes the values of some notes and removes the notes.
func (s *Store) push(ctx context.Context, notes []driver.Row) error {
	if len(notes) == 0 {
		return nil
	}
	var keys []string
	var ops []driver.Op
	for _, row := range notes {
		ops = append(ops, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
		if key := row.Sort[:max(0, strings.LastIndexByte(row.Sort, '/'))]; !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if err := s.pushKeys(ctx, keys); err != nil {
		return err
	}
	_, err := s.Table.Write(ctx, ops...)
	if errors.Is(err, driver.ErrConflict) { // another process has removed some of them
		return nil
	}
	return err
}

// errUnsettled says that values changed each time they were written.
var errUnsettled = errors.New("values for the edge change too fast")

// pushKeys writes the values of keys until they are those of the table. Example: another
// process changes a value and writes it, between the read and the write of this one.
func (s *Store) pushKeys(ctx context.Context, keys []string) error {
	var written map[string]string
	for range attempts {
		now := map[string]string{}
		for _, key := range keys {
			var err error
			if now[key], err = s.edgeValueOf(ctx, key); err != nil {
				return err
			}
		}
		if written != nil && maps.Equal(written, now) {
			return nil
		}
		put, remove := map[string]string{}, []string{}
		for key, value := range now {
			if value == "" {
				remove = append(remove, key)
			} else {
				put[key] = value
			}
		}
		if err := s.Edge.Update(ctx, put, remove); err != nil {
			return err
		}
		written = now
	}
	return errUnsettled
}

// edgeValueOf returns the value of a key; "" if it has to be absent.
func (s *Store) edgeValueOf(ctx context.Context, key string) (string, error) {
	digest, token := strings.CutPrefix(key, "t/")
	if !token {
		a, err := s.Access(ctx)
		if err != nil || key == "digests" {
			return a.Digests, err
		}
		data, err := json.Marshal(a.Private)
		return string(data), err
	}
	row, err := s.Table.Get(ctx, driver.Key{Part: partTokens, Sort: digest})
	if errors.Is(err, driver.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	t, err := decode(row)
	if err != nil || t.Ended(s.Now()) != "" {
		return "", err
	}
	v := edgeValue{Prefixes: treePatterns(t.Grants)}
	if !t.Expires.IsZero() {
		v.Expires = t.Expires.Unix()
	}
	data, err := json.Marshal(v)
	return string(data), err
}

// SetAccess replaces the private prefixes. Version has to be that of the present ones.
func (s *Store) SetAccess(ctx context.Context, a Private, canonical func(string) string, also func() []driver.Op) (Private, error) {
	if err := a.check(canonical); err != nil {
		return a, err
	}
	version := a.Version
	a.Version = ""
	data, err := json.Marshal(a)
	if err != nil {
		return a, err
	}
	ops := append([]driver.Op{{Do: driver.OpPut, Key: accessKey(), If: version, Data: data}}, s.edgeOps("private", "digests")...)
	a.Version, err = s.Table.Write(ctx, append(ops, also()...)...)
	forgetLatest(s, &s.private)
	if errors.Is(err, driver.ErrConflict) {
		return a, refuse(http.StatusConflict, "the private prefixes were changed meanwhile: read them again")
	}
	return a, err
}

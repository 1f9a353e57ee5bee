package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"aptless/core/engine/driver"
)

// all yields all tokens, by digest.
func (s *Store) all(ctx context.Context) func(func(stored, error) bool) {
	return func(yield func(stored, error) bool) {
		for row, err := range s.Table.Scan(ctx, partTokens, "") {
			var t stored
			if err == nil {
				t, err = decode(row)
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// find returns the token with an ID.
func (s *Store) find(ctx context.Context, id string) (stored, error) {
	unknown := refuse(http.StatusNotFound, "no such token")
	if len(id) != idLen {
		return stored{}, unknown
	}
	for row, err := range s.Table.Scan(ctx, partTokens, id) { // digests are longer than an ID
		if err != nil {
			return stored{}, err
		}
		if !strings.HasPrefix(row.Sort, id) {
			break
		}
		return decode(row)
	}
	return stored{}, unknown
}

// Filter selects the tokens of a List.
type Filter struct {
	Owner string // "" is any
	Live  bool   // only valid tokens
}

// List returns tokens in the order of their creation.
func (s *Store) List(ctx context.Context, f Filter) ([]View, error) {
	uses := map[string]*Use{}
	for row, err := range s.Table.Scan(ctx, partUses, "") {
		if err != nil {
			return nil, err
		}
		var u Use
		if json.Unmarshal(row.Data, &u) == nil {
			uses[row.Sort] = &u
		}
	}
	views := []View{}
	for t, err := range s.all(ctx) {
		if err != nil {
			return nil, err
		}
		if f.Owner != "" && t.Owner != f.Owner || f.Live && t.Ended(s.Now()) != "" {
			continue
		}
		views = append(views, View{t.Token, uses[t.ID]})
	}
	slices.SortStableFunc(views, func(a, b View) int { return a.Created.Compare(b.Created) })
	return views, nil
}

// Show returns a token.
func (s *Store) Show(ctx context.Context, id string) (View, error) {
	t, err := s.find(ctx, id)
	if err != nil {
		return View{}, err
	}
	v := View{Token: t.Token}
	row, err := s.Table.Get(ctx, driver.Key{Part: partUses, Sort: id})
	if errors.Is(err, driver.ErrNotFound) {
		return v, nil
	}
	if err == nil {
		v.LastUsed = &Use{}
		err = json.Unmarshal(row.Data, v.LastUsed)
	}
	return v, err
}

// HasAdmin reports whether a live token has auth.manage.
func (s *Store) HasAdmin(ctx context.Context) (bool, error) {
	for t, err := range s.all(ctx) {
		if err != nil {
			return false, err
		}
		if t.Ended(s.Now()) == "" && Decide(t.principal(t.digest), Need{Can: AuthManage}) == nil {
			return true, nil
		}
	}
	return false, nil
}

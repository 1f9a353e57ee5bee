package api

import (
	"context"
	"net/http"
	"time"

	"aptless/core/archive/query"
	"aptless/core/formats/deb"
)

// matchTime bounds the time in which a request compares packages with its query. A regular
// expression of the largest size takes a tenth of a second for one description.
const matchTime = 20 * time.Second

// search is the query of a request. When its matches have taken the time, it ends the
// context of the search and matches nothing.
type search struct {
	query.Query
	left time.Duration
	end  context.CancelCauseFunc
}

// newSearch returns a query that takes at most limit, and the context of the search.
func newSearch(ctx context.Context, q query.Query, limit time.Duration) (*search, context.Context) {
	ctx, end := context.WithCancelCause(ctx)
	return &search{q, limit, end}, ctx
}

// Match implements query.Query.
func (s *search) Match(p *deb.Package) bool {
	if s.left <= 0 {
		return false
	}
	begun := time.Now()
	found := s.Query.Match(p)
	if s.left -= time.Since(begun); s.left <= 0 {
		s.end(Errorf(http.StatusBadRequest, "the query takes longer than %v: use simpler regular expressions", matchTime))
	}
	return found
}

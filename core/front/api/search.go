package api

import (
	"context"
	"net/http"
	"sync/atomic"
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
	left atomic.Int64 // nanoseconds; matches are concurrent
	end  context.CancelCauseFunc
}

// newSearch returns a query that takes at most limit, and the context of the search.
func newSearch(ctx context.Context, q query.Query, limit time.Duration) (*search, context.Context) {
	ctx, end := context.WithCancelCause(ctx)
	s := &search{Query: q, end: end}
	s.left.Store(int64(limit))
	return s, ctx
}

// Match implements query.Query.
func (s *search) Match(p *deb.Package) bool {
	if s.left.Load() <= 0 {
		return false
	}
	begun := time.Now()
	found := s.Query.Match(p)
	if s.left.Add(-int64(time.Since(begun))) <= 0 {
		s.end(Errorf(http.StatusBadRequest, "the query takes longer than %v: use simpler regular expressions", matchTime))
	}
	return found
}

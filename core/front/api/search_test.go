package api

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"aptless/core/archive/query"
	"aptless/core/formats/deb"
)

// slow is a query that takes a second for each package.
type slow struct {
	query.Query
	asked *int
}

func (q slow) Match(*deb.Package) bool {
	time.Sleep(time.Second)
	*q.asked++
	return false
}

func many(n int) iter.Seq2[*deb.Package, error] {
	return func(yield func(*deb.Package, error) bool) {
		for range n {
			if !yield(&deb.Package{Name: "aa", Version: "1", Architecture: "all"}, nil) {
				return
			}
		}
	}
}

// TestSearchEndsWhenItsMatchesTakeTooLong searches with an expensive query. The search is
// refused after its time, with the remedy. One within the time is not.
func TestSearchEndsWhenItsMatchesTakeTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		any, err := query.Parse("Name")
		if err != nil {
			t.Fatal(err)
		}
		for packages, refused := range map[int]bool{5: false, 19: false, 21: true, 1000: true} {
			asked := 0
			q, ctx := newSearch(t.Context(), slow{any, &asked}, matchTime)
			last := error(nil)
			for _, err := range filtered(ctx, many(packages), q.Match) {
				last = err
			}
			failure := (*Error)(nil)
			if errors.As(errSearch(ctx, last), &failure) && refused != (failure.Status == http.StatusBadRequest) || refused != (last != nil) || asked > 20 {
				t.Errorf("%d packages: asked %d times, %v", packages, asked, last)
			}
			q.end(context.Canceled)
		}
	})
}

// TestTimeOfAClientDoesNotCount reads the results slowly. Only the matches count.
func TestTimeOfAClientDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, err := query.Parse("Name")
		if err != nil {
			t.Fatal(err)
		}
		q, ctx := newSearch(t.Context(), all, matchTime)
		defer q.end(nil)
		got := 0
		for _, err := range filtered(ctx, many(100), q.Match) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			got++
		}
		if got != 100 {
			t.Errorf("%d packages", got)
		}
	})
}

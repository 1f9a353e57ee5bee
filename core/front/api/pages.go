package api

import (
	"iter"
	"net/http"
	"strconv"

	"aptless/core/formats/openapi"
)

// maxPage bounds the elements of a page.
const maxPage = 1000

// paging is the part of a list that a request wants: limit elements that follow after.
// The order is that in which the list is stored. limit 0 means the whole list.
type paging struct {
	limit int
	after string
	total bool // X-Total is wanted, although counting reads the whole list
}

// pageQuery describes the parameters of a page.
func pageQuery() []openapi.Param {
	return []openapi.Param{
		{Name: "limit", About: "at most so many elements, up to 1000, in the order in which the list is stored. The header X-Next of the answer is the value of after for the next page; without it the page is the last. Not in aptly", Default: "none: the whole list"},
		{Name: "after", About: "the value of X-Next of the page before. Not in aptly", Default: "none: the first page"},
		{Name: "total", About: "the header X-Total says the number of elements, also where counting reads the whole list. Not in aptly", Values: []string{"1"}}}
}

// pageOf reads limit= and after=. after= needs limit=.
func pageOf(r *http.Request) (paging, error) {
	text, after := Query(r, "limit"), Query(r, "after")
	if text == "" && after == "" {
		return paging{}, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return paging{}, Errorf(http.StatusBadRequest, "invalid limit %.20q: 1 to %d", text, maxPage)
	}
	return paging{n, after, Flag(r, "total")}, nil
}

// taken is the elements of a page. next is the value of after for the next page, "" if
// there is none.
type taken[T any] struct {
	items []T
	next  string
	total int // elements of all pages; 0 if they are not counted
}

// take reads the elements of a page and one more. name returns the value of after for
// returns the value of after for the page that follows an element. before is the number
// of elements before the page.
func take[T any](limit int, all iter.Seq2[T, error], name func(T) string) (taken[T], error) {
	got := taken[T]{items: []T{}}
	for v, err := range all {
		if err != nil {
			return taken[T]{}, err
		}
		if len(got.items) < limit {
			got.items = append(got.items, v)
			continue
		}
		got.next = name(got.items[limit-1])
		break
	}
	return got, nil
}

// counted returns the number of elements, if a request wants it.
func counted[T any](p paging, all iter.Seq2[T, error]) (n int, err error) {
	if !p.total {
		return 0, nil
	}
	for _, err := range all {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// writePage answers with a page. view returns the JSON form of an element. The router
// adds the header Link (RFC 8288).
func writePage[T any](w http.ResponseWriter, got taken[T], view func(T) any) error {
	if got.next != "" {
		w.Header().Set("X-Next", got.next)
	}
	if got.total > 0 {
		w.Header().Set("X-Total", strconv.Itoa(got.total))
	}
	views := make([]any, len(got.items))
	for i, v := range got.items {
		views[i] = view(v)
	}
	return WriteJSON(w, http.StatusOK, views)
}

func errAfter(after string) error {
	return Errorf(http.StatusBadRequest, "invalid after %.200q: the header X-Next of a page has it", after)
}

// kept yields the elements for which keep is true.
func kept[T any](all iter.Seq2[T, error], keep func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range all {
			if err == nil && !keep(v) {
				continue
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

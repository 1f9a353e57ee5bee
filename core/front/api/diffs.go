package api

import (
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"aptless/core/archive/pkglist"
	"aptless/core/formats/openapi"
)

// difference is one package of a comparison. A side without the package is nil.
type difference struct{ Left, Right *string }

func orNull(key string) *string {
	if key == "" {
		return nil
	}
	return &key
}

// diffQuery describes the parameters of a comparison.
func diffQuery() []openapi.Param {
	return append(pageQuery(), openapi.Param{Name: "onlyMatching", About: "only packages that both snapshots have in different versions", Values: []string{"1"}},
		openapi.Param{Name: "name", About: "with limit: only packages whose name has this part. Not in aptly", Default: "none: all"})
}

// diffPage answers with a page of a comparison. after is the number of the differences
// before the page. The header X-Total has the number of all differences. X-Added,
// X-Removed and X-Changed have those of their kinds.
func diffPage(w http.ResponseWriter, r *http.Request, p paging, all iter.Seq2[pkglist.Pair, error]) error {
	from, err := strconv.Atoi(p.after)
	if p.after != "" && (err != nil || from < 0) {
		return errAfter(p.after)
	}
	part, matching := Query(r, "name"), Flag(r, "onlyMatching")
	var added, removed, changed int
	got := taken[pkglist.Pair]{}
	for pair, err := range all {
		switch {
		case err != nil:
			return err
		case matching && (pair.Left == "" || pair.Right == ""), part != "" && !strings.Contains(nameOf(pair), part):
			continue
		case pair.Left == "":
			added++
		case pair.Right == "":
			removed++
		default:
			changed++
		}
		if n := added + removed + changed; n > from && n <= from+p.limit {
			got.items = append(got.items, pair)
		}
	}
	got.total = added + removed + changed
	if from+p.limit < got.total {
		got.next = strconv.Itoa(from + p.limit)
	}
	for name, n := range map[string]int{"X-Added": added, "X-Removed": removed, "X-Changed": changed} {
		w.Header().Set(name, fmt.Sprint(n))
	}
	return writePage(w, got, func(pair pkglist.Pair) any { return difference{orNull(pair.Left), orNull(pair.Right)} })
}

// nameOf returns the name of the package of a difference.
func nameOf(pair pkglist.Pair) string {
	key := pair.Left
	if key == "" {
		key = pair.Right
	}
	parts := strings.Fields(key) // architecture, name, version, digest
	if len(parts) < 2 {
		return key
	}
	return parts[1]
}

package api

import (
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/query"
	"aptless/core/formats/openapi"
)

// maxWanted bounds the architectures of a request.
const maxWanted = 100

// wantedQuery describes the options of the resolution of dependencies.
func wantedQuery() []openapi.Param {
	return []openapi.Param{
		{Name: "architectures", About: "the architectures in which dependencies are resolved, separated by commas. Not in aptly", Default: "those of the packages"},
		{Name: "follow", About: "the further packages that count as dependencies, separated by commas: " + strings.Join(query.Follows(), ", ") + ". An empty value follows none. Not in aptly", Default: "the settings of the server"}}
}

// wantedOf reads architectures= and follow=. An empty follow= follows nothing.
func wantedOf(r *http.Request) (query.Wanted, error) {
	var w query.Wanted
	if text := Query(r, "architectures"); text != "" {
		w.Architectures = strings.Split(text, ",")
	}
	if len(w.Architectures) > maxWanted {
		return w, Errorf(http.StatusBadRequest, "%d architectures, of at most %d", len(w.Architectures), maxWanted)
	}
	slices.Sort(w.Architectures)
	w.Architectures = slices.Compact(w.Architectures)
	if !queryValues(r).Has("follow") {
		return w, nil
	}
	w.Follow = []string{}
	for name := range strings.SplitSeq(Query(r, "follow"), ",") {
		if name == "" {
			continue
		}
		if !slices.Contains(query.Follows(), name) {
			return w, Errorf(http.StatusBadRequest, "invalid follow %.40q: %s", name, strings.Join(query.Follows(), ", "))
		}
		w.Follow = append(w.Follow, name)
	}
	return w, nil
}

// anyOf returns the text of the query that is true if one of the given ones is.
func anyOf(texts []string) (string, error) {
	var all []query.Query
	for _, text := range texts {
		q, err := query.Parse(text)
		if err != nil {
			return "", Errorf(http.StatusBadRequest, "%s", err)
		}
		all = append(all, q)
	}
	if len(all) == 0 {
		return "", Errorf(http.StatusBadRequest, "no query: Queries needs one at least")
	}
	return query.Any(all...).String(), nil
}

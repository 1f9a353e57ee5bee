package api

import (
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/publish/paths"
)

// Wanted says which publications a text for apt is to have: those of a storage and
// prefix, of all distributions if Distributions is nil.
type Wanted struct {
	Storage, Prefix string
	Distributions   []string
}

// base returns the address at which a client reaches us, without a slash at its end.
func base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + Prefix(r)
}

// wanted returns what /aptless.sources below a path is for: that of the path, as
// /team/a or /team/a/dists/stable, or what the query says by prefix, as
// filesystem:www:team/a, and distribution, which may be repeated.
func (t *Tree) wanted(r *http.Request, place string) Wanted {
	var w Wanted
	if rest, ok := strings.CutPrefix(place, "/repos/"); ok {
		name, below, _ := strings.Cut(rest, "/")
		if storage := "filesystem:" + name; slices.Contains(t.Storages, storage) {
			w.Storage, place = storage, "/"+below
		} else if name == "-" {
			place = "/" + below
		}
	}
	prefix, distribution, _ := strings.Cut(place+"/", "/dists/")
	if w.Prefix = strings.Trim(prefix, "/"); w.Prefix == "" {
		w.Prefix = "."
	}
	if distribution = strings.Trim(distribution, "/"); distribution != "" {
		w.Distributions = []string{distribution}
	}
	query := queryValues(r)
	if query.Has("prefix") {
		w.Storage, w.Prefix = paths.ParsePrefix(query.Get("prefix"))
	}
	for _, d := range query["distribution"] {
		if d != "" {
			w.Distributions = append(w.Distributions, d)
		}
	}
	return w
}

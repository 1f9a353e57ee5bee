package api

import (
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/publish/paths"
)

// Selection selects the publications of a text for apt. nil Distributions selects all
// distributions of the storage and prefix.
type Selection struct {
	Storage, Prefix string
	Distributions   []string
}

// base returns the URL by which the client reaches the server, without a final slash.
func base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + Prefix(r)
}

// selection returns the publications that /aptless.sources below a path describes. The
// path selects a prefix or a distribution: /team/a or /team/a/dists/stable. The query
// overrides it: prefix=filesystem:www:team/a, and distribution=, which may be repeated.
func (t *Tree) selection(r *http.Request, place string) Selection {
	var w Selection
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

package api

import (
	"net/http"

	"aptless/core/pkglist"
)

// packages answers the keys of a list's packages in ascending order, or with
// format=details the packages.
func (s *Server) packages(w http.ResponseWriter, r *http.Request, list *pkglist.List) error {
	for _, p := range []string{"q", "withDeps", "maximumVersion"} {
		if Query(r, p) != "" {
			return Errorf(http.StatusNotImplemented, "query parameter %s is not supported", p)
		}
	}
	out := newArray(w)
	if Query(r, "format") == "details" {
		for p, err := range list.InKeyOrder(r.Context()) {
			if err != nil {
				return out.fail(err)
			}
			out.add(p.Details())
		}
		return out.end()
	}
	for key, err := range list.Keys(r.Context()) {
		if err != nil {
			return out.fail(err)
		}
		out.add(key)
	}
	return out.end()
}

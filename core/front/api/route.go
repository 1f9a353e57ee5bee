package api

import (
	"net/http"
	"net/url"
	"strings"
)

// HandlerFunc answers a request. The router answers an error that it returns.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

type route struct {
	method   string
	segments []string // "{name}" matches any segment, "x.{name}" one with the prefix "x."
	access   Access
	handle   HandlerFunc
	head     bool // the route also answers HEAD
}

func (ro *route) match(method string, segments []string) (map[string]string, bool) {
	probed := ro.head && method == http.MethodHead
	if ro.method != method && !probed || len(ro.segments) != len(segments) {
		return nil, false
	}
	params := map[string]string{}
	for i, want := range ro.segments {
		if begin, name, ok := strings.Cut(want, "{"); ok {
			rest, ok := strings.CutPrefix(segments[i], begin)
			value, err := url.PathUnescape(rest)
			if !ok || err != nil || value == "" && i == len(segments)-1 {
				return nil, false
			}
			params[strings.TrimSuffix(name, "}")] = value
		} else if want != segments[i] {
			return nil, false
		}
	}
	return params, true
}

// is reports whether the route has a pattern.
func (ro *route) is(pattern string) bool { return strings.Join(ro.segments, "/") == pattern }

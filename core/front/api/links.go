package api

import (
	"net/http"
	"strings"
)

// Prefix returns the path prefix of a reverse proxy, from X-Forwarded-Prefix. The
// result is "" or has exactly one leading slash, so it cannot name another host.
func Prefix(r *http.Request) string {
	prefix := strings.Trim(r.Header.Get("X-Forwarded-Prefix"), "/")
	if prefix == "" || strings.ContainsFunc(prefix, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }) {
		return ""
	}
	return "/" + prefix
}

// linkNext adds the header Link to the answer of a page that is not the last.
func linkNext(h http.Header, r *http.Request) {
	next := h.Get("X-Next")
	if next == "" || h.Get("Link") != "" {
		return
	}
	query := r.URL.Query()
	query.Set("after", next)
	h.Set("Link", "<"+Prefix(r)+r.URL.EscapedPath()+"?"+query.Encode()+`>; rel="next"`)
}

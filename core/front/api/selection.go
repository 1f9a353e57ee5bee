package api

import (
	"net/http"
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

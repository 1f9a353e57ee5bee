package client

import (
	"net/url"
	"strings"
)

// at joins segments to a path below /api, and escapes each.
func at(segments ...string) string {
	var b strings.Builder
	b.WriteString("/api")
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// Place names a publication: a distribution below a prefix, or below "storage:prefix".
// The prefix "" or "." is the root.
type Place struct{ Prefix, Distribution string }

// String returns the form of aptly's messages: "./stable", "s3:eu:team/stable".
func (p Place) String() string {
	prefix := strings.Trim(p.Prefix, "/")
	if prefix == "" || strings.HasSuffix(prefix, ":") {
		prefix += "."
	}
	return prefix + "/" + p.Distribution
}

// segment writes a prefix, a distribution or a component as a segment of a path: a slash
// is "_", an underscore "__". A dot alone is ":.", since URLs drop it.
func segment(s string) string {
	s = strings.ReplaceAll(strings.Trim(s, "/"), "_", "__")
	s = strings.ReplaceAll(s, "/", "_")
	if s == "" || s == "." {
		return ":."
	}
	if strings.HasSuffix(s, ":") { // a storage without a prefix
		return s + "."
	}
	return s
}

func (p Place) path(more ...string) string {
	return at(append([]string{"publish", segment(p.Prefix), segment(p.Distribution)}, more...)...)
}

package paths

import "strings"

// Unescape decodes a path segment of the API that stands for a prefix, a
// distribution or a component: "_" is a slash, "__" an underscore.
func Unescape(segment string) string {
	s := strings.ReplaceAll(segment, "_", "/")
	s = strings.ReplaceAll(s, "//", "_")
	if s = Sanitise(s); s == "" {
		return "."
	}
	return s
}

// Sanitise removes double dots, dollar signs, backquotes and leading slashes:
// they could lead out of a directory.
func Sanitise(s string) string {
	s = strings.NewReplacer("..", "", "$", "", "`", "").Replace(s)
	return strings.TrimLeft(s, "/")
}

// ParsePrefix splits an unescaped prefix segment into storage and prefix.
func ParsePrefix(s string) (storage, prefix string) {
	prefix = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		storage, prefix = s[:i], s[i+1:]
	}
	prefix = strings.TrimPrefix(strings.TrimSuffix(prefix, "/"), "/")
	if prefix == "" {
		prefix = "."
	}
	return storage, prefix
}

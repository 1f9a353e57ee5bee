package api

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// sanitise removes the characters that aptly removes from names: "..", "$", "`" and
// leading slashes.
func sanitise(s string) string {
	s = strings.ReplaceAll(s, "..", "")
	s = strings.NewReplacer("$", "", "`", "").Replace(s)
	return strings.TrimLeft(s, "/")
}

// safe reports whether a name consists of plain path components. aptly checks a name
// before sanitise; callers here also check the result, because ".$." becomes "..".
func safe(s string) bool {
	clean := path.Clean(s)
	for c := range strings.SplitSeq(clean, "/") {
		if c == "." || c == ".." || c == "" {
			return false
		}
	}
	return utf8.ValidString(s) && len(s) <= 500 && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// CleanDir returns the name under which an upload directory is stored.
func CleanDir(raw string) (string, error) {
	dir := sanitise(raw)
	if !safe(raw) || !safe(dir) || slices.Contains(strings.Split(path.Clean(raw), "/"), "..") {
		return "", Errorf(http.StatusBadRequest, "wrong dir")
	}
	return path.Clean(dir), nil
}

// CleanFile returns the name of a file in an upload directory, or "" if raw is empty.
func CleanFile(raw string) (string, error) {
	file := sanitise(raw)
	if file == "" {
		return "", nil
	}
	if !safe(file) {
		return "", Errorf(http.StatusBadRequest, "wrong file")
	}
	return path.Clean(file), nil
}

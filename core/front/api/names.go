package api

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"aptless/core/archive/publish"
	"aptless/core/archive/publish/paths"
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

// baseName returns the last component of a file name of Unix or Windows.
func baseName(name string) string {
	if name == "" {
		return ""
	}
	return path.Base(strings.ReplaceAll(name, `\`, "/"))
}

// published returns the publication that the path names.
func published(r *http.Request) publish.Name {
	var n publish.Name
	n.Storage, n.Prefix = paths.ParsePrefix(paths.Unescape(Param(r, "prefix")))
	n.Distribution = paths.Unescape(Param(r, "distribution"))
	return n
}

// publicationOf parses the value of publish=. The value is prefix/distribution as in
// the paths below /api/publish, or a distribution at the root. "" gives nil.
func publicationOf(value string) (*publish.Name, error) {
	if value == "" {
		return nil, nil
	}
	prefix, distribution, ok := strings.Cut(value, "/")
	if !ok {
		prefix, distribution = ".", value
	}
	if distribution == "" {
		return nil, Errorf(http.StatusBadRequest, "publish=%s names no distribution: prefix/distribution is wanted, as ./stable", value)
	}
	n := publish.Name{Distribution: paths.Unescape(distribution)}
	n.Storage, n.Prefix = paths.ParsePrefix(paths.Unescape(prefix))
	return &n, nil
}

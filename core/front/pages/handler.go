package pages

import (
	"embed"
	"net/http"
	"strings"

	"aptless/core/front/layout"
)

//go:embed *.html
var templates embed.FS

// New returns a Handler.
func New(r Reading, a About, console string) (*Handler, error) {
	set, err := layout.Parse(templates)
	return &Handler{r, a, console, set}, err
}

// Owns reports whether a path below "/-/" is of a page for readers.
func Owns(path string) bool {
	return strings.HasPrefix(path, publicationPath) || strings.HasPrefix(path, packagePath) || path == Searched
}

// ServeHTTP answers GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if layout.ServeFile(w, r) || layout.ServeTheme(w, r) {
		return
	}
	q := &request{Handler: h, w: w, r: r}
	show := q.page()
	if show == nil {
		h.Tree.ServeHTTP(w, r)
		return
	}
	q.ctx, q.api = h.Ask(r)
	if r.Header.Get("Authorization") != "" {
		w.Header().Set("Cache-Control", "private, no-cache")
	}
	if err := show(); err != nil {
		q.fail(err)
	}
}

// page returns the function that answers a request for a page, nil for a file.
func (q *request) page() func() error {
	path := q.r.URL.EscapedPath()
	switch {
	case path == "/":
		return q.home
	case path == Searched:
		return q.search
	case strings.HasPrefix(path, publicationPath):
		return q.publication
	case strings.HasPrefix(path, packagePath):
		return q.onePackage
	case strings.HasSuffix(path, "/") && !strings.Contains(path, "//") && path != "/repos/":
		return q.folder
	}
	return nil
}

package pages

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"aptless/core/client"
	"aptless/core/front/layout"
)

// Entry is a file or a folder of a published tree.
type Entry struct {
	Name    string
	Folder  bool
	Size    int64     // bytes, of a file
	ModTime time.Time // of a file
}

// About is the text of the operator on the root page. All parts may be "".
type About struct {
	Title   string // of the repository
	Text    string // a sentence on it
	Contact string // an address of mail or of a page
}

// Reading has the means of pages to read.
type Reading struct {
	// Ask returns a client of the API and the context of its calls, for a reader's page.
	Ask func(r *http.Request) (context.Context, *client.Client)
	// Tree serves the published files, and /key.asc and /aptless.sources.
	Tree http.Handler
	// Folder returns a part of the entries of a folder; found is false if there is none.
	Folder func(ctx context.Context, path, after string) (list []Entry, next string, found bool, err error)
	Now    func() time.Time
	Log    *slog.Logger
}

// Handler serves the pages for readers, and the published files at all other paths.
type Handler struct {
	Reading
	About   About
	Console string // path of the console; "" if there is none
	set     layout.Set
}

// request is a request for a page.
type request struct {
	*Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context
	api *client.Client
}

// errAbsent is the error of a page that does not exist.
var errAbsent = errors.New("there is no such page")

// paths of pages. Searched is the page of the search.
const (
	publicationPath = "/-/d/"
	packagePath     = "/-/p/"
	Searched        = "/-/search"
)

// view returns the frame of a page.
func (q *request) view(title string, data any) layout.View {
	return layout.View{Title: title, Site: q.site(), Home: "/", Search: Searched, Now: q.Now(), Data: data}
}

// site returns the name of the repository.
func (h *Handler) site() string {
	if h.About.Title != "" {
		return h.About.Title
	}
	return "Package repository"
}

// write answers with a page.
func (q *request) write(status int, name, title string, data any) error {
	v := q.view(title, data)
	v.Query = q.r.URL.Query().Get("q")
	return q.set.Write(q.w, q.r, status, name, v)
}

// problem is the data of a page about an error.
type problem struct{ Text, Hint string }

// fail answers with an error in plain words.
func (q *request) fail(err error) {
	status, p := http.StatusInternalServerError, problem{"The server could not make this page.", "Try again in a moment."}
	switch code := client.StatusOf(err); {
	case errors.Is(err, errAbsent) || code == http.StatusNotFound:
		status, p = http.StatusNotFound, problem{"There is no such page here.", "It may have moved, or the package was replaced by a newer version."}
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		status, p = http.StatusUnauthorized, problem{"This part of the repository is for readers with a token.", "Sign in with any name, and the token as the password."}
		q.w.Header().Set("WWW-Authenticate", `Basic realm="aptless", charset="UTF-8"`)
	case code == http.StatusBadRequest:
		status, p = code, problem{err.Error(), "Change the search, and send it again."}
	case code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests:
		status = code
	default:
		q.Log.Error("a page was not made", "path", q.r.URL.Path, "error", err)
	}
	q.w.Header().Set("Cache-Control", "no-store")
	if err := q.write(status, "problem", "Not shown", p); err != nil {
		q.Log.Error("a page about an error was not made", "error", err)
	}
}

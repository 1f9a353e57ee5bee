package console

import (
	"embed"
	"html/template"
	"net/http"
	"strings"

	"aptless/core/client"
	"aptless/core/front/layout"
)

//go:embed *.html
var templates embed.FS

// New returns the handler of a console.
func New(s Settings) (*Handler, error) {
	set, err := layout.Parse(templates, template.FuncMap{"place": func(p client.Place) string { return placePath(p) }, "placeof": func(text string) string {
		prefix, distribution, _ := cutLast(text, "/")
		return placePath(client.Place{Prefix: prefix, Distribution: distribution})
	}, "objectpath": func(kind, name string) string {
		n := node{Kind: kind, Name: name}
		if n.link(); kind == "publish" {
			n.Kind = "published"
			n.link()
		}
		return n.Path
	}})
	if err != nil {
		return nil, err
	}
	if s.Title == "" {
		s.Title = "aptless"
	}
	h := &Handler{Settings: s, set: set, sessions: newSessions(s.Now)}
	h.routes()
	return h, nil
}

// page makes a page of a request.
type page func(q *request) error

// routes registers the pages.
func (h *Handler) routes() {
	h.mux = http.NewServeMux()
	get := func(pattern string, p page) { h.mux.HandleFunc("GET /-/"+pattern, h.serve(p, true)) }
	get("{$}", (*request).overview)
	get("repos", (*request).repos)
	get("repos/{name}", (*request).repo)
	get("packages", (*request).packages)
	get("package/{key}", (*request).onePackage)
	get("mirrors", (*request).mirrors)
	get("mirrors/{name}", (*request).mirror)
	get("snapshots", (*request).snapshots)
	get("snapshots/{name}", (*request).snapshot)
	get("compare", (*request).compare)
	get("publications", (*request).publications)
	get("publications/{prefix}/{distribution}", (*request).publication)
	get("publications/{prefix}/{distribution}/tree", (*request).tree)
	get("tasks", (*request).tasks)
	get("tasks/{id}", (*request).task)
	get("graph", (*request).graph)
	get("keys", (*request).keys)
	get("storage", (*request).storage)
	get("audit", (*request).audit)
	get("tokens", (*request).tokens)
	h.mux.HandleFunc("GET /-/sign-in", h.serve((*request).signInForm, false))
	h.mux.HandleFunc("POST /-/sign-in", h.serve((*request).signInWith, false))
	h.mux.HandleFunc("POST /-/sign-out", h.serve((*request).signOut, false))
	h.changes()
}

// changes registers the actions.
func (h *Handler) changes() {
	both := func(pattern string, p page) {
		h.mux.HandleFunc("GET /-/"+pattern, h.serve(writing(p), true))
		h.mux.HandleFunc("POST /-/"+pattern, h.serve(writing(p), true))
	}
	both("new/repo", newRepo().step)
	both("new/mirror", newMirror().step)
	both("new/merge", mergeSnapshots().step)
	both("new/trust", trustKey().step)
	both("keys/{id}/distrust", distrustKey().step)
	both("mirrors/{name}/edit", editMirror().step)
	both("snapshots/{name}/filter", filterSnapshot().step)
	both("snapshots/{name}/pull", pullSnapshot().step)
	both("repos/{name}/edit", editRepo().step)
	both("snapshots/{name}/edit", editSnapshot().step)
	both("new/clear", clearTasks().step)
	both("repos/{name}/copy", copyPackages().step)
	both("repos/{name}/remove", removePackages().step)
	both("storage/check", checkStorage().step)
	both("new/token", (*request).newToken)
	both("tokens/{id}/revoke", revokeToken().step)
	both("repos/{name}/import/{dir}", importUploads().step)
	for _, kind := range []string{client.OfRepos, client.OfMirrors} {
		both(kind+"/{name}/snapshot", takeSnapshot(kind).step)
	}
	for _, kind := range []string{client.OfRepos, client.OfSnapshots} {
		both(kind+"/{name}/publish", publishObject(kind).step)
	}
	for _, kind := range []string{client.OfRepos, client.OfMirrors, client.OfSnapshots} {
		both(kind+"/{name}/drop", dropObject(kind).step)
	}
	both("mirrors/{name}/update", updateMirror().step)
	const one = "publications/{prefix}/{distribution}/"
	both(one+"update", updatePublication().step)
	both(one+"switch", switchPublication().step)
	both(one+"rollback", rollBack().step)
	both(one+"sources", stageSources().step)
	both(one+"discard", discardSources().step)
	both(one+"drop", dropPublication().step)
	both("storage/cleanup", cleanUp().step)
	h.mux.HandleFunc("GET /-/repos/{name}/upload", h.serve(writing((*request).uploadForm), true))
	h.mux.HandleFunc("POST /-/repos/{name}/upload", h.serve(writing((*request).upload), true))
	h.mux.HandleFunc("POST /-/tasks/{id}/cancel", h.serve(writing((*request).cancel), true))
}

// writing refuses an action in a console that only reads.
func writing(p page) page {
	return func(q *request) error {
		if q.Reads {
			return &client.Refusal{Status: http.StatusForbidden, Text: "This console changes nothing. The server option --console=full lets it act, too."}
		}
		return p(q)
	}
}

// sectionOf returns the section of the navigation to which a path belongs.
func sectionOf(path string) string {
	first, rest, _ := strings.Cut(path, "/")
	switch first {
	case "package":
		return "packages"
	case "compare":
		return "snapshots"
	case "new":
		return map[string]string{"repo": "repos", "mirror": "mirrors", "merge": "snapshots", "trust": "keys", "token": "tokens", "clear": "tasks"}[rest]
	}
	return first
}

// serve returns the handler of a page. signed declares that the page needs the rights of
// the session.
func (h *Handler) serve(p page, signed bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := &request{Handler: h, w: w, r: r}
		q.navigate = sectionOf(strings.TrimPrefix(r.URL.Path, "/-/"))
		q.begin()
		err := h.origins.Check(r)
		if err != nil {
			err = errForged
		}
		if err == nil && signed {
			err = q.identify()
		}
		if err == nil {
			err = p(q)
		}
		if err != nil {
			q.fail(err)
		}
	}
}

// Owns reports whether a path is of the console.
func (h *Handler) Owns(r *http.Request) bool {
	_, pattern := h.mux.Handler(r)
	return pattern != "" && (strings.HasPrefix(r.URL.Path, "/-/"))
}

// ServeHTTP answers the requests for pages of the console.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if layout.ServeFile(w, r) || layout.ServeTheme(w, r) {
		return
	}
	if r.URL.Path == "/" && h.Alone {
		http.Redirect(w, r, "/-/", http.StatusSeeOther)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// Beside returns a handler of the console's pages, and of next at all other paths.
func (h *Handler) Beside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.Owns(r) {
			h.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

package console

import (
	"embed"
	"html/template"
	"net/http"
	"strings"

	"aptless/core/client"
	"aptless/core/front/auth"
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
	get("publications/{prefix}/{distribution}/compare", (*request).compareRevisions)
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

// needs returns whether a session may do an action.
type needs func(q *request) bool

// some needs a permission on any name: the form has the name.
func some(can auth.Permission) needs { return func(q *request) bool { return q.some(can) } }

// whole needs a permission that has no names.
func whole(can auth.Permission) needs { return func(q *request) bool { return q.may(can, "") } }

// named needs a permission on the object of the path.
func named(can auth.Permission) needs {
	return func(q *request) bool { return q.may(can, q.r.PathValue("name")) }
}

// placed needs a permission on the publication of the path.
func placed(can auth.Permission) needs {
	return func(q *request) bool { return q.may(can, publicationRight(q.place())) }
}

// changes registers the actions.
func (h *Handler) changes() {
	both := func(pattern string, need needs, p page) {
		h.mux.HandleFunc("GET /-/"+pattern, h.serve(writing(need, p), true))
		h.mux.HandleFunc("POST /-/"+pattern, h.serve(writing(need, p), true))
	}
	both("new/repo", some(auth.RepoManage), newRepo().step)
	both("new/mirror", some(auth.MirrorManage), newMirror().step)
	both("new/merge", some(auth.SnapshotCreate), mergeSnapshots().step)
	both("new/trust", whole(auth.GPGManage), trustKey().step)
	both("new/clear", some(auth.TasksManage), clearTasks().step)
	both("new/token", whole(auth.AuthManage), (*request).newToken)
	both("keys/{id}/distrust", whole(auth.GPGManage), distrustKey().step)
	both("tokens/{id}/revoke", whole(auth.AuthManage), revokeToken().step)
	both("repos/{name}/edit", named(auth.RepoManage), editRepo().step)
	both("repos/{name}/uploaders", named(auth.RepoManage), editUploaders().step)
	both("repos/{name}/copy", some(auth.RepoWrite), copyPackages().step)
	both("repos/{name}/remove", named(auth.RepoWrite), removePackages().step)
	both("repos/{name}/upload", named(auth.RepoImport), (*request).uploading)
	both("repos/{name}/import/{dir}", named(auth.RepoImport), importUploads().step)
	both("repos/{name}/snapshot", some(auth.SnapshotCreate), takeSnapshot(client.OfRepos).step)
	both("repos/{name}/publish", some(auth.PublishManage), publishObject(client.OfRepos).step)
	both("repos/{name}/drop", named(auth.RepoManage), dropObject(client.OfRepos).step)
	both("mirrors/{name}/edit", named(auth.MirrorManage), editMirror().step)
	both("mirrors/{name}/update", named(auth.MirrorUpdate), updateMirror().step)
	both("mirrors/{name}/snapshot", some(auth.SnapshotCreate), takeSnapshot(client.OfMirrors).step)
	both("mirrors/{name}/drop", named(auth.MirrorManage), dropObject(client.OfMirrors).step)
	both("snapshots/{name}/edit", named(auth.SnapshotManage), editSnapshot().step)
	both("snapshots/{name}/filter", some(auth.SnapshotCreate), filterSnapshot().step)
	both("snapshots/{name}/pull", some(auth.SnapshotCreate), pullSnapshot().step)
	both("snapshots/{name}/publish", some(auth.PublishManage), publishObject(client.OfSnapshots).step)
	both("snapshots/{name}/drop", named(auth.SnapshotManage), dropObject(client.OfSnapshots).step)
	const one = "publications/{prefix}/{distribution}/"
	both(one+"update", placed(auth.PublishUpdate), updatePublication().step)
	both(one+"switch", placed(auth.PublishUpdate), switchPublication().step)
	both(one+"rollback", placed(auth.PublishUpdate), rollBack().step)
	both(one+"sources", placed(auth.PublishUpdate), stageSources().step)
	both(one+"discard", placed(auth.PublishUpdate), discardSources().step)
	both(one+"drop", placed(auth.PublishManage), dropPublication().step)
	both("storage/check", whole(auth.DBManage), checkStorage().step)
	both("storage/cleanup", whole(auth.DBManage), cleanUp().step)
	h.mux.HandleFunc("POST /-/tasks/{id}/cancel", h.serve(writing(nil, (*request).cancel), true))
}

// writing refuses an action in a console that only reads, and to a session that may not do
// it. need nil lets the server alone decide.
func writing(need needs, p page) page {
	return func(q *request) error {
		if q.Reads {
			return &client.Refusal{Status: http.StatusForbidden, Text: "This console changes nothing. The server option --console=full lets it act, too."}
		}
		if need != nil && !need(q) {
			return &client.Refusal{Status: http.StatusForbidden, Text: "The action needs a permission that the token does not have."}
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

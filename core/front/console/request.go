package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"aptless/core/client"
	"aptless/core/front/auth"
	"aptless/core/front/layout"
)

// Settings are the settings of a console.
type Settings struct {
	// Ask returns a client of the API without a token, and the context of its calls.
	Ask   func(r *http.Request) (context.Context, *client.Client)
	Title string // in the header; "" is "aptless"
	// Reads declares that the console changes nothing.
	Reads bool
	// Alone declares that the console serves one user, whose credentials Ask has. There
	// is no form to sign in.
	Alone bool
	// Readers declares that the pages for readers are at the same address.
	Readers bool
	Now     func() time.Time
	Log     *slog.Logger
}

// Handler serves a console.
type Handler struct {
	Settings
	set      layout.Set
	mux      *http.ServeMux
	sessions *sessions
	origins  http.CrossOriginProtection
	kind     atomic.Int32 // of the server: 1 is aptless, 2 another one, 0 not known yet
}

// known reports whether the server is an aptless. It asks once.
func (h *Handler) known(ctx context.Context, api *client.Client) (bool, error) {
	if kind := h.kind.Load(); kind != 0 {
		return kind == 1, nil
	}
	aptless, err := api.Aptless(ctx)
	if err == nil && aptless {
		h.kind.Store(1)
	} else if err == nil {
		h.kind.Store(2)
	}
	return aptless, err
}

// request is a request for a page.
type request struct {
	*Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context
	api *client.Client

	id       string // of the session
	session  *session
	who      auth.Principal
	aptless  bool   // the server is an aptless
	navigate string // the first part of the path below /-/
}

// errSignIn is the error of a request that needs a session.
var errSignIn = errors.New("sign in first")

// begin finds the session. A browser without one gets an ID for its forms.
func (q *request) begin() {
	q.id = idOf(q.r)
	q.session = q.sessions.find(q.id)
	if q.id == "" {
		q.id = rand.Text()
		setID(q.w, q.r, q.id)
	}
	q.ctx, q.api = q.Ask(q.r)
	if q.session != nil {
		q.use(q.session.token)
	}
}

// use has the API be asked with a token.
func (q *request) use(token string) {
	q.api.Authorize = func(r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// identify asks the server which rights the session has.
func (q *request) identify() error {
	var err error
	if q.aptless, err = q.known(q.ctx, q.api); err != nil {
		return signIn(err)
	}
	if !q.aptless {
		q.who = *auth.OpenPrincipal()
		return nil
	}
	found, err := client.Send(q.ctx, q.api, client.ShowIdentity())
	if err != nil {
		return signIn(err)
	}
	if found.Value.Kind == string(auth.Open) {
		q.who = *auth.OpenPrincipal()
		return nil
	}
	q.who = auth.Principal{Kind: auth.Kind(found.Value.Kind), ID: found.Value.ID, Name: found.Value.Name, Owner: found.Value.Owner}
	return json.Unmarshal(found.Value.Grants, &q.who.Grants)
}

// signIn returns errSignIn for a refusal for the lack of credentials.
func signIn(err error) error {
	if client.StatusOf(err) == http.StatusUnauthorized {
		return errSignIn
	}
	return err
}

// may reports whether the session has a permission on a name; "" is a kind without names.
func (q *request) may(can auth.Permission, name string) bool {
	return auth.Decide(&q.who, auth.Need{Can: can, Name: name}) == nil
}

// mayChange is may for an action, which a console that only reads has none of.
func (q *request) mayChange(can auth.Permission, name string) bool {
	return !q.Reads && q.may(can, name)
}

// some reports whether the session has a permission on some name.
func (q *request) some(can auth.Permission) bool { return auth.DecideSome(&q.who, can) == nil }

// sections are the links of the navigation.
func (q *request) sections() []layout.Link {
	var list []layout.Link
	add := func(path, text string, ok bool) {
		if ok {
			list = append(list, layout.Link{Path: "/-/" + path, Text: text, Current: path == q.navigate})
		}
	}
	add("", "Overview", true)
	add("repos", "Repositories", q.some(auth.RepoRead))
	add("packages", "Packages", q.may(auth.PackagesRead, ""))
	add("mirrors", "Mirrors", q.some(auth.MirrorRead))
	add("snapshots", "Snapshots", q.some(auth.SnapshotRead))
	add("publications", "Publications", q.some(auth.PublishRead))
	add("tasks", "Tasks", true)
	add("graph", "Graph", q.may(auth.RepoRead, "*") && q.may(auth.SnapshotRead, "*"))
	add("keys", "Keys", q.aptless)
	add("storage", "Storage", true)
	add("tokens", "Tokens", q.aptless && q.may(auth.AuthManage, "") && q.who.Kind != auth.Open)
	add("audit", "Audit", q.aptless && q.may(auth.AuditRead, ""))
	return list
}

// write answers with a page.
func (q *request) write(status int, name, title string, data any) error {
	q.w.Header().Set("Cache-Control", "no-store")
	v := layout.View{Title: title, Site: q.Title, Home: "/-/", Now: q.Now(), Data: data, Token: q.sessions.proof(q.id)}
	if q.Reads {
		v.Mode, v.About = "read only", "/-/#acting"
	}
	if q.who.Kind != "" {
		v.Nav = q.sections()
	}
	if q.session != nil {
		v.User, v.SignOut = q.session.name, "/-/sign-out"
	}
	return q.set.Write(q.w, q.r, status, name, v)
}

// query returns a parameter of the address.
func (q *request) query(name string) string { return strings.TrimSpace(q.r.URL.Query().Get(name)) }

// page returns the address of the next page of the list of this page; "" if there is none.
func (q *request) page(header http.Header) string {
	next := header.Get("X-Next")
	if next == "" {
		return ""
	}
	values := url.Values{}
	for name, list := range q.r.URL.Query() {
		values[name] = list
	}
	values.Set("after", next)
	return layout.Base(q.r) + q.r.URL.EscapedPath() + "?" + values.Encode()
}

// problem is the data of a page about an error.
type problem struct{ Text, Hint string }

// fail answers with an error in plain words.
func (q *request) fail(err error) {
	status, p := http.StatusInternalServerError, problem{"The console could not make this page", "Try again in a moment. The log of the server has the reason."}
	var refused *client.Refusal
	var gone *client.Unreachable
	switch code := client.StatusOf(err); {
	case errors.Is(err, errSignIn) || code == http.StatusUnauthorized:
		q.toSignIn()
		return
	case errors.Is(err, errForged):
		status, p = http.StatusForbidden, problem{"The form was not sent from this console", "Open the page again, and send its form within one session."}
	case errors.As(err, &gone):
		status, p = http.StatusBadGateway, problem{"The server does not answer", gone.Error()}
	case code == http.StatusNotFound && !q.aptless && strings.Contains(err.Error(), "page not found"):
		status, p = code, problem{"This server has no such page", "It is no aptless, and its API does not have the call."}
	case errors.As(err, &refused) && code < http.StatusInternalServerError:
		status, p = code, problem{titles[code], refused.Text}
	case errors.As(err, &refused):
		status, p.Hint = http.StatusBadGateway, refused.Text
	}
	if p.Text == "" {
		p.Text = "The server has refused this"
	}
	if status >= http.StatusInternalServerError {
		q.Log.Error("a page of the console was not made", "path", q.r.URL.Path, "error", err)
	}
	if err := q.write(status, "problem", p.Text, p); err != nil {
		q.Log.Error("a page about an error was not made", "error", err)
	}
}

// titles are the titles of pages about refusals, by the status of HTTP.
var titles = map[int]string{
	http.StatusNotFound: "There is nothing of this name", http.StatusForbidden: "Your token may not do this",
	http.StatusConflict: "It is in use, or has changed meanwhile", http.StatusBadRequest: "The server does not accept this",
	http.StatusTooManyRequests: "Too many requests", http.StatusRequestEntityTooLarge: "The files are too large",
}

// toSignIn sends the browser to the form to sign in.
func (q *request) toSignIn() {
	back := "/-/"
	if q.r.Method == http.MethodGet {
		back = q.r.URL.RequestURI()
	}
	q.redirect("/-/sign-in?" + url.Values{"back": {back}}.Encode())
}

// redirect sends the browser to another page of this server.
func (q *request) redirect(path string) {
	layout.Secure(q.w.Header(), q.r)
	q.w.Header().Set("Cache-Control", "no-store")
	q.w.Header().Set("Location", layout.Base(q.r)+path)
	q.w.WriteHeader(http.StatusSeeOther)
}

// errForged is the error of a form that does not come from a page of this session.
var errForged = errors.New("the form is not of this session")

// pathTo joins segments to a path of the console.
func pathTo(segments ...string) string {
	var b strings.Builder
	b.WriteString("/-")
	for _, s := range segments {
		b.WriteString("/" + layout.Segment(s))
	}
	return b.String()
}

// placePath returns the path of the page of a publication.
func placePath(p client.Place, more ...string) string {
	prefix, distribution := p.Segments()
	if prefix == ":." {
		prefix = "-"
	}
	return pathTo(append([]string{"publications", prefix, distribution}, more...)...)
}

// place reads the publication in the path of a request.
func (q *request) place() client.Place {
	prefix := q.r.PathValue("prefix")
	if prefix == "-" {
		prefix = ":."
	}
	return client.ParsePlace(prefix, q.r.PathValue("distribution"))
}

// publicationRight returns the name of a publication in needs.
func publicationRight(p client.Place) string {
	storage, prefix := "", p.Prefix
	if i := strings.LastIndex(prefix, ":"); i >= 0 {
		storage, prefix = prefix[:i], prefix[i+1:]
	}
	if prefix == "" {
		prefix = "."
	}
	return auth.Publication(storage, prefix, p.Distribution)
}

package console

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"

	"aptless/core/front/layout"
)

// gateCookie lets a browser into a console of one user.
const gateCookie = "aptless-console"

// Gate lets one user into a console, by a code that is good once. Other programs and users
// of the machine reach its address, too, and have no code.
type Gate struct {
	Host string // of the console's own address, with its port
	Next http.Handler

	mu   sync.Mutex
	code string // "" once it was used
	key  string // of the cookie
}

// NewGate returns a gate and the path by which its user enters.
func NewGate(host string, next http.Handler) (g *Gate, path string) {
	g = &Gate{Host: host, Next: next, code: rand.Text(), key: rand.Text()}
	return g, "/-/?code=" + g.code
}

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != g.Host {
		g.refuse(w, r, "This console answers to "+g.Host+" only.")
		return
	}
	if code := r.URL.Query().Get("code"); code != "" {
		if !g.enter(code) {
			g.refuse(w, r, "This code was used already, or is wrong. Start aptless console again.")
			return
		}
		http.SetCookie(w, &http.Cookie{Name: gateCookie, Value: g.key, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		layout.Secure(w.Header(), r)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", "/-/")
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	c, err := r.Cookie(gateCookie)
	if err != nil || subtle.ConstantTimeCompare([]byte(c.Value), []byte(g.key)) != 1 {
		g.refuse(w, r, "Open the address that aptless console has printed.")
		return
	}
	g.Next.ServeHTTP(w, r)
}

// enter reports whether a code is good, and uses it up.
func (g *Gate) enter(code string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.code == "" || subtle.ConstantTimeCompare([]byte(code), []byte(g.code)) != 1 {
		return false
	}
	g.code = ""
	return true
}

func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, text string) {
	layout.Secure(w.Header(), r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte(text + "\n")) // an error means that the client has gone
}

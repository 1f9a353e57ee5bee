package apptest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/auth"
)

// Schemes returns the ways to send a token with a request, by name.
func Schemes() map[string]func(r *http.Request, token string) {
	return map[string]func(r *http.Request, token string){
		"Basic":  func(r *http.Request, token string) { r.SetBasicAuth("token", token) },
		"Bearer": func(r *http.Request, token string) { r.Header.Set("Authorization", "Bearer "+token) },
	}
}

// EachScheme runs a test on a closed process in memory. Its requests have the token of an
// administrator in Basic, then in Bearer.
func EachScheme(t *testing.T, test func(*testing.T, *Process)) {
	for name, set := range Schemes() {
		t.Run(name, func(t *testing.T) {
			m, root := drivertest.NewMemory(time.Now), auth.NewSecret(auth.API)
			p := New(t, On(m), func(c *app.Config) { c.Auth = &app.Auth{Closed: true, Environment: auth.Digest(root)} })
			p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 8) })
			p.Refused(t, "GET", "/api/version", "", http.StatusUnauthorized, "authentication is needed")
			closed := p.Handler
			p.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				set(r, root)
				closed.ServeHTTP(w, r)
			})
			test(t, p)
		})
	}
}

package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// policy lets a page load the files of its own server only. It has no inline part.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Secure sets the headers that all pages have.
func Secure(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// Write answers with a page. A status of 200 has an ETag, and is 304 if the client has
// the page already.
func Write(w http.ResponseWriter, r *http.Request, status int, page []byte) {
	h := w.Header()
	Secure(h, r)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Cookie")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-cache")
	}
	answer(w, r, status, page)
}

// answer sends a body that is made anew for each request, with its ETag.
func answer(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	if status == http.StatusOK {
		sum := sha256.Sum256(body)
		tag := `"` + hex.EncodeToString(sum[:12]) + `"`
		h.Set("ETag", tag)
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && lists(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the client has gone
	}
}

// lists reports whether a value of If-None-Match has a tag (RFC 9110 13.1.2).
func lists(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			return true
		}
	}
	return false
}

// Base returns the path prefix of a reverse proxy, from X-Forwarded-Prefix. It is "" or
// begins with exactly one slash, so it names no other host.
func Base(r *http.Request) string {
	prefix := strings.Trim(r.Header.Get("X-Forwarded-Prefix"), "/")
	if prefix == "" || strings.ContainsFunc(prefix, func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }) {
		return ""
	}
	return "/" + prefix
}

// Origin returns the URL by which the client reaches the server, without a last slash.
func Origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + Base(r)
}

// Local returns a path of this server that a client has sent, or fallback for one that
// names another host.
func Local(path, fallback string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return fallback
	}
	return path
}

// themeCookie keeps the choice of colours.
const themeCookie = "aptless-theme"

// theme returns the colours that the client has chosen, "" for those of its system.
func theme(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || c.Value != "dark" && c.Value != "light" {
		return ""
	}
	return c.Value
}

// ThemePath is the path of the choice of colours.
const ThemePath = "/-/theme"

// ServeTheme keeps the choice of colours, and sends the client back to its page. It
// reports whether the request was such.
func ServeTheme(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != ThemePath {
		return false
	}
	to := r.URL.Query().Get("to")
	c := &http.Cookie{Name: themeCookie, Value: to, Path: Base(r) + "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil}
	if to != "dark" && to != "light" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(w, c)
	Secure(w.Header(), r)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", Base(r)+Local(r.URL.Query().Get("back"), "/"))
	w.WriteHeader(http.StatusSeeOther)
	return true
}

package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	port "aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
)

// TestAccessStaysAtItsOrigin follows redirects within the origin, to another origin, and
// back.
func TestAccessStaysAtItsOrigin(t *testing.T) {
	var shown []string
	served(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		shown = append(shown, fmt.Sprintf("%s%s %s:%s %s %s %s", r.Host, r.URL.Path, user, password, r.Header.Get("X-Token"), r.Header.Get("Cookie"), r.UserAgent()))
		switch r.URL.Path {
		case "/within":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "http://cdn.deb.example/back", http.StatusFound)
		case "/port":
			http.Redirect(w, r, "http://deb.example:81/end", http.StatusFound)
		case "/back":
			http.Redirect(w, r, "http://deb.example/end", http.StatusFound)
		default:
			io.WriteString(w, "x")
		}
	}, func(t *testing.T, c *Client) {
		access := &port.Access{Origin: "http://deb.example:80", User: "u", Password: "p",
			Headers: map[string]string{"X-Token": "t", "Cookie": "c=1", "User-Agent": "apt"}}
		for url, want := range map[string][]string{
			"http://deb.example/within": {"deb.example/within u:p t c=1 apt", "deb.example/end u:p t c=1 apt"},
			"http://deb.example/away":   {"deb.example/away u:p t c=1 apt", "cdn.deb.example/back :   aptless", "deb.example/end :   aptless"},
			"http://deb.example/port":   {"deb.example/port u:p t c=1 apt", "deb.example:81/end :   aptless"},
			"http://other.example/end":  {"other.example/end :   aptless"},
			"http://deb.example:81/end": {"deb.example:81/end :   aptless"},
		} {
			shown = nil
			a, err := c.Fetch(t.Context(), port.Request{URL: url, Access: access, Limit: 10})
			if err != nil {
				t.Errorf("%s: %v", url, err)
				continue
			}
			io.Copy(io.Discard, a.Body)
			a.Body.Close()
			if strings.Join(shown, "; ") != strings.Join(want, "; ") {
				t.Errorf("%s: shown %q", url, shown)
			}
		}
	})
}

// TestResumptionShowsAccess holds that a resumed body is requested with the same user.
func TestResumptionShowsAccess(t *testing.T) {
	var users []string
	served(t, func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		users = append(users, user)
		w.Header().Set("ETag", `"1"`)
		if len(users) == 1 {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "he")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("hello"))
	}, func(t *testing.T, c *Client) {
		a, err := c.Fetch(t.Context(), port.Request{URL: address, Access: &port.Access{Origin: port.Origin(address), User: "u"}, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if body, err := io.ReadAll(a.Body); err != nil || string(body) != "hello" {
			t.Errorf("%q, %v", body, err)
		}
	})
	if strings.Join(users, ",") != "u,u" {
		t.Errorf("users %q", users)
	}
}

// TestCertificatesShareNoConnection has two mirrors with certificates and one without, at
// one server. A redirect leads to another server.
func TestCertificatesShareNoConnection(t *testing.T) {
	names := map[string]string{} // serial number of the certificate, by connection
	var asked []string
	handler := func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		if was, ok := names[r.RemoteAddr]; ok && was != name {
			t.Errorf("a connection of %s is used for %s", was, name)
		}
		names[r.RemoteAddr] = name
		asked = append(asked, name)
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		io.WriteString(w, name)
	}
	start := func(auth tls.ClientAuthType) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(handler))
		s.TLS = &tls.Config{ClientAuth: auth}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	server, elsewhere := start(tls.RequestClientCert), start(tls.RequestClientCert)
	c, err := New(Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	by := c.hosts.next.(*transports)
	by.plain.TLSClientConfig = &tls.Config{RootCAs: roots}

	access := func(name string) *port.Access {
		cert, key := upstreamtest.ClientCertificate(t, name)
		return &port.Access{Origin: port.Origin(server.URL), Certificate: cert, Key: key}
	}
	get := func(a *port.Access, url string) string {
		answer, err := c.Fetch(t.Context(), port.Request{URL: url, Access: a, Limit: 100})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			return ""
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	anna, bert := access("anna"), access("bert")
	for range 3 {
		if got := []string{get(anna, server.URL), get(bert, server.URL), get(nil, server.URL)}; fmt.Sprint(got) != "[anna bert nobody]" {
			t.Errorf("got %q", got)
		}
	}
	if len(names) != 3 {
		t.Errorf("%d connections, want one each", len(names))
	}
	if got := get(anna, elsewhere.URL); got != "nobody" {
		t.Errorf("another origin saw %s", got)
	}
	asked = nil
	if got := get(anna, server.URL+"/?to="+elsewhere.URL); got != "nobody" || fmt.Sprint(asked) != "[anna nobody]" {
		t.Errorf("after a redirect %s, %v", got, asked)
	}
	asked = nil
	if got := get(anna, server.URL+"/?to="+server.URL); got != "anna" || fmt.Sprint(asked) != "[anna anna]" {
		t.Errorf("after a redirect within the origin %s, %v", got, asked)
	}
	for i := range 2 * maxCertificates {
		name := fmt.Sprintf("client %d", i)
		if got := get(access(name), server.URL); got != name {
			t.Errorf("%s was %s", name, got)
		}
	}
	if len(by.by) > maxCertificates {
		t.Errorf("%d certificates are kept", len(by.by))
	}
	if got := get(anna, server.URL); got != "anna" {
		t.Errorf("after others anna is %s", got)
	}
}

// TestRefusedCertificateIsNotTriedAgain holds that the refusal of a missing certificate is
// not retried.
func TestRefusedCertificateIsNotTriedAgain(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	tried := 0
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		tried++
		return nil, nil
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	c, err := New(Options{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	c.jitter = func(time.Duration) time.Duration { return 0 }
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c.hosts.next.(*transports).plain.TLSClientConfig = &tls.Config{RootCAs: roots}
	if _, err := c.Fetch(t.Context(), port.Request{URL: server.URL, Limit: 1}); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("%v", err)
	}
	if tried != 1 {
		t.Errorf("tried %d times", tried)
	}
}

package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"aptless/core/front/app"
	"aptless/core/front/auth"
)

// holding sends a request with a verified client certificate, and with a token unless it
// is "".
func (g *guarded) holding(c *x509.Certificate, token, method, path, body string) (int, string) {
	r := httptest.NewRequestWithContext(g.Ctx, method, "https://localhost"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	g.Handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func certificate(cn string, dns []string, uris ...string) *x509.Certificate {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: cn}, DNSNames: dns}
	for _, text := range uris {
		u, _ := url.Parse(text)
		c.URIs = append(c.URIs, u)
	}
	return c
}

// bind sets a binding whose owner is its name.
func (g *guarded) bind(t *testing.T, name, kind, key, pattern, grant string) {
	t.Helper()
	g.must(t, g.root, "PUT", "/api/auth/bindings/"+name, fmt.Sprintf(`{"Kind":%q,"Match":{%q:[%q]},"Grants":[%s]}`, kind, key, pattern, grant))
}

const readsAll = `{"Role":"reader"}`

// TestBindingIsFoundByTheMostExactName: a URI comes before a DNS name, and that before the
// common name. A whole text comes before a beginning.
func TestBindingIsFoundByTheMostExactName(t *testing.T) {
	g := newGuarded(t)
	g.bind(t, "a-cn", "cert", "cn", "ci", readsAll)
	g.bind(t, "b-dns", "cert", "dns", "*", readsAll)
	g.bind(t, "c-uri", "cert", "uri", "spiffe://x/*", readsAll)
	g.bind(t, "d-uri", "cert", "uri", "spiffe://x/ci/*", readsAll)
	g.bind(t, "e-uri", "cert", "uri", "spiffe://x/ci/hello", readsAll)
	g.bind(t, "f-iam", "iam", "arn", "*", `{"Role":"admin"}`)
	for _, c := range []struct {
		cert  *x509.Certificate
		owner string // "" is refused
	}{
		{certificate("ci", nil), "a-cn"},
		{certificate("CI", nil), ""},
		{certificate("cix", nil), ""},
		{certificate("ci", []string{"host"}), "b-dns"},
		{certificate("ci", []string{"host"}, "spiffe://x/other"), "c-uri"},
		{certificate("ci", nil, "spiffe://x/ci/other"), "d-uri"},
		{certificate("ci", nil, "spiffe://x/other", "spiffe://x/ci/hello"), "e-uri"},
		{certificate("arn:aws:iam::1:user/ci", nil), ""},
	} {
		code, answer := g.holding(c.cert, "", "GET", "/api/auth/whoami", "")
		if c.owner == "" && code != 401 || c.owner != "" && !strings.Contains(answer, `"Owner":"`+c.owner+`"`) {
			t.Errorf("%v %v %s: %d %s, want %q", c.cert.URIs, c.cert.DNSNames, c.cert.Subject.CommonName, code, answer, c.owner)
		}
	}
}

// TestTokenComesBeforeTheCertificate, also a token that is not valid.
func TestTokenComesBeforeTheCertificate(t *testing.T) {
	g := newGuarded(t)
	g.bind(t, "ci", "cert", "cn", "ci", `{"Role":"uploader","Repos":["hello"]}`)
	ci := certificate("ci", nil)
	if code, answer := g.holding(ci, g.root, "GET", "/api/auth/whoami", ""); code != 200 || !strings.Contains(answer, `"Kind":"env"`) {
		t.Errorf("%d %s", code, answer)
	}
	if code, _ := g.holding(ci, auth.NewSecret(auth.API), "GET", "/api/auth/whoami", ""); code != 401 {
		t.Errorf("an unknown token beside a certificate: %d", code)
	}
	if code, answer := g.holding(ci, "", "POST", "/api/repos", `{"Name":"r"}`); code != 403 || answer != `{"error":"no permission: repo.manage on r"}` {
		t.Errorf("%d %s", code, answer)
	}
	g.must(t, g.root, "DELETE", "/api/auth/bindings/ci", "")
	if code, _ := g.holding(ci, "", "GET", "/api/auth/whoami", ""); code != 401 {
		t.Errorf("after the binding: %d", code)
	}
}

// TestTaskOfABindingNeedsItWhenItBegins: the binding is removed, or narrowed, while its
// task waits.
func TestTaskOfABindingNeedsItWhenItBegins(t *testing.T) {
	g := newGuarded(t)
	g.bind(t, "gone", "cert", "cn", "gone", `{"Role":"maintainer"}`)
	g.bind(t, "narrow", "cert", "cn", "narrow", `{"Role":"maintainer"}`)
	g.bind(t, "stays", "cert", "cn", "stays", `{"Role":"maintainer"}`)
	g.must(t, g.root, "POST", "/api/repos?_async=1", `{"Name":"root"}`)
	for _, name := range []string{"gone", "narrow", "stays"} {
		if code, answer := g.holding(certificate(name, nil), "", "DELETE", "/api/repos/"+name+"?_async=1", ""); code != 202 && code != 404 {
			t.Fatalf("%s: %d %s", name, code, answer)
		}
		if code, answer := g.holding(certificate(name, nil), "", "POST", "/api/db/cleanup?_async=1", ""); code != 202 {
			t.Fatalf("%s: %d %s", name, code, answer)
		}
	}
	g.must(t, g.root, "DELETE", "/api/auth/bindings/gone", "")
	g.bind(t, "narrow", "cert", "cn", "narrow", readsAll)
	g.works(t)
	for id, want := range map[int]string{2: "permission was taken away: db.manage", 3: "permission was taken away: db.manage", 4: ""} {
		g.must(t, g.root, "GET", fmt.Sprintf("/api/tasks/%d/wait", id), "")
		if got := g.must(t, g.root, "GET", fmt.Sprintf("/api/tasks/%d/output", id), ""); want != "" && !strings.Contains(got, want) || want == "" && strings.Contains(got, "taken away") {
			t.Errorf("task %d: %s, want %q", id, got, want)
		}
	}
}

type arnKey struct{}

// TestCallersWithAWSCredentialsHaveABindingOrTheDefaultRole holds it for both roles.
func TestCallersWithAWSCredentialsHaveABindingOrTheDefaultRole(t *testing.T) {
	const ci = "arn:aws:sts::1:assumed-role/ci/run-7"
	for _, role := range []auth.Role{auth.Admin, ""} {
		g := newGuarded(t, func(c *app.Config) {
			c.Auth.IAMRole = role
			c.Auth.Caller = func(ctx context.Context) string { arn, _ := ctx.Value(arnKey{}).(string); return arn }
		})
		call := func(arn, method, path, body string) (int, string) {
			r := httptest.NewRequestWithContext(context.WithValue(g.Ctx, arnKey{}, arn), method, path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+g.root)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			g.Handler.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		store := &auth.Store{Table: g.memory.Table, Now: time.Now}
		if _, err := store.SetBinding(t.Context(), auth.OpenPrincipal(), auth.Binding{Name: "ci", Kind: auth.IAM,
			Match: map[string][]string{"arn": {"arn:aws:sts::1:assumed-role/ci/*"}}, Grants: []auth.Grant{{Role: auth.Uploader, Repos: []string{"hello"}}}}, nil); err != nil {
			t.Fatal(err)
		}
		if code, _ := call("", "GET", "/api/repos", ""); code != 401 {
			t.Errorf("a token in place of AWS credentials: %d", code)
		}
		if code, answer := call(ci, "POST", "/api/repos", `{"Name":"r"}`); code != 403 {
			t.Errorf("more than the binding: %d %s", code, answer)
		}
		want := 403
		if role == auth.Admin {
			want = 200
		}
		if code, answer := call("arn:aws:iam::1:user/other", "GET", "/api/metrics-of-none", ""); code != 404 {
			t.Errorf("%q: without a binding: %d %s", role, code, answer)
		}
		if code, answer := call("arn:aws:iam::1:user/other", "GET", "/api/repos", ""); code != want {
			t.Errorf("%q: without a binding: %d %s", role, code, answer)
		}
	}
}

// TestBindingsThatAreRefused and their limits.
func TestBindingsThatAreRefused(t *testing.T) {
	g := newGuarded(t)
	for body, want := range map[string]string{
		`{}`: "Kind is cert or iam",
		`{"Kind":"login","Match":{"groups":["x"]},"Grants":[{"Role":"reader"}]}`:          "Kind is cert or iam",
		`{"Kind":"cert","Grants":[{"Role":"reader"}]}`:                                    "Match needs 1 to 64 texts",
		`{"Kind":"cert","Match":{"arn":["x"]},"Grants":[{"Role":"reader"}]}`:              "Match of the kind cert has uri, dns, cn",
		`{"Kind":"cert","Match":{"cn":["a*b"]},"Grants":[{"Role":"reader"}]}`:             "in Match: a text of",
		`{"Kind":"cert","Match":{"cn":[""]},"Grants":[{"Role":"reader"}]}`:                "in Match: a text of",
		`{"Kind":"cert","Match":{"cn":["x"]}}`:                                            "Grants",
		`{"Kind":"cert","Match":{"cn":["x"]},"Grants":[{"Role":"downloader"}]}`:           "downloader",
		`{"Kind":"cert","Match":{"cn":["x"]},"Owner":"a b","Grants":[{"Role":"reader"}]}`: "Owner",
		`{"Kind":"cert","Nothing":1}`:                                                     "unknown field",
	} {
		if code, answer := g.as(g.root, "PUT", "/api/auth/bindings/b", body); code != 400 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", body, code, answer, want)
		}
	}
	g.refused(t, g.root, "GET", "/api/auth/bindings/none", "", 404, "no such binding")
	g.refused(t, g.root, "DELETE", "/api/auth/bindings/none", "", 404, "no such binding")
	for i := range 200 {
		g.bind(t, fmt.Sprintf("b%d", i), "cert", "cn", "x", readsAll)
	}
	g.refused(t, g.root, "PUT", "/api/auth/bindings/more", `{"Kind":"cert","Match":{"cn":["x"]},"Grants":[{"Role":"reader"}]}`, 409, "there are 200 bindings, which is the most")
	g.bind(t, "b7", "cert", "cn", "y", readsAll) // a change needs no room
	records := g.must(t, g.root, "GET", "/api/audit?event=binding.set&limit=1000", "")
	if n := strings.Count(records, `"Event":"binding.set"`); n != 201 {
		t.Errorf("%d records of bindings", n)
	}
}

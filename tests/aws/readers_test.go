package aws

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/localstack"
)

// read asks CloudFront for a path as it is, and follows redirects.
func (p *deployed) read(path string) (int, string, http.Header) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.public.URL+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp.Header
}

// TestReadersFindWhatTheyNeed: keys, sources, pages, former states, and files with a plus
// sign, as CloudFront answers for them. The root is a page for people, and no list of the
// bucket.
func TestReadersFindWhatTheyNeed(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil, func(o *localstack.Options) { o.Values = map[string]string{"Title": "Packages of many"} })
	p.must("POST", "/api/repos", `{"Name":"plus"}`)
	spec := debtest.Spec{Package: "g++-plus", Version: "12.4+deb12u15"}
	if err := p.upload("plus", spec); err != nil {
		t.Fatal(err)
	}
	p.must("POST", "/api/repos/plus/file/plus", "")
	p.must("POST", "/api/publish/plus", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"plus"}]}`)
	at := time.Now().UTC().Format("20060102T150405Z")
	p.must("DELETE", "/api/repos/plus/packages", `{"PackageRefs":["`+p.key("plus")+`"]}`)
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1100 * time.Millisecond))) // another second than that of the former state
	p.must("PUT", "/api/publish/plus/stable", `{}`)

	contains := func(path, want string) {
		t.Helper()
		if code, text, _ := p.read(path); code != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %.300s, want %s", path, code, text, want)
		}
	}
	contains("/key.asc", "BEGIN PGP PUBLIC KEY BLOCK")
	contains("/plus/aptless.sources", "URIs: "+p.public.URL+"/plus")
	contains("/aptless.sources?prefix=plus", "Suites: stable")
	contains("/docs.html", "<h1>Aptly API")
	contains("/docs/doc.json", `"openapi"`)
	contains("/docs/", "<h1>Aptly API")
	file := "/pool/main/g/g++-plus/" + debtest.FileName(spec)
	encoded := strings.ReplaceAll(file, "+", "%2B")
	for _, path := range []string{file, encoded} {
		code, body, _ := p.read("/snapshots/" + at + "/plus" + path)
		if code != 200 || body != string(debtest.Deb(spec)) {
			t.Errorf("%s of a former state: %d %.200s", path, code, body)
		}
	}
	contains("/snapshots/"+at+"/plus/dists/stable/main/binary-amd64/Packages", "Package: g++-plus\n")
	contains("/snapshots/"+at+"/plus/dists/stable/InRelease", "Snapshots: "+p.public.URL+"/snapshots")
	p.must("POST", "/api/repos/plus/packages", `{"PackageRefs":["`+p.former+`"]}`)
	p.must("PUT", "/api/publish/plus/stable", `{}`)
	for _, path := range []string{file, encoded} {
		if code, body, _ := p.read("/plus" + path); code != 200 || body != string(debtest.Deb(spec)) {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
	}
	contains("/", "<h1>Packages of many</h1>")
	_, home, _ := p.read("/")
	for _, m := range regexp.MustCompile(`(?:href|src)="(/[^"]*)"`).FindAllStringSubmatch(home, -1) {
		code, page, _ := p.read(strings.ReplaceAll(m[1], "&amp;", "&"))
		if there := m[1] != "/dists/" && m[1] != "/pool/"; code != 200 && there { // nothing is published to the root
			t.Errorf("the root page leads to %s: %d", m[1], code)
		}
		if strings.Contains(m[1], "plus") && !strings.HasSuffix(m[1], "/") && !strings.Contains(page, p.public.URL) {
			t.Errorf("%s does not name %s: %s", m[1], p.public.URL, page)
		}
	}
	contains("/plus/dists/", "stable")
	for _, path := range []string{"/none/", "/dists"} {
		if code, text, _ := p.read(path); code != 404 || strings.Contains(text, "plus") {
			t.Errorf("%s: %d %.200s", path, code, text)
		}
	}
	// No way leads to the API without credentials.
	for _, path := range []string{"/api/repos", "//api/repos", "/docs/../api/repos", "/snapshots/../api/repos", "/snapshots/1/api/repos"} {
		if code, text, _ := p.read(path); code < 400 || strings.Contains(text, `"Name"`) {
			t.Errorf("%s: %d %.200s", path, code, text)
		}
	}
}

// key returns the key of the only package of a repository, and remembers it.
func (p *deployed) key(repo string) string {
	p.t.Helper()
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/repos/"+repo+"/packages", ""), &keys); err != nil || len(keys) != 1 {
		p.t.Fatalf("%q, %v", keys, err)
	}
	p.former = keys[0]
	return keys[0]
}

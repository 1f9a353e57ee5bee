package aws

import (
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"aptless/core/client"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/console"
)

// operator is a person at a console of the deployment, as aptless console serves it.
type operator struct {
	t    *testing.T
	url  string
	http *http.Client
}

// proof finds the token of a form.
var proof = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// hidden finds the fields of a confirmation.
var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

func (o *operator) do(r *http.Request) (string, *url.URL) {
	o.t.Helper()
	resp, err := o.http.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		o.t.Fatalf("%s %s: %d, %v\n%.3000s", r.Method, r.URL, resp.StatusCode, err, body)
	}
	return string(body), resp.Request.URL
}

func (o *operator) get(path string) string {
	o.t.Helper()
	r, _ := http.NewRequest("GET", o.url+path, nil)
	page, _ := o.do(r)
	return page
}

// act fills in a form, and confirms its preview. It waits for the task that this starts.
func (o *operator) act(path, preview string, fields ...string) {
	o.t.Helper()
	values := url.Values{"csrf": {proof.FindStringSubmatch(o.get(path))[1]}, "step": {"preview"}}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	var page string
	var at *url.URL
	for _, step := range []string{"preview", "confirm"} {
		values.Set("step", step)
		r, _ := http.NewRequest("POST", o.url+path, strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		page, at = o.do(r)
		if step == "confirm" {
			continue
		}
		if !strings.Contains(page, preview) {
			o.t.Fatalf("%s: the preview has no %q: %.3000s", path, preview, page)
		}
		for _, m := range hidden.FindAllStringSubmatch(page, -1) {
			values.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	for strings.HasPrefix(at.Path, "/-/tasks/") && !strings.Contains(page, ">succeeded<") {
		if strings.Contains(page, ">failed<") {
			o.t.Fatalf("%s: %.3000s", path, page)
		}
		time.Sleep(200 * time.Millisecond)
		page = o.get(at.RequestURI())
	}
}

// TestConsoleOfTheDeployment (W14): the console of one machine drives the API of the
// functions. Each page is made, and a package goes from its upload to a publication.
func TestConsoleOfTheDeployment(t *testing.T) {
	t.Parallel()
	p := deploy(t, time.Minute, nil)
	c, err := console.New(console.Settings{Alone: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Ask: func(r *http.Request) (context.Context, *client.Client) {
		return r.Context(), &client.Client{URL: p.api.URL, HTTP: http.DefaultClient, Authorize: func(r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+p.token)
			return nil
		}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	gate, path := console.NewGate(server.Listener.Addr().String(), c)
	server.Config.Handler = gate
	server.Start()
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{t, server.URL, &http.Client{Jar: jar}}
	o.get(path)

	o.act("/-/new/repo", "Creates the empty repository tools", "name", "tools", "distribution", "stable", "component", "main")
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("csrf", proof.FindStringSubmatch(o.get("/-/repos/tools/upload"))[1])
	file, _ := form.CreateFormFile("file", "hello_1.0_amd64.deb")
	_, _ = file.Write(debtest.Deb(debtest.Spec{Version: "1.0", Architecture: "amd64"}))
	form.Close()
	r, _ := http.NewRequest("POST", o.url+"/-/repos/tools/upload", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	_, at := o.do(r)
	o.act(at.Path, "Imports hello_1.0_amd64.deb")
	o.act("/-/repos/tools/publish", "Added: 1.", "distribution", "stable", "prefix", "tools", "component", "main")
	if code, text, _ := p.read("/tools/dists/stable/main/binary-amd64/Packages"); code != 200 || !strings.Contains(text, "Package: hello\n") {
		t.Errorf("the publication: %d %.300s", code, text)
	}
	for _, path := range []string{"/-/", "/-/repos", "/-/repos/tools", "/-/packages?q=hello", "/-/mirrors", "/-/snapshots", "/-/publications", "/-/publications/tools/stable",
		"/-/publications/tools/stable/tree", "/-/tasks", "/-/graph", "/-/keys", "/-/storage", "/-/tokens", "/-/audit"} {
		if page := o.get(path); !strings.Contains(page, "<h1>") {
			t.Errorf("%s: %.500s", path, page)
		}
	}
}

package proxy

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"aptless/core/client"
)

// far is a server as aptless on AWS: it wants a token, takes little, waits not long and
// stores long answers elsewhere.
type far struct {
	*httptest.Server
	store *httptest.Server
	mu    sync.Mutex
	seen  []http.Header
	calls []string
	waits int
	files map[string]int // sizes of files by name
}

func newFar(t *testing.T) *far {
	f := &far{files: map[string]int{}}
	f.store = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s has credentials", r.Method, r.URL)
		}
		if r.Method == "PUT" {
			n, _ := io.Copy(io.Discard, r.Body)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.files[r.URL.Query().Get("name")] = int(n)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, `["long"]`)
		z.Close()
	}))
	t.Cleanup(f.store.Close)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen, f.calls = append(f.seen, r.Header.Clone()), append(f.calls, r.Method+" "+r.URL.Path)
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(401)
			return
		}
		f.answer(w, r, body)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *far) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	switch path := r.URL.Path; {
	case path == "/api/version":
		io.WriteString(w, `{"Version":"aptless 1"}`)
	case path == "/api/long":
		w.Header().Set("X-Total", "1")
		w.Header().Set("Location", f.store.URL+"/answer?signature=s")
		w.WriteHeader(303)
	case path == "/api/slow" || path == "/api/fails":
		id := 7
		if path == "/api/fails" {
			id = 8
		}
		w.WriteHeader(202)
		fmt.Fprintf(w, `{"ID":%d,"State":1,"Name":"slow"}`, id)
	case path == "/api/tasks/7/wait":
		f.waits++
		fmt.Fprintf(w, `{"ID":7,"State":%d}`, min(f.waits, 2))
	case path == "/api/tasks/7":
		f.waits++
		fmt.Fprintf(w, `{"ID":7,"State":%d}`, min(f.waits, 2))
	case path == "/api/tasks/8":
		io.WriteString(w, `{"ID":8,"State":3,"Error":"it does not work"}`)
	case path == "/api/tasks/7/return_value":
		io.WriteString(w, `{"Code":201,"Value":{"Name":"made"}}`)
	case path == "/api/tasks/8/return_value":
		io.WriteString(w, `{"Code":409,"Value":null}`)
	case strings.HasPrefix(path, "/api/files/") && r.Method == "PUT":
		f.files[path[strings.LastIndex(path, "/")+1:]] = len(body)
		io.WriteString(w, "[]")
	case strings.HasPrefix(path, "/api/files/") && r.URL.Query().Get("confirm") == "":
		var list []struct{ Name string }
		json.Unmarshal(body, &list)
		json.NewEncoder(w).Encode([]map[string]any{{"name": list[0].Name, "method": "PUT", "url": f.store.URL + "/?name=" + list[0].Name}})
	case path == "/moved":
		w.Header().Set("Location", f.URL+"/there")
		w.WriteHeader(307)
	default:
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
	}
}

// near is a proxy in front of a far server.
func near(t *testing.T, f *far) *httptest.Server {
	p := &Proxy{Client: &client.Client{URL: f.URL, HTTP: http.DefaultClient, Authorize: func(r *http.Request) error {
		r.Header.Set("Authorization", "Bearer secret")
		return nil
	}}, Spool: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	s := httptest.NewServer(p)
	t.Cleanup(func() {
		s.Close()
		if left, err := os.ReadDir(p.Spool); err != nil || len(left) > 0 {
			t.Errorf("files are left: %v, %v", left, err)
		}
	})
	return s
}

func ask(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestHeadersOfOneConnectionStayThere, and so do credentials.
func TestHeadersOfOneConnectionStayThere(t *testing.T) {
	f := newFar(t)
	s := near(t, f)
	r := request(t, "POST", s.URL+"/api/a%2Fb?q=1", "body")
	for name, value := range map[string]string{"Authorization": "Basic mine", "Cookie": "c=1", "Connection": "X-Mine", "X-Mine": "1", "X-Forwarded-For": "10.0.0.1", "X-Kept": "1"} {
		r.Header.Set(name, value)
	}
	status, header, body := ask(t, r)
	if status != 200 || body != "POST /api/a%2Fb?q=1 body" || header.Get("Set-Cookie")+header.Get("X-Hop") != "" {
		t.Errorf("%d %s %v", status, body, header)
	}
	got := f.seen[0]
	if got.Get("Authorization") != "Bearer secret" || got.Get("Cookie")+got.Get("X-Mine")+got.Get("X-Forwarded-For") != "" || got.Get("X-Kept") != "1" {
		t.Errorf("the server has got %v", got)
	}
	if status, header, _ := ask(t, request(t, "GET", s.URL+"/moved", "")); status != 307 || header.Get("Location") != "/there" {
		t.Errorf("redirect: %d %v", status, header)
	}
}

// TestWebPagesAreRefused: a page of another site in a browser of this machine reaches the
// port, and must not use the credentials.
func TestWebPagesAreRefused(t *testing.T) {
	f := newFar(t)
	s := near(t, f)
	for about, change := range map[string]func(*http.Request){
		"another origin": func(r *http.Request) { r.Header.Set("Origin", "https://example.org") },
		"another site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another name":   func(r *http.Request) { r.Host = "rebound.example.org" },
		"no origin":      func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		r := request(t, "POST", s.URL+"/api/repos", "{}")
		change(r)
		if status, _, body := ask(t, r); status != 403 {
			t.Errorf("%s: %d %s", about, status, body)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("the server was asked: %v", f.calls)
	}
	for _, host := range []string{"localhost:1", "[::1]:1", "127.0.0.1", ""} {
		if !local(host) {
			t.Errorf("%q is refused", host)
		}
	}
}

// TestTasksAreWaitedOut: an answer 202 becomes the result, unless the client wants the
// task.
func TestTasksAreWaitedOut(t *testing.T) {
	f := newFar(t)
	s := near(t, f)
	if status, _, body := ask(t, request(t, "POST", s.URL+"/api/slow", "{}")); status != 201 || body != `{"Name":"made"}` {
		t.Errorf("%d %s", status, body)
	}
	if !strings.Contains(strings.Join(f.calls, " "), "DELETE /api/tasks/7") {
		t.Errorf("the record of the task stays: %v", f.calls)
	}
	if status, _, body := ask(t, request(t, "POST", s.URL+"/api/fails", "{}")); status != 409 || body != `{"error":"it does not work"}` {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := ask(t, request(t, "POST", s.URL+"/api/slow?_async=1", "{}")); status != 202 || !strings.Contains(body, `"ID":7`) {
		t.Errorf("%d %s", status, body)
	}
	f.waits = 0
	if status, _, body := ask(t, request(t, "GET", s.URL+"/api/tasks/7/wait", "")); status != 200 || !strings.Contains(body, `"State":2`) || f.waits != 2 {
		t.Errorf("%d %s after %d waits", status, body, f.waits)
	}
}

// TestLongAnswersAreFollowed without credentials, and the headers of a page stay.
func TestLongAnswersAreFollowed(t *testing.T) {
	s := near(t, newFar(t))
	status, header, body := ask(t, request(t, "GET", s.URL+"/api/long", ""))
	if status != 200 || body != `["long"]` || header.Get("X-Total") != "1" || header.Get("Location") != "" {
		t.Errorf("%d %s %v", status, body, header)
	}
}

// TestUploadsGoToTheStorage, if they are large. The answer is that of the API.
func TestUploadsGoToTheStorage(t *testing.T) {
	f := newFar(t)
	s := near(t, f)
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for name, size := range map[string]int{"small.deb": 100, "large.deb": client.MaxInRequest + 1} {
		w, err := form.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, size))
	}
	form.WriteField("note", "x")
	form.Close()
	r := request(t, "POST", s.URL+"/api/files/d", b.String())
	r.Header.Set("Content-Type", form.FormDataContentType())
	status, _, body := ask(t, r)
	if status != 200 || !strings.Contains(body, `"d/large.deb"`) || !strings.Contains(body, `"d/small.deb"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := ask(t, request(t, "PUT", s.URL+"/api/files/d/put.deb", strings.Repeat("x", client.MaxInRequest+2))); status != 200 || strings.TrimSpace(body) != `["d/put.deb"]` {
		t.Errorf("%d %s", status, body)
	}
	if f.files["small.deb"] != 100 || f.files["large.deb"] != client.MaxInRequest+1 || f.files["put.deb"] != client.MaxInRequest+2 {
		t.Errorf("%v", f.files)
	}
	r = request(t, "POST", s.URL+"/api/files/d", b.String()[:b.Len()/2])
	r.Header.Set("Content-Type", form.FormDataContentType())
	if status, _, body := ask(t, r); status != 400 {
		t.Errorf("a form that is cut: %d %s", status, body)
	}
	if status, _, _ := ask(t, request(t, "POST", s.URL+"/api/other", strings.Repeat("x", maxBody+1))); status != 413 {
		t.Errorf("a long body that is no upload: %d", status)
	}
}

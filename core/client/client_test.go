package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/client"
)

// answers is a server that logs its requests and answers each as its handler says.
type answers struct {
	mu  sync.Mutex
	log []string
}

func serve(t *testing.T, h func(n int, w http.ResponseWriter, r *http.Request)) (*client.Client, *answers) {
	t.Helper()
	a, counts := &answers{}, map[string]int{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		what := r.Method + " " + r.URL.RequestURI()
		a.log = append(a.log, what)
		counts[what]++
		n := counts[what]
		a.mu.Unlock()
		body, _ := io.ReadAll(r.Body) // an answer before the end of a large body would end the connection
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(n, w, r)
	}))
	t.Cleanup(s.Close)
	return &client.Client{URL: s.URL, HTTP: s.Client(), Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}, a
}

func (a *answers) requests() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.log, "\n")
}

// TestOnlySafeRequestsAreSentAgain: a reading and an upload are repeated after an outage;
// a change that may have been executed is not.
func TestOnlySafeRequestsAreSentAgain(t *testing.T) {
	unavailable := func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, `{"Name":"r"}`)
	}
	c, log := serve(t, unavailable)
	if got, err := client.Send(t.Context(), c, client.ShowRepo("r")); err != nil || got.Value.Name != "r" {
		t.Errorf("a reading: %v, %v", got.Value, err)
	}
	if n := len(strings.Split(log.requests(), "\n")); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	c, log = serve(t, unavailable)
	if _, err := client.Send(t.Context(), c, client.EditMirror("m", client.MirrorSettings{})); client.StatusOf(err) != http.StatusServiceUnavailable {
		t.Errorf("a change: %v", err)
	}
	if got := log.requests(); got != "POST /api/mirrors/m" {
		t.Errorf("a change was sent again:\n%s", got)
	}
	c, log = serve(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	if _, err := client.Send(t.Context(), c, client.EditMirror("m", client.MirrorSettings{})); err != nil || len(log.log) != 2 {
		t.Errorf("a change refused with 429 was not executed and is sent again: %v, %d requests", err, len(log.log))
	}
}

// TestUnreachableSaysWhetherTheRequestWasSent: a refused connection has sent nothing, a
// connection that ends during the answer has.
func TestUnreachableSaysWhetherTheRequestWasSent(t *testing.T) {
	c, _ := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	})
	var gone *client.Unreachable
	if _, err := client.Send(t.Context(), c, client.EditMirror("m", client.MirrorSettings{})); !errors.As(err, &gone) || !gone.Sent {
		t.Errorf("a connection that ends: %v", err)
	}
	c.URL = "http://127.0.0.1:1" // nothing listens there
	if _, err := client.Send(t.Context(), c, client.EditMirror("m", client.MirrorSettings{})); !errors.As(err, &gone) || gone.Sent {
		t.Errorf("a refused connection: %v", err)
	}
}

// TestRefusalsHaveTheServersText reads the forms of errors of aptless, aptly and proxies.
func TestRefusalsHaveTheServersText(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":"no"}`:              "no",
		`[{"error":"old","meta":""}]`: "old",
		"<html>big page</html>":       "not found",
		"":                            "not found",
		"plain text\n":                "plain text",
	} {
		c, _ := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, body)
		})
		if _, err := client.Send(t.Context(), c, client.ShowRepo("r")); err == nil || err.Error() != want || client.StatusOf(err) != 404 {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
}

// tasks answers as a server whose task ends at its third look.
func tasks(version, end string) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		path := r.Method + " " + r.URL.Path
		switch {
		case path == "GET /api/version":
			fmt.Fprintf(w, `{"Version":%q}`, version)
		case path == "POST /api/repos":
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"ID":7,"State":0}`)
		case path == "GET /api/tasks/7" && n < 3:
			io.WriteString(w, `{"ID":7,"State":1}`)
		case path == "GET /api/tasks/7":
			io.WriteString(w, end)
		case path == "GET /api/tasks/7/detail":
			io.WriteString(w, `{"N":1}`)
		case path == "GET /api/tasks/7/output":
			io.WriteString(w, `"one\nTask failed with error: too bad"`)
		case path == "GET /api/tasks/7/return_value" && strings.Contains(end, `"State":3`):
			io.WriteString(w, `{"Code":409,"Value":null}`)
		case path == "GET /api/tasks/7/return_value":
			io.WriteString(w, `{"Code":201,"Value":{"Name":"r"}}`)
		default:
			io.WriteString(w, "{}")
		}
	}
}

// TestTasksAreWaitedForAndForgotten: the answer is the result, and no record stays.
func TestTasksAreWaitedForAndForgotten(t *testing.T) {
	c, log := serve(t, tasks("1.6.3+aptless0.1", `{"ID":7,"State":2,"Warnings":["slow"]}`))
	got, err := client.Send(t.Context(), c, client.CreateRepo(client.RepoSettings{Name: "r"}))
	if err != nil || got.Value.Name != "r" || !slices.Equal(got.Warnings, []string{"slow"}) || got.Running {
		t.Errorf("%+v, %v", got, err)
	}
	if all := log.requests(); !strings.HasSuffix(all, "GET /api/tasks/7/return_value\nDELETE /api/tasks/7") {
		t.Errorf("requests:\n%s", all)
	}
}

// TestListingsMayBecomeTasks: a server that has not enough time for a listing answers with
// a task, whose result is the listing.
func TestListingsMayBecomeTasks(t *testing.T) {
	plain := tasks("1.6.3+aptless0.1", `{"ID":7,"State":2}`)
	c, log := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/repos":
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"ID":7,"State":0}`)
		case "/api/tasks/7/return_value":
			io.WriteString(w, `{"Code":200,"Value":[{"Name":"r"}]}`)
		default:
			plain(n, w, r)
		}
	})
	got, err := client.Send(t.Context(), c, client.ListRepos())
	if err != nil || len(got.Value) != 1 || got.Value[0].Name != "r" || got.Running || !strings.Contains(log.requests(), "DELETE /api/tasks/7") {
		t.Errorf("%+v, %v\n%s", got, err, log.requests())
	}
}

// TestFailedTasksAreRefusals: the status is that of the result, and the text that of the
// task. An aptly has the text in its output only.
func TestFailedTasksAreRefusals(t *testing.T) {
	for version, end := range map[string]string{"1.6.3+aptless0.1": `{"ID":7,"State":3,"Error":"too bad"}`, "1.5.0": `{"ID":7,"State":3}`} {
		c, log := serve(t, tasks(version, end))
		_, err := client.Send(t.Context(), c, client.CreateRepo(client.RepoSettings{Name: "r"}))
		var refused *client.Refusal
		if !errors.As(err, &refused) || refused.Status != 409 || refused.Text != "too bad" || refused.Task != 7 {
			t.Errorf("%s: %+v", version, err)
		}
		if !strings.Contains(log.requests(), "DELETE /api/tasks/7") {
			t.Errorf("%s: the record of the failed task stays", version)
		}
	}
}

// TestAnEndedWaitTellsTheTask: the task goes on, and the caller learns its number.
func TestAnEndedWaitTellsTheTask(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := serve(t, tasks("1.6.3+aptless0.1", `{"ID":7,"State":1}`))
	var lines string
	c.Watch = func(p client.Progress) {
		lines += p.Output
		if string(p.Detail) == `{"N":1}` {
			cancel()
		}
	}
	_, err := client.Send(ctx, c, client.CreateRepo(client.RepoSettings{Name: "r"}))
	var waiting *client.ErrWaiting
	if !errors.As(err, &waiting) || waiting.Task != 7 || !errors.Is(err, context.Canceled) || !strings.HasPrefix(lines, "one\n") {
		t.Errorf("%v, output %q", err, lines)
	}
}

func local(content string, opened *int) client.Local {
	sum := sha256.Sum256([]byte(content))
	return client.Local{Name: "a b.deb", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Open: func() (io.ReadCloser, error) {
		*opened++
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// TestUploadsFitTheServer: a raw body for aptless, a form for aptly, a signed address for
// a large file. The token does not go to the signed address.
func TestUploadsFitTheServer(t *testing.T) {
	for _, tc := range []struct{ name, version, content, want string }{
		{"raw", "aptless", "abc", "PUT /api/files/d/a%20b.deb: abc"},
		{"form", "1.5.0", "abc", "POST /api/files/d: a b.deb=abc"},
		{"large without addresses", "aptless", strings.Repeat("x", client.MaxInRequest+1), "PUT /api/files/d/a%20b.deb: " + strings.Repeat("x", client.MaxInRequest+1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got string
			c, _ := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/api/version":
					fmt.Fprintf(w, `{"Version":%q}`, tc.version)
				case r.Header.Get("Content-Type") == "application/json":
					w.WriteHeader(400)
					io.WriteString(w, `{"error":"request Content-Type isn't multipart/form-data"}`)
				case n == 1: // the first attempt breaks off
					w.WriteHeader(http.StatusBadGateway)
				case r.Method == "POST":
					f, head, err := r.FormFile("file")
					if err != nil {
						t.Error(err)
						return
					}
					body, _ := io.ReadAll(f)
					got = "POST " + r.URL.EscapedPath() + ": " + head.Filename + "=" + string(body)
				default:
					body, _ := io.ReadAll(r.Body)
					got = "PUT " + r.URL.EscapedPath() + ": " + string(body)
				}
			})
			opened := 0
			if err := c.Upload(t.Context(), "d", local(tc.content, &opened)); err != nil || got != tc.want || opened != 2 {
				t.Errorf("%v, opened %d times: %.60s", err, opened, got)
			}
		})
	}
}

// TestSlowUploadsAreHalved: a server stores at most 3 files in the time that it has. A
// request with more is not sent again as it is. A server that stores none ends the upload
// after the requests of one file.
func TestSlowUploadsAreHalved(t *testing.T) {
	var mu sync.Mutex
	arrived, most := map[string]int{}, 3
	c, log := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(r.MultipartForm.File["file"]) > most { // the answer of API Gateway
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, `{"message":"Internal Server Error"}`)
			return
		}
		for _, f := range r.MultipartForm.File["file"] {
			arrived[f.Filename]++
		}
	})
	var files []client.Local
	for i := range 10 {
		files = append(files, client.Local{Name: fmt.Sprint("f", i), Size: 1, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }})
	}
	if err := c.UploadAll(t.Context(), "d", files); err != nil || len(arrived) != 10 || arrived["f0"] != 1 {
		t.Errorf("%v: %v", arrived, err)
	}
	if n := strings.Count(log.requests(), "POST"); n != 7 { // 10, 5, 2, 3, 5, 2, 3
		t.Errorf("%d requests", n)
	}
	most = 0
	if err := c.UploadAll(t.Context(), "d", files); client.StatusOf(err) != 500 || !strings.Contains(err.Error(), "gateway of the server: Internal Server Error") {
		t.Errorf("a server that stores nothing: %v", err)
	}
	if n := strings.Count(log.requests(), "POST"); n != 7+3+5 { // 10, 5, 2, and 1 five times
		t.Errorf("%d requests", n)
	}
}

// TestSmallFilesGoTogether: one form has all of them, also at its second attempt.
func TestSmallFilesGoTogether(t *testing.T) {
	var got []string
	c, log := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			t.Error(err)
			return
		}
		for _, h := range r.MultipartForm.File["file"] {
			f, _ := h.Open()
			body, _ := io.ReadAll(f)
			got = append(got, h.Filename+"="+string(body))
		}
	})
	opened := 0
	one, two := local("abc", &opened), local("", &opened)
	two.Name = "empty"
	if err := c.UploadAll(t.Context(), "d", []client.Local{one, two}); err != nil || !slices.Equal(got, []string{"a b.deb=abc", "empty="}) {
		t.Errorf("%v, %q\n%s", err, got, log.requests())
	}
}

func TestSignedUploadsHaveNoToken(t *testing.T) {
	var log []string
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		log = append(log, fmt.Sprintf("%s %d %s", r.Method, n, r.Header.Get("Authorization")))
		w.WriteHeader(http.StatusPreconditionFailed) // an equal file is there
	}))
	defer store.Close()
	c, requests := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/version" {
			io.WriteString(w, `{"Version":"aptless"}`)
			return
		}
		fmt.Fprintf(w, `[{"Method":"PUT","URL":%q}]`, store.URL+"/x?secret=1")
	})
	c.Authorize = func(r *http.Request) error {
		r.Header.Set("Authorization", "Bearer t")
		return nil
	}
	var traced []string
	c.Trace = func(method, path string, status int, _ time.Duration, _ error) {
		traced = append(traced, fmt.Sprint(method, " ", path, " ", status))
	}
	opened := 0
	content := strings.Repeat("x", client.MaxInRequest+1)
	if err := c.Upload(t.Context(), "d", local(content, &opened)); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("[PUT %d ]", len(content)); fmt.Sprint(log) != want {
		t.Errorf("the storage saw %v, want %s", log, want)
	}
	if !strings.HasSuffix(requests.requests(), "POST /api/files/d?confirm=1") || strings.Contains(fmt.Sprint(traced), "secret") {
		t.Errorf("requests:\n%s\ntrace: %v", requests.requests(), traced)
	}
}

// TestPlacesAreEscapedAsInAptly: names with slashes, underscores and spaces.
func TestPlacesAreEscapedAsInAptly(t *testing.T) {
	for place, want := range map[client.Place]string{
		{Prefix: "", Distribution: "stable"}:             "/api/publish/:./stable",
		{Prefix: ".", Distribution: "a/b_c"}:             "/api/publish/:./a_b__c",
		{Prefix: "team/x_y", Distribution: "s t"}:        "/api/publish/team_x__y/s%20t",
		{Prefix: "s3:eu:", Distribution: "x"}:            "/api/publish/s3:eu:./x",
		{Prefix: "filesystem:www:/a", Distribution: "."}: "/api/publish/filesystem:www:_a/:.",
	} {
		if got := client.ShowPublication(place).Path; got != want {
			t.Errorf("%+v: %s, want %s", place, got, want)
		}
	}
	if got := client.Copy("a", "b", "x (>= 1), y/z", false, false).Path; got != "/api/repos/a/copy/b/x%20%28%3E=%201%29%2C%20y%2Fz" {
		t.Errorf("a query in a path: %s", got)
	}
}

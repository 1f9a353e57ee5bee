package lambda

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// call sends an event to a handler.
func call(t interface{ Fatal(...any) }, event events.APIGatewayV2HTTPRequest, h http.HandlerFunc) events.APIGatewayV2HTTPResponse {
	out, err := API(h, nil)(context.Background(), event)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func event(method, path, body string) events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{
		RawPath: path, Body: body, Headers: map[string]string{},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: path, SourceIP: "192.0.2.7"},
		},
	}
}

func TestRequest(t *testing.T) {
	e := event("POST", "/api/repos/a%2Fb", base64.StdEncoding.EncodeToString([]byte("\xff\x00body")))
	e.IsBase64Encoded, e.RawQueryString = true, "q=a%20b&_async=1"
	e.Headers = map[string]string{"host": "repo.example.org", "content-type": "text/plain", "x-two": "a,b"}
	e.Cookies = []string{"a=1", "b=2"}
	seen := false
	call(t, e, func(_ http.ResponseWriter, r *http.Request) {
		seen = true
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "\xff\x00body" || r.ContentLength != 6 {
			t.Errorf("body %q of %d bytes, %v", body, r.ContentLength, err)
		}
		got := []string{r.Method, r.URL.EscapedPath(), r.URL.Path, r.URL.Query().Get("q"), r.Host, r.RemoteAddr, r.RequestURI,
			r.Header.Get("Content-Type"), r.Header.Get("X-Two")}
		want := []string{"POST", "/api/repos/a%2Fb", "/api/repos/a/b", "a b", "repo.example.org", "192.0.2.7:0",
			"/api/repos/a%2Fb?q=a%20b&_async=1", "text/plain", "a,b"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if c, err := r.Cookie("b"); err != nil || c.Value != "2" {
			t.Errorf("cookie %v, %v", c, err)
		}
	})
	if !seen {
		t.Error("the handler was not called")
	}
}

// TestPaths holds that escaped and unescaped paths of events are understood.
func TestPaths(t *testing.T) {
	for raw, want := range map[string]string{
		"/api/files/a b":   "/api/files/a%20b",
		"/api/files/a%20b": "/api/files/a%20b",
		"/api/100%":        "/api/100%25",
		"/api/g++_1.0":     "/api/g++_1.0",
		"/api/ü":           "/api/%C3%BC",
		"//api":            "//api",
	} {
		call(t, event("GET", raw, ""), func(_ http.ResponseWriter, r *http.Request) {
			if got := r.URL.EscapedPath(); got != want {
				t.Errorf("%q became %q, want %q", raw, got, want)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	out := call(t, event("GET", "/", ""), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Too", "late")
		io.WriteString(w, "short and stout")
	})
	want := events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusTeapot, Headers: map[string]string{"Content-Type": "text/plain"},
		Body: "short and stout", Cookies: []string{"a=1", "b=2"},
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

// TestBodies holds that every body arrives unchanged.
func TestBodies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		out := call(t, event("GET", "/", ""), func(w http.ResponseWriter, _ *http.Request) { w.Write(body) })
		got := []byte(out.Body)
		if out.IsBase64Encoded {
			var err error
			if got, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, body) {
			t.Fatalf("%q became %q", body, got)
		}
		// A body without base64 passes through JSON.
		data, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		var back events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(data, &back); err != nil || back.Body != out.Body {
			t.Fatalf("%q became %q, %v", out.Body, back.Body, err)
		}
	})
}

func TestLargeBodies(t *testing.T) {
	refusal := func(out events.APIGatewayV2HTTPResponse) string {
		var e map[string]string
		if err := json.Unmarshal([]byte(out.Body), &e); err != nil {
			t.Errorf("%.100q is not in the form of the API: %v", out.Body, err)
		}
		return e["error"]
	}
	called := false
	handler := func(http.ResponseWriter, *http.Request) { called = true }
	out := call(t, event("POST", "/api/files/d", strings.Repeat("x", MaxBody+1)), handler)
	if text := refusal(out); out.StatusCode != 413 || called || !strings.Contains(text, "POST /api/files/{dir}") {
		t.Errorf("%d %q, handler called: %v", out.StatusCode, text, called)
	}
	if out := call(t, event("POST", "/api/files/d", strings.Repeat("x", MaxBody)), handler); out.StatusCode != 200 || !called {
		t.Errorf("a body that fits is answered with %d", out.StatusCode)
	}
	for name, body := range map[string]string{"long": strings.Repeat("x", maxAnswer), "escaped": strings.Repeat("\x01", maxAnswer/5), "binary": strings.Repeat("\xff", maxAnswer*4/5)} {
		out := call(t, event("GET", "/", ""), func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		if text := refusal(out); out.StatusCode != 500 || !strings.Contains(text, "larger") {
			t.Errorf("%s: %d %q", name, out.StatusCode, text)
		}
	}
	e := event("POST", "/", "%%%")
	e.IsBase64Encoded = true
	if out := call(t, e, handler); out.StatusCode != 400 {
		t.Errorf("a damaged body is answered with %d", out.StatusCode)
	}
}

// TestEarly holds that a request ends before the function's deadline.
func TestEarly(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	limit, _ := ctx.Deadline()
	_, err := API(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if deadline, ok := r.Context().Deadline(); !ok || !deadline.Equal(limit.Add(-margin)) {
			t.Errorf("the request ends at %v, the function at %v", deadline, limit)
		}
	}), nil)(ctx, event("GET", "/", ""))
	if err != nil {
		t.Error(err)
	}
}

// FuzzRequest holds that the adapter handles any event.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/api/version", "q=1", "host", "example.org", "", false)
	f.Add("POST", "/api/%zz", "%", "", "\r\n", "!", true)
	f.Add("", "", "", "a b", "", "", false)
	f.Fuzz(func(t *testing.T, method, path, query, name, value, body string, b64 bool) {
		e := event(method, path, body)
		e.RawQueryString, e.IsBase64Encoded, e.Headers = query, b64, map[string]string{name: value}
		out := call(t, e, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(w, r.Body); err != nil {
				t.Error(err)
			}
			_ = r.URL.EscapedPath()
		})
		if out.StatusCode != 200 && out.StatusCode != 400 {
			t.Errorf("status %d", out.StatusCode)
		}
	})
}

// TestLargeAnswerIsCompressed: a listing of 7 MB does not fit into an event as it is.
func TestLargeAnswerIsCompressed(t *testing.T) {
	listing := []byte("[" + strings.Repeat(`"Pamd64 hello 1 0123456789abcdef",`, 220_000) + `""]`)
	h := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Write(listing)
	}
	for accepts, want := range map[string]int{"gzip": 200, "deflate, GZIP;q=0.5": 200, "": 500, "gzip;q=0": 500, "gzip; q=0.0": 500, "br": 500} {
		e := event("GET", "/api/packages", "")
		e.Headers["accept-encoding"] = accepts
		answer := call(t, e, h)
		if answer.StatusCode != want {
			t.Errorf("%q: %d %.100s", accepts, answer.StatusCode, answer.Body)
		}
		if want != 200 {
			continue
		}
		data, err := base64.StdEncoding.DecodeString(answer.Body)
		if err != nil || !answer.IsBase64Encoded || answer.Headers["Content-Encoding"] != "gzip" || answer.Headers["Vary"] != "Accept-Encoding" {
			t.Fatalf("%q: %v, %v", accepts, answer.Headers, err)
		}
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, listing) {
			t.Errorf("%q: %d bytes, %v", accepts, len(got), err)
		}
	}
	e := event("GET", "/api/version", "")
	e.Headers["accept-encoding"] = "gzip"
	if answer := call(t, e, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }); answer.Headers["Content-Encoding"] != "" || answer.Body != "{}" {
		t.Errorf("a small answer: %+v", answer)
	}
}

// TestAnswerThatIsBrokenOff: the process goes on, and the client sees no part of it.
func TestAnswerThatIsBrokenOff(t *testing.T) {
	answer := call(t, event("GET", "/api/packages", ""), func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `["first",`)
		panic(http.ErrAbortHandler)
	})
	if answer.StatusCode != 500 || answer.Body != `{"error":"the answer could not be read to its end"}` {
		t.Errorf("%+v", answer)
	}
}

// stored is a store for long answers.
type stored struct {
	data           []byte
	kind, encoding string
	err            error
}

func (s *stored) PutAnswer(_ context.Context, r io.Reader, kind, encoding string) (string, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	s.data, s.kind, s.encoding = data, kind, encoding
	return "https://store.example.org/answer?signature=x", s.err
}

// TestLongAnswerIsInTheStore: the client is sent to an answer of any size. An answer that
// breaks off, and one whose store fails, is an error.
func TestLongAnswerIsInTheStore(t *testing.T) {
	write := func(size int, end func()) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("X-Total", "7")
			for written := 0; written < size; written += 1 << 20 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), min(1<<20, size-written))); err != nil {
					return
				}
			}
			end()
		}
	}
	for _, c := range []struct {
		size, status int
		end          func()
		err          error
	}{
		{maxAnswer - 2, 200, func() {}, nil}, {maxAnswer + 1, 303, func() {}, nil}, {maxHeld, 303, func() {}, nil}, {maxHeld + 1, 303, func() {}, nil}, {5 * maxHeld, 303, func() {}, nil},
		{5 * maxHeld, 500, func() { panic(http.ErrAbortHandler) }, nil}, {maxAnswer + 1, 500, func() { panic(http.ErrAbortHandler) }, nil},
		{5 * maxHeld, 500, func() {}, io.ErrUnexpectedEOF}, {maxAnswer + 1, 500, func() {}, io.ErrUnexpectedEOF},
	} {
		s := &stored{err: c.err}
		out, err := API(write(c.size, c.end), func(context.Context) (Answers, error) { return s, nil })(t.Context(), event("GET", "/api/packages", ""))
		if err != nil || out.StatusCode != c.status {
			t.Errorf("%d bytes: %d, %v", c.size, out.StatusCode, err)
		}
		if c.status == 303 && (len(s.data) != c.size || s.kind == "" || out.Headers["Location"] != "https://store.example.org/answer?signature=x" || out.Headers["X-Total"] != "7") {
			t.Errorf("%d bytes: stored %d of type %q; %v", c.size, len(s.data), s.kind, out.Headers)
		}
	}
}

// TestLongRefusalIsNotInTheStore: only a good answer is.
func TestLongRefusalIsNotInTheStore(t *testing.T) {
	s := &stored{}
	out, err := API(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, strings.Repeat("x", maxHeld+1))
	}), func(context.Context) (Answers, error) { return s, nil })(t.Context(), event("GET", "/", ""))
	if err != nil || out.StatusCode != 500 || s.data != nil {
		t.Errorf("%d, %d bytes stored, %v", out.StatusCode, len(s.data), err)
	}
}

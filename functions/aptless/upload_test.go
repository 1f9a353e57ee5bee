package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeServer accepts files as forms. If direct is set, it also accepts them at signed URLs.
type fakeServer struct {
	*httptest.Server
	direct bool
	had    bool              // the storage has the file already
	forms  map[string][]byte // files by directory and name
	put    []byte
	calls  []string
}

func newFakeServer(t *testing.T, direct bool) *fakeServer {
	s := &fakeServer{direct: direct, forms: map[string][]byte{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls = append(s.calls, r.Method+" "+r.URL.RequestURI())
		signed := r.Method == http.MethodPut
		if (r.Header.Get("Authorization") == "Bearer t0ken") == signed {
			t.Errorf("%s %s with the authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case signed && (r.Header.Get("X-Check") != "1" || r.ContentLength != int64(len(body))):
			w.WriteHeader(http.StatusForbidden)
		case signed && s.had:
			w.WriteHeader(http.StatusPreconditionFailed)
		case signed:
			s.put = body
		case r.Header.Get("Content-Type") != "application/json":
			f, h, err := r.FormFile("file")
			if err != nil {
				t.Error(err)
				return
			}
			s.forms[r.URL.Path+"/"+h.Filename], _ = io.ReadAll(f)
			io.WriteString(w, "[]")
		case !s.direct:
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"request Content-Type isn't multipart/form-data"}`)
		case r.URL.Query().Get("confirm") == "":
			json.NewEncoder(w).Encode([]map[string]any{{"name": "f", "method": "PUT", "url": s.URL + "/store?secret=s", "headers": map[string]string{"X-Check": "1"}}})
		default:
			if want := fmt.Sprintf("%x", sha256.Sum256(s.put)); !s.had && !strings.Contains(string(body), want) {
				t.Errorf("confirmed %s, put %s", body, want)
			}
			io.WriteString(w, "[]")
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestUpload(t *testing.T) {
	t.Setenv("APTLESS_TOKEN", "t0ken")
	small, large := bytes.Repeat([]byte("s"), 100), bytes.Repeat([]byte("large"), maxInRequest/5+1)
	dir := t.TempDir()
	for name, data := range map[string][]byte{"small.deb": small, "large.deb": large} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	upload := func(s *fakeServer, files ...string) error {
		cmd := uploadCommand()
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		for i := range files {
			files[i] = filepath.Join(dir, files[i])
		}
		cmd.SetArgs(append([]string{"--url", s.URL + "/", "a:b"}, files...))
		return cmd.ExecuteContext(t.Context())
	}
	const at = "POST /api/files/a:b"
	for name, c := range map[string]struct {
		direct, had bool
		calls       []string
	}{
		"direct":        {direct: true, calls: []string{at, at, "PUT /store?secret=s", at + "?confirm=1"}},
		"again":         {direct: true, had: true, calls: []string{at, at, "PUT /store?secret=s", at + "?confirm=1"}},
		"by forms only": {calls: []string{at, at, at}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFakeServer(t, c.direct)
			s.had = c.had
			if err := upload(s, "small.deb", "large.deb"); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(s.calls, c.calls) {
				t.Errorf("calls %q", s.calls)
			}
			if !bytes.Equal(s.forms["/api/files/a:b/small.deb"], small) {
				t.Error("the small file did not arrive")
			}
			if got := s.forms["/api/files/a:b/large.deb"]; c.direct == bytes.Equal(got, large) {
				t.Errorf("%d bytes of the large file came by a form", len(got))
			}
			if c.direct && !c.had && !bytes.Equal(s.put, large) {
				t.Error("the large file did not arrive")
			}
		})
	}
	s := newFakeServer(t, true)
	if err := upload(s, "missing.deb"); err == nil {
		t.Error("a file that is not there is uploaded")
	}
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			panic(http.ErrAbortHandler)
		}
		json.NewEncoder(w).Encode([]map[string]any{{"method": "PUT", "url": s.URL + "/store?secret=s"}})
	})
	if err := upload(s, "large.deb"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a store that breaks off: %v", err)
	}
}

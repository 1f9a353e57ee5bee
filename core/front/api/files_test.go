package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"aptless/core/archive/upload"
	"aptless/core/engine/driver/drivertest"
)

func filesServer() *Router {
	m := drivertest.NewMemory(time.Now)
	s := &Server{Uploads: &upload.Store{Table: m.Table, Blobs: m.Blobs}}
	rt := &Router{Log: slog.New(slog.DiscardHandler)}
	s.fileRoutes(rt)
	return rt
}

func TestFileThatIsTooLargeIsRefused(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := &Server{Uploads: &upload.Store{Table: m.Table, Blobs: m.Blobs, MaxSize: 10}}
	rt := &Router{Log: slog.New(slog.DiscardHandler)}
	s.fileRoutes(rt)
	form := "--b\r\nContent-Disposition: form-data; name=f; filename=x.deb\r\n\r\n%s\r\n--b--\r\n"
	for n, code := range map[int]int{10: 200, 11: 413} {
		data := strings.Repeat("x", n)
		chunked := httptest.NewRequest("PUT", "/api/files/d/x.deb", io.MultiReader(strings.NewReader(data)))
		post := httptest.NewRequest("POST", "/api/files/d", strings.NewReader(fmt.Sprintf(form, data)))
		post.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		for _, r := range []*http.Request{httptest.NewRequest("PUT", "/api/files/d/x.deb", strings.NewReader(data)), chunked, post} {
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, r)
			if w.Code != code || code == 413 && !strings.Contains(w.Body.String(), "x.deb: more than 10 bytes") {
				t.Errorf("%s of %d bytes: %d %s, want %d", r.Method, n, w.Code, w.Body, code)
			}
		}
		if code == 413 && len(m.Objects("")) > 1 {
			t.Errorf("objects are left: %d", len(m.Objects("")))
		}
	}
}

func TestUploadNamesAreCleaned(t *testing.T) {
	for _, tc := range []struct{ raw, dir, file string }{ // "!" stands for a refusal
		{"d", "d", "d"},
		{"a..b", "ab", "ab"},
		{"do$lar`", "dolar", "dolar"},
		{"a/b", "a/b", "a/b"},
		{"a//b/", "a/b", "a/b"},
		{"./x", "x", "x"},
		{"a/../b", "a/b", "a/b"},
		{".hidden", ".hidden", ".hidden"},
		{"a b+~:ü", "a b+~:ü", "a b+~:ü"},
		{"/abs", "!", "abs"},
		{"", "!", ""},
		{".", "!", "!"},
		{"..", "!", ""},
		{"../x", "!", "x"},
		{".$.", "!", "!"},
		{".`.", "!", "!"},
		{"a/.$./b", "b", "b"},
		{"$", "!", ""},
		{"/", "!", ""},
		{"a\n", "!", "!"},
		{"\xff", "!", "!"},
		{strings.Repeat("x", 501), "!", "!"},
	} {
		dir, err := CleanDir(tc.raw)
		if err != nil {
			dir = "!"
		}
		file, err := CleanFile(tc.raw)
		if err != nil {
			file = "!"
		}
		if dir != tc.dir || file != tc.file {
			t.Errorf("%.20q: directory %q, file %q; want %q, %q", tc.raw, dir, file, tc.dir, tc.file)
		}
	}
}

// FuzzNames holds that no name leads out of the upload area.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"a/../b", ".$./x", "`..`", "//", "a\\..\\b", "..$.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, clean := range []func(string) (string, error){CleanDir, CleanFile} {
			name, err := clean(raw)
			if err != nil || name == "" {
				continue
			}
			if !strings.HasPrefix(path.Join("/root", name), "/root/") || path.Clean(name) != name || slices.Contains(strings.Split(name, "/"), "..") {
				t.Errorf("%q becomes %q", raw, name)
			}
		}
		if base := baseName(raw); strings.ContainsAny(strings.TrimPrefix(base, "/"), `/\`) {
			t.Errorf("%q has the base name %q", raw, base)
		}
	})
}

// TestBrokenUpload holds that a file is not stored if its client disconnects.
func TestBrokenUpload(t *testing.T) {
	rt := filesServer()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	w, _ := form.CreateFormFile("a", "whole")
	w.Write([]byte("x"))
	w, _ = form.CreateFormFile("b", "broken")
	w.Write(make([]byte, 100_000))
	for _, tc := range []struct{ method, path, contentType string }{
		{"POST", "/api/files/d", form.FormDataContentType()}, {"PUT", "/api/files/d/broken", ""},
	} {
		r := httptest.NewRequest(tc.method, tc.path, iotest.TimeoutReader(bytes.NewReader(b.Bytes())))
		r.Header.Set("Content-Type", tc.contentType)
		answer := httptest.NewRecorder()
		rt.ServeHTTP(answer, r)
		if answer.Code != 400 {
			t.Errorf("%s: %d %s ", tc.method, answer.Code, answer.Body)
		}
	}
	if w := ask(rt, "GET", "/api/files/d"); strings.Contains(w.Body.String(), "broken") {
		t.Errorf("files %s", w.Body)
	}
}

// FuzzUpload holds that every file in the answer is stored, and that no form causes
// a status of 500 or more.
func FuzzUpload(f *testing.F) {
	part := func(header, value string) string { return "--x\r\n" + header + "\r\n\r\n" + value + "\r\n" }
	file := func(name string) string {
		return fmt.Sprintf("Content-Disposition: form-data; name=\"f\"; filename=%q", name)
	}
	f.Add("d", []byte(part(file("a.deb"), "x")+part(file("b/../c.deb"), "y")+"--x--"))
	f.Add("a/b", []byte(part(file(".."), "x")+"--x--"))
	f.Add("d", []byte(part("Content-Disposition: form-data; name=\"f\"", "x")+part(file(`C:\a\b.deb`), "")+"--x--"))
	f.Add("d", []byte(part("Content-Disposition: form-data; filename*=UTF-8''%2e%2e%2fa", "x")+part(file("a"), "cut")))
	f.Add("..", []byte("--x--"))
	f.Fuzz(func(t *testing.T, dir string, body []byte) {
		rt := filesServer()
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.URL.Path, r.URL.RawPath = "/api/files/"+dir, "/api/files/"+url.PathEscape(dir)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code != 200 {
			return
		}
		var stored, files []string
		if err := json.Unmarshal(w.Body.Bytes(), &stored); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(ask(rt, "GET", "/api/files/"+url.PathEscape(dir)).Body.Bytes(), &files); err != nil {
			t.Fatal(err)
		}
		for _, name := range stored {
			if !slices.Contains(files, path.Base(name)) {
				t.Errorf("%q is not among %q", name, files)
			}
		}
	})
}

// TestTransferEncodings holds that parts are stored without their transfer encoding.
// An unknown encoding is refused.
func TestTransferEncodings(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := &Server{Uploads: &upload.Store{Table: m.Table, Blobs: m.Blobs}}
	rt := &Router{Log: slog.New(slog.DiscardHandler)}
	s.fileRoutes(rt)
	stored := func(name string) string {
		file, err := s.Uploads.Find(t.Context(), "d", name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := s.Uploads.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		data, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	send := func(name, encoding, body string) (int, string) {
		form := "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"" + name + "\"\r\n"
		if encoding != "" {
			form += "Content-Transfer-Encoding: " + encoding + "\r\n"
		}
		r := httptest.NewRequest("POST", "/api/files/d", strings.NewReader(form+"\r\n"+body+"\r\n--x--\r\n"))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	const content = "a=3D\r\n\x00\xff long enough for a second line"
	folded := base64.StdEncoding.EncodeToString([]byte(content))
	folded = folded[:20] + "\r\n" + folded[20:]
	for i, tc := range []struct{ encoding, body string }{
		{"", content}, {"binary", content}, {"8BIT", content}, {" base64 ", folded}, {"BASE64", folded},
		{"quoted-printable", "a=3D3D\r\n=00=FF long=\r\n enough for a second line"},
	} {
		name := fmt.Sprint("f", i)
		if code, body := send(name, tc.encoding, tc.body); code != 200 {
			t.Errorf("%s: %d %s", tc.encoding, code, body)
		}
		if got := stored(name); got != content {
			t.Errorf("%s: stored %q", tc.encoding, got)
		}
	}
	for encoding, body := range map[string]string{"x-uuencode": content, "base64": "no base64!", "gzip": content, "quoted-printable": "=zz\x00"} {
		if code, answer := send("refused", encoding, body); code != 400 {
			t.Errorf("%s: %d %s", encoding, code, answer)
		}
	}
	if w := ask(rt, "GET", "/api/files/d"); strings.Contains(w.Body.String(), "refused") {
		t.Errorf("files %s", w.Body)
	}
}

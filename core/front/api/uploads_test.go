package api_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// TestUploadsAreListedAndRemoved walks through the upload area.
func TestUploadsAreListedAndRemoved(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		put := func(path, body string, status int, answer string) {
			t.Helper()
			if code, got := s.Send(t, "PUT", path, "application/octet-stream", []byte(body)); code != status || got != answer {
				t.Errorf("PUT %s: %d %s, want %d %s", path, code, got, status, answer)
			}
		}
		upload := func(dir string, files map[string][]byte, answer string) {
			t.Helper()
			if code, got := s.Form(t, dir, files); code != 200 || got != answer {
				t.Errorf("POST %s: %d %s, want %s", dir, code, got, answer)
			}
		}
		list := func(path, answer string) {
			t.Helper()
			s.Want(t, "GET", "/api/files"+path, "", 200, answer)
		}
		list("", "[]")
		s.Refused(t, "GET", "/api/files/d", "", 404, "lstat /aptless/upload/d: no such file or directory")
		upload("d", map[string][]byte{"x.dsc": []byte("x")}, `["d/x.dsc"]`)
		upload("d", map[string][]byte{"y.deb": []byte("y"), "x.dsc": []byte("other")}, `["d/x.dsc","d/y.deb"]`)
		upload("e", nil, `[]`)
		list("", `["d","e"]`)
		list("/d", `["x.dsc","y.deb"]`)
		list("/e", "[]")
		put("/api/files/d/z", "", 200, `["d/z"]`)
		put("/api/files/new/a%20b.deb", "b", 200, `["new/a b.deb"]`)
		list("/new", `["a b.deb"]`)
		for _, path := range []string{"/none", "/none/x", "/d/none"} {
			s.Want(t, "DELETE", "/api/files"+path, "", 200, "{}")
		}
		list("/d", `["x.dsc","y.deb","z"]`)
		s.Want(t, "DELETE", "/api/files/new/a%20b.deb", "", 200, "{}")
		list("/new", "[]")
		list("", `["d","e","new"]`)
		s.Want(t, "DELETE", "/api/files/d", "", 200, "{}")
		s.Refused(t, "GET", "/api/files/d", "", 404, "lstat /aptless/upload/d: no such file or directory")
		list("", `["e","new"]`)
	})
}

// TestUploadNames holds the stored names of directories and files.
func TestUploadNames(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for _, tc := range []struct{ dir, answer, stored string }{
			{"a..b", "a..b/f", "ab"}, {"do%24lar", "do$lar/f", "dolar"}, {"tick%60", "tick`/f", "tick"}, {".hidden", ".hidden/f", ".hidden"},
			{"a%20b", "a b/f", "a b"}, {"%C3%BC", "ü/f", "ü"}, {"a+b", "a+b/f", "a+b"}, {"x%2F..%2Fy", "y/f", "x"}, {"n%2Fm", "n/m/f", "n"},
		} {
			if code, got := s.Form(t, tc.dir, map[string][]byte{"f": []byte("f")}); code != 200 || got != fmt.Sprintf("[%q]", tc.answer) {
				t.Errorf("%s: %d %s", tc.dir, code, got)
			}
			var dirs []string
			s.Must(t, "GET", "/api/files", "", &dirs)
			if fmt.Sprint(dirs) != "["+tc.stored+"]" {
				t.Errorf("%s is stored as %q", tc.dir, dirs)
			}
			s.Must(t, "DELETE", "/api/files/"+url.PathEscape(tc.stored), "", nil)
		}
		for _, dir := range []string{"%2e", "%2e%2e", "..%2Fx", "%24", "%2F", ".%60."} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				s.Refused(t, method, "/api/files/"+dir, "", 400, "wrong dir")
			}
		}
		s.Want(t, "GET", "/api/files", "", 200, "[]")
	})
}

// TestNestedDirectories covers upload directories inside other ones.
func TestNestedDirectories(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for _, dir := range []string{"a", "a%2Fb", "a%2Fb%2Fc"} {
			if code, got := s.Form(t, dir, map[string][]byte{"f-" + dir[len(dir)-1:]: []byte("f")}); code != 200 {
				t.Fatalf("%s: %d %s", dir, code, got)
			}
		}
		s.Want(t, "GET", "/api/files", "", 200, `["a"]`)
		s.Want(t, "GET", "/api/files/a", "", 200, `["b","c","f-c","f-b","f-a"]`)
		s.Want(t, "GET", "/api/files/a%2Fb", "", 200, `["c","f-c","f-b"]`)
		s.Refused(t, "DELETE", "/api/files/a/b", "", 500, "remove /aptless/upload/a/b: directory not empty")
		s.Want(t, "DELETE", "/api/files/a/b%2Fc%2Ff-c", "", 200, "{}")
		s.Want(t, "GET", "/api/files/a", "", 200, `["b","c","f-b","f-a"]`)
		s.Want(t, "DELETE", "/api/files/a/b%2Fc", "", 200, "{}")
		s.Want(t, "GET", "/api/files/a", "", 200, `["b","f-b","f-a"]`)
		for _, name := range []string{"b%2Fin", "none%2Fin"} {
			code, got := s.Send(t, "PUT", "/api/files/a/"+name, "", []byte("x"))
			if want := `{"error":"open /aptless/upload/a/none/in: no such file or directory"}`; name == "b%2Fin" && got != `["a/b/in"]` || name != "b%2Fin" && (code != 500 || got != want) {
				t.Errorf("PUT of %s: %d %s", name, code, got)
			}
		}
		s.Want(t, "GET", "/api/files/a%2Fb", "", 200, `["f-b","in"]`)
		s.Want(t, "DELETE", "/api/files/a%2Fb", "", 200, "{}")
		s.Want(t, "GET", "/api/files/a", "", 200, `["f-a"]`)
		for _, dir := range []string{"p%2Fq", "p%2Fq.x"} {
			if code, got := s.Form(t, dir, map[string][]byte{"f": nil}); code != 200 {
				t.Fatalf("%s: %d %s", dir, code, got)
			}
		}
		s.Want(t, "GET", "/api/files/p", "", 200, `["q","f","q.x","f"]`)
		s.Want(t, "DELETE", "/api/files/p%2Fq", "", 200, "{}")
		s.Want(t, "DELETE", "/api/files/p%2Fq.x", "", 200, "{}")
		s.Want(t, "GET", "/api/files/p", "", 200, `[]`)
	})
}

// TestUploadForms holds which parts of a form are stored.
func TestUploadForms(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		form := func(build func(*multipart.Writer)) (int, string) {
			t.Helper()
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			build(w)
			w.Close()
			return s.Send(t, "POST", "/api/files/d", w.FormDataContentType(), b.Bytes())
		}
		file := func(w *multipart.Writer, field, name string) {
			h := textproto.MIMEHeader{}
			h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, field, name))
			part, err := w.CreatePart(h)
			if err != nil {
				t.Fatal(err)
			}
			part.Write([]byte(name))
		}
		if code, got := form(func(w *multipart.Writer) {
			w.WriteField("comment", "not a file")
			file(w, "file", "one.deb")
			file(w, "other", "two.deb")
			file(w, "file", "../../etc/three.deb")
		}); code != 200 || got != `["d/one.deb","d/two.deb","d/three.deb"]` {
			t.Errorf("%d %s", code, got)
		}
		s.Want(t, "GET", "/api/files/d", "", 200, `["one.deb","three.deb","two.deb"]`)
		if code, got := form(func(w *multipart.Writer) {
			for range 1001 {
				w.WriteField("x", "")
			}
		}); code != 400 || got != `{"error":"multipart: message too large"}` {
			t.Errorf("too many parts: %d %s", code, got)
		}
		if code, got := form(func(w *multipart.Writer) { w.WriteField("x", strings.Repeat("x", 21<<20)) }); code != 400 || got != `{"error":"multipart: message too large"}` {
			t.Errorf("a value too large: %d %s", code, got)
		}
		if code, _ := s.Send(t, "POST", "/api/files/broken", "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\nda")); code != 400 {
			t.Errorf("a form that is cut off: %d", code)
		}
		s.Want(t, "GET", "/api/files/broken", "", 200, "[]") // the directory exists without the file
	})
}

// TestUploadNamesLeadNowhereElse holds that no name leads out of the upload area,
// and that a refused name deletes nothing.
func TestUploadNamesLeadNowhereElse(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		if code, got := s.Form(t, "dir", map[string][]byte{"f": []byte("f")}); code != 200 {
			t.Fatalf("%d %s", code, got)
		}
		for _, path := range []string{"/api/files/.", "/api/files", "/api/files/", "/api/files/../.", "/api/files/./..", "/api/files/dir/..",
			"/api/files/dir/.", "/api/files/dir/%2e%2e", "/api/files/%2e%2e%2fdir", "/api/files/dir/%24..%24"} {
			r := httptest.NewRequestWithContext(t.Context(), "DELETE", "/", nil)
			decoded, err := url.PathUnescape(path)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Path, r.URL.RawPath = decoded, path // as sent by a client that does not resolve dots
			w := httptest.NewRecorder()
			s.Handler.ServeHTTP(w, r)
			if w.Code != 400 && w.Code != 404 {
				t.Errorf("DELETE %s: %d %s", path, w.Code, w.Body)
			}
		}
		s.Want(t, "GET", "/api/files", "", 200, `["dir"]`)
		s.Want(t, "GET", "/api/files/dir", "", 200, `["f"]`)
	})
}

// TestPutAndImport holds that files sent by PUT are imported like files of a form.
func TestPutAndImport(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
		spec := debtest.SourceSpec{Source: "src", Version: "1.0-1"}
		for name, data := range debtest.Source(spec) {
			if code, got := s.Send(t, "PUT", "/api/files/d/"+name, "", data); code != 200 || got != fmt.Sprintf(`["d/%s"]`, name) {
				t.Errorf("PUT %s: %d %s", name, code, got)
			}
		}
		state, output := s.Task(t, "POST", "/api/repos/r/file/d", "")
		if state != 2 || output != "Added: src_1.0-1_source added\nTask succeeded" {
			t.Errorf("state %d, %q", state, output)
		}
		s.Want(t, "GET", "/api/files", "", 200, "[]")
	})
}

package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestRefusals holds that bad requests get the answers that clients of aptly know,
// and change nothing.
func TestRefusals(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
		t.Fatal(err)
	}
	if err := p.Upload("d", map[string][]byte{"a_1_all.deb": apptest.Deb("aa", "1", "all")}); err != nil {
		t.Fatal(err)
	}
	rows, objects := env.Memory.Rows(""), env.Memory.Objects("")
	const js = "application/json"
	required := func(s, f string) string {
		return fmt.Sprintf(`{"error":"Key: '%s.%s' Error:Field validation for '%[2]s' failed on the 'required' tag"}`, s, f)
	}
	for _, tc := range []struct {
		method, path, contentType, body string
		status                          int
		want                            string
	}{
		{"GET", "/api/nothing", "", "", 404, "404 page not found"},
		{"GET", "/api//repos", "", "", 404, "404 page not found"},
		{"GET", "/api/VERSION", "", "", 404, "404 page not found"},
		{"HEAD", "/api/version", "", "", 404, "404 page not found"},
		{"PATCH", "/api/repos/r", "", "", 404, "404 page not found"},
		{"GET", "/api/repos/", "", "", 301, "<a href=\"/api/repos\">Moved Permanently</a>.\n\n"},
		{"POST", "/api/repos/?x=1", js, "{}", 307, ""},
		{"POST", "/api/repos", js, "", 400, `{"error":"EOF"}`},
		{"POST", "/api/repos", js, `{"Name":`, 400, `{"error":"unexpected EOF"}`},
		{"POST", "/api/repos", js, `{}`, 400, required("repoCreateParams", "Name")},
		{"POST", "/api/repos", "", `{"Name":"x"}`, 400, strings.Replace(required("repoCreateParams", "Name"), "tag", "tag (the body is JSON and has no Content-Type: send application/json)", 1)},
		{"POST", "/api/repos", js, `{"Name":1}`, 400, `{"error":"json: cannot unmarshal number into Go struct field repoCreateParams.Name of type string"}`},
		{"POST", "/api/repos", js, `[]`, 400, `{"error":"json: cannot unmarshal array into Go value of type api.repoCreateParams"}`},
		{"POST", "/api/repos", js, strings.Repeat("[", 100), 400, `{"error":"JSON is nested more than 64 deep"}`},
		{"POST", "/api/repos", js, `{"Name":"x","FromSnapshot":"s"}`, 404, `{"error":"source snapshot not found: snapshot with name s not found"}`},
		{"GET", "/api/repos/x", "", "", 404, `{"error":"local repo with name x not found"}`},
		{"DELETE", "/api/repos/x", "", "", 404, `{"error":"local repo with name x not found"}`},
		{"PUT", "/api/repos/r", js, `{"Name":""}`, 400, `{"error":"invalid repository name \"\": 1 to 800 bytes of UTF-8"}`},
		{"POST", "/api/repos/r/packages", js, `{}`, 400, required("reposPackagesAddDeleteParams", "PackageRefs")},
		{"POST", "/api/repos/x/file/d", "", "", 404, `{"error":"local repo with name x not found"}`},
		{"POST", "/api/repos/r/file/%2e%2e", "", "", 400, `{"error":"wrong dir"}`},
		{"POST", "/api/repos/r/file/d/%2e", "", "", 400, `{"error":"wrong file"}`},
		{"GET", "/api/files/..", "", "", 400, `{"error":"wrong dir"}`},
		{"GET", "/api/files/.$.", "", "", 400, `{"error":"wrong dir"}`},
		{"DELETE", "/api/files/.%60.", "", "", 400, `{"error":"wrong dir"}`},
		{"DELETE", "/api/files/d/..", "", "", 400, `{"error":"wrong file"}`},
		{"GET", "/api/files/none", "", "", 404, `{"error":"lstat /aptless/upload/none: no such file or directory"}`},
		{"PUT", "/api/files/d/..", "", "x", 400, `{"error":"wrong file"}`},
		{"POST", "/api/files/d", js, "{}", 400, `{"error":"request Content-Type isn't multipart/form-data"}`},
		{"POST", "/api/files/d", "multipart/form-data", "", 400, `{"error":"no multipart boundary param in Content-Type"}`},
		{"POST", "/api/files/d", "multipart/form-data; boundary=x", "junk", 400, `{"error":"multipart: NextPart: EOF"}`},
		{"GET", "/api/tasks/x", "", "", 500, `{"error":"strconv.ParseInt: parsing \"x\": invalid syntax"}`},
		{"GET", "/api/tasks/99", "", "", 404, `{"error":"could not find task with id 99"}`},
		{"GET", "/api/tasks/99/wait", "", "", 400, `{"error":"could not find task with id 99"}`},
		{"DELETE", "/api/tasks/99", "", "", 400, `{"error":"could not find task with id 99"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local"}`, 400, required("publishedRepoCreateParams", "Sources")},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Sources":[]}`, 400, `{"error":"unable to publish: sources are empty"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"x","Sources":[{"Name":"r"}]}`, 400, `{"error":"unknown SourceKind"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Sources":[{"Name":"x"}]}`, 404, `{"error":"unable to publish: local repo with name x not found"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Sources":[{"Name":"r"}]}`, 500, `{"error":"unable to publish: unable to guess distribution name, please specify explicitly"}`},
		{"POST", "/api/publish/a_dists", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}]}`, 500, `{"error":"unable to publish: invalid prefix a/dists"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Distribution":"a b","Sources":[{"Name":"r"}]}`, 400, `{"error":"unable to publish: invalid distribution name a b"}`},
		{"POST", "/api/publish/s3:eu", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}]}`, 500, `{"error":"unable to publish: unknown published storage format: s3"}`},
		{"POST", "/api/publish/filesystem:www:x", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}]}`, 500, `{"error":"unable to publish: published local storage www not configured"}`},
		{"POST", "/api/publish/s3:x:.", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}]}`, 500, `{"error":"unable to publish: published S3 storage x not configured"}`},
		{"GET", "/api/publish/:./s", "", "", 404, `{"error":"unable to show: published repo with storage:prefix/distribution ./s not found"}`},
		{"PUT", "/api/publish/a_b/s", js, "{}", 404, `{"error":"unable to update: published repo with storage:prefix/distribution a/b/s not found"}`},
		{"DELETE", "/api/publish/:./s", "", "", 404, `{"error":"unable to drop: published repo with storage:prefix/distribution ./s not found"}`},
		{"GET", "/api/publish/:./s/sources", "", "", 404, `{"error":"unable to show: published repo with storage:prefix/distribution ./s not found"}`},
		{"POST", "/api/publish/:./s/sources", js, `{}`, 400, `{"error":"Key: 'sourceParams.Component' Error:Field validation for 'Component' failed on the 'required' tag\nKey: 'sourceParams.Name' Error:Field validation for 'Name' failed on the 'required' tag"}`},
		{"POST", "/api/publish/:./s/sources", js, `{"Component":"c","Name":"n"}`, 404, `{"error":"unable to create: published repo with storage:prefix/distribution ./s not found"}`},
		{"PUT", "/api/publish/:./s/sources", js, `[{"Component":"c","Name":"n"},{"Component":"d"}]`, 400, `{"error":"[1]: Key: 'sourceParams.Name' Error:Field validation for 'Name' failed on the 'required' tag"}`},
		{"PUT", "/api/publish/:./s/sources", js, `[]`, 404, `{"error":"unable to update: published repo with storage:prefix/distribution ./s not found"}`},
		{"DELETE", "/api/publish/:./s/sources", "", "", 404, `{"error":"unable to delete: published repo with storage:prefix/distribution ./s not found"}`},
		{"PUT", "/api/publish/:./s/sources/c", js, `{}`, 400, required("sourceParams", "Name")},
		{"PUT", "/api/publish/:./s/sources/c", js, `{"Name":"n"}`, 404, `{"error":"unable to update: published repo with storage:prefix/distribution ./s not found"}`},
		{"DELETE", "/api/publish/:./s/sources/c", "", "", 404, `{"error":"unable to delete: published repo with storage:prefix/distribution ./s not found"}`},
		{"POST", "/api/publish/:./s/update", js, `{}`, 404, `{"error":"unable to update: published repo with storage:prefix/distribution ./s not found"}`},
		{"GET", "/api/publish/:./s/revisions", "", "", 404, `{"error":"unable to show: published repo with storage:prefix/distribution ./s not found"}`},
		{"POST", "/api/publish/:./s/rollback", js, `{}`, 400, required("rollbackParams", "Generation")},
		{"POST", "/api/publish/:./s/rollback", js, `{"Generation":1}`, 404, `{"error":"unable to roll back: published repo with storage:prefix/distribution ./s not found"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],"ValidFor":"soon"}`, 400, `{"error":"invalid ValidFor \"soon\": 1h to 10 years, as a number of h, d or w"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],"Aliases":["t","t"]}`, 400, `{"error":"unable to publish: duplicate alias t"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],"Aliases":["a b"]}`, 400, `{"error":"unable to publish: invalid alias a b"}`},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],"Aliases":"t"}`, 400, `{"error":"json: cannot unmarshal string into Go struct field publishedRepoCreateParams.Aliases of type []string"}`},
		{"GET", "/private/pool", "", "", 404, "404 page not found"},
		{"GET", "/../private/tasks", "", "", 404, "404 page not found"},
		{"GET", "/%2e%2e/private/tasks", "", "", 404, "404 page not found"},
	} {
		r := httptest.NewRequest(tc.method, "/", strings.NewReader(tc.body))
		path, query, _ := strings.Cut(tc.path, "?")
		r.URL.RawQuery = query
		r.URL.Path = strings.NewReplacer("%2e", ".", "%60", "`").Replace(path)
		r.URL.RawPath = path
		r.Header.Set("Content-Type", tc.contentType)
		w := httptest.NewRecorder()
		p.Handler.ServeHTTP(w, r)
		if w.Code != tc.status || apptest.WithoutHint(w.Body.String()) != tc.want {
			t.Errorf("%s %s %.40s: %d %s, want %d %s", tc.method, tc.path, tc.body, w.Code, w.Body, tc.status, tc.want)
		}
	}
	if !maps.Equal(rows, env.Memory.Rows("")) || !maps.Equal(objects, env.Memory.Objects("")) {
		t.Error("a refused request has changed something")
	}
}

// TestHintsArePlain holds that a refusal says the remedy without a name of Go.
func TestHintsArePlain(t *testing.T) {
	p, err := apptest.Start(t.Context(), drivertest.NewEnv(), apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	const js = "application/json"
	if err := p.Step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ method, path, contentType, body, hint string }{
		{"POST", "/api/repos", js, "", "the body is empty: send JSON"},
		{"POST", "/api/repos", js, `{"Name":`, "the body ends within its JSON"},
		{"POST", "/api/repos", js, `x`, "the body is not JSON"},
		{"POST", "/api/repos", js, `{}`, "the request lacks Name"},
		{"POST", "/api/repos", js, `{"Name":5}`, "Name has to be a string, and is a number"},
		{"POST", "/api/repos", js, `[]`, "the body has to be an object, and is a list"},
		{"POST", "/api/repos", "", `{"Name":"x"}`, "send the header Content-Type: application/json"},
		{"PUT", "/api/publish/:./s/sources", js, `[{"Component":"c","Name":"n"},{}]`, "element 1: the request lacks Component and Name"},
		{"POST", "/api/publish", js, `{"SourceKind":"local","Sources":[{"Name":"r"}]}`, `send "Distribution": "stable", or set DefaultDistribution of the repository`},
		{"PUT", "/api/publish/a/s", js, `{}`, "GET /api/publish lists the publications; in a path the prefix . is written :., and a slash _"},
		{"GET", "/api/packages?q=hello+(", "", "", "a query is, for example, hello (>= 1.0), $Architecture (amd64) | Name (% lib*)"},
		{"GET", "/api/tasks/abc", "", "", `the number of a task is digits, and "abc" is none: GET /api/tasks lists the tasks`},
		{"POST", "/api/files/u", "", "", "send files as a form, as curl -F file=@hello.deb does, or one file by PUT /api/files/<dir>/<file>"},
	} {
		r := httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body))
		r.Header.Set("Content-Type", tc.contentType)
		w := httptest.NewRecorder()
		p.Handler.ServeHTTP(w, r)
		var told struct{ Error, Hint string }
		if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told.Error == "" || told.Hint != tc.hint {
			t.Errorf("%s %s %s: %d %s, %v", tc.method, tc.path, tc.body, w.Code, w.Body, err)
		}
	}
	for path, want := range map[string]string{"/api/publish/stable": "a prefix . is written :.", "/api/files/u": "the form has no file"} {
		r := httptest.NewRequest("POST", path, strings.NewReader("--x--"))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		if path == "/api/publish/stable" {
			r.Method = "PUT"
		} else {
			r.Body = io.NopCloser(strings.NewReader("--x\r\nContent-Disposition: form-data; name=file\r\n\r\nhello.deb\r\n--x--\r\n"))
		}
		w := httptest.NewRecorder()
		p.Handler.ServeHTTP(w, r)
		if got := w.Header().Get("X-Warning"); !strings.Contains(got, want) {
			t.Errorf("%s: %d %s, %q", path, w.Code, w.Body, got)
		}
	}
}

package api_test

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// rawRequest sends a request whose path is as written, as by a client that does not clean
// paths.
func rawRequest(t *testing.T, p *apptest.Process, method, path, contentType, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
	raw, query, _ := strings.Cut(path, "?")
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = decoded, raw, query
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	p.Handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestNamesOfUploadsStayApart uploads to names that look alike, or that a second decoding
// would lead elsewhere. Each is a name of its own, and removing one leaves the others.
func TestNamesOfUploadsStayApart(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		names := map[string]string{ // as stored, by the path of the request
			"d": "d", "D": "D", "d.": "d.", "d%20": "d ", ".d": ".d", "-d": "-d", "~d": "~d", "d:x": "d:x", "CON": "CON", "..%20": " ",
			"%252e%252e": "%2e%2e", "%252e%252e%252fd": "%2e%2e%2fd", "%252500": "%2500", "a%5C..%5Cd": `a\\d`,
			"a": "a", "%D0%B0": "\u0430", "%C3%A9": "\u00e9", "e%CC%81": "e\u0301", "%E2%80%AEd": "\u202ed", "%EF%BC%8E%EF%BC%8E": "\uff0e\uff0e", "%E2%80%A5": "\u2025",
		}
		for raw := range names {
			if code, got := rawRequest(t, s, "PUT", "/api/files/"+raw+"/f", "application/octet-stream", raw); code != 200 {
				t.Errorf("%s: %d %s", raw, code, got)
			}
		}
		var dirs []string
		for s.Must(t, "GET", "/api/files", "", &dirs); len(names) > 0; s.Must(t, "GET", "/api/files", "", &dirs) {
			if want := slices.Sorted(maps.Values(names)); !slices.Equal(slices.Sorted(slices.Values(dirs)), want) {
				t.Fatalf("directories %q, want %q", dirs, want)
			}
			for raw := range names {
				if code, got := rawRequest(t, s, "DELETE", "/api/files/"+raw, "", ""); code != 200 {
					t.Errorf("removing %s: %d %s", raw, code, got)
				}
				delete(names, raw)
				break
			}
		}
	})
}

// withPackage starts a process whose repository r has one package.
func withPackage(t *testing.T) (*drivertest.Env, *apptest.Process) {
	t.Helper()
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
	if err := p.Step("POST", "/api/repos/r/file/d", ""); err != nil {
		t.Fatal(err)
	}
	return env, p
}

// TestHostileRequestsChangeNothing sends names that lead elsewhere, and bodies that would
// exhaust a reader. Each is refused with an error in aptly's form, and changes nothing.
func TestHostileRequestsChangeNothing(t *testing.T) {
	env, p := withPackage(t)
	rows, objects := env.Memory.Rows(""), env.Memory.Objects("")
	long := strings.Repeat("x", 10<<10)
	quoted := func(text string) string { return url.QueryEscape(text) }
	var requests [][3]string
	for _, dir := range []string{"..", ".", "%2e%2e", "%2e", "..%2f..%2fetc", "%2fetc", "%00", "d%00", "%ff", "%0a", "%0d%0aX:y", "d%2f..%2f..%2fx", long} {
		requests = append(requests, [3]string{"PUT", "/api/files/" + dir + "/f", "x"}, [3]string{"POST", "/api/repos/r/file/" + dir, ""})
	}
	for _, file := range []string{"..", ".", "%2e%2e", "%00", "%ff", "a%0ab", long} {
		requests = append(requests, [3]string{"PUT", "/api/files/d/" + file, "x"}, [3]string{"DELETE", "/api/files/d/" + file, ""})
	}
	for _, query := range []string{strings.Repeat("(", 100_000), strings.Repeat("!", 100_000) + "a", strings.Repeat("a|", 50_000) + "a", "Name (~ '(a{1000}){1000}')", "Name (~ '(')", "((a)", "a (>= 1"} {
		requests = append(requests, [3]string{"GET", "/api/repos/r/packages?q=" + quoted(query), ""})
	}
	for _, body := range []string{strings.Repeat(`{"Name":`, 100_000), strings.Repeat("[", 1_000_000), `{"Name":"` + long + `"}`, `{"Name":""}`, "\x00", "\xff\xfe", `{"Name":{"Name":"x"}}`, `{"Name":1e400}`, `"x"`, "{}{}"} {
		requests = append(requests, [3]string{"POST", "/api/repos", body})
	}
	for _, address := range []string{"file:///etc/passwd", "gopher://x/", "http://", "http://x/?q", "http://x/#f", "//x", "http://x/%zz", "http://u:p@x/\\r\\nX: y", "http://" + long + "/"} {
		requests = append(requests, [3]string{"POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"` + address + `","Distribution":"s","IgnoreSignatures":true}`})
	}
	for _, r := range requests {
		code, got := rawRequest(t, p, r[0], r[1], "application/json", r[2])
		if code < 300 || !strings.HasPrefix(got, `{"error":`) && code != 404 && code != 301 && code != 307 {
			t.Errorf("%s %.60s %.80s: %d %.200s", r[0], r[1], r[2], code, got)
		}
		if strings.Contains(got, "panic") || strings.Contains(got, "goroutine") || len(got) > 4<<10+len(r[1])+len(r[2]) {
			t.Errorf("%s %.60s %.80s: %d bytes: %.200s", r[0], r[1], r[2], len(got), got)
		}
		if nowRows, nowObjects := env.Memory.Rows(""), env.Memory.Objects(""); !maps.Equal(rows, nowRows) || !maps.Equal(objects, nowObjects) {
			t.Errorf("%s %.60s %.80s has changed something: %d %.200s", r[0], r[1], r[2], code, got)
			rows, objects = nowRows, nowObjects
		}
	}
}

// TestHostileNamesOfPublicationsStayInTheTree publishes to names that lead elsewhere. Like
// aptly, the server drops two dots of a prefix. Each object has a clean path below its area.
func TestHostileNamesOfPublicationsStayInTheTree(t *testing.T) {
	env, p := withPackage(t)
	before := env.Memory.Objects("")
	long, publish := strings.Repeat("x", 10<<10), func(fields string) string { return `{"SourceKind":"local","Sources":[{"Name":"r"}],` + fields + `}` }
	var requests [][3]string
	for _, prefix := range []string{"%2e%2e", "..", "a%2f..%2f..%2fb", "x:..", "::", ":%2e%2e", "a_.._b", "_..", "%00", "%ff", "a%0ab", "a%20b", "dists", "pool", "a_pool", "%5c", "a:b:c", long} {
		requests = append(requests, [3]string{"POST", "/api/publish/" + prefix, publish(`"Distribution":"s"`)})
	}
	for _, distribution := range []string{"..", ".", "a/../b", "/a", "a//b", "../../x", "a b", "a\\u0000", "a\\n", "%2e%2e", "a\\\\b", long} {
		requests = append(requests, [3]string{"POST", "/api/publish/:.", publish(`"Distribution":"` + distribution + `"`)})
	}
	for _, component := range []string{"..", "a/../b", "/", "a b", "\\u0000", "../" + long} {
		body := `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r","Component":"` + component + `"}]}`
		requests = append(requests, [3]string{"POST", "/api/publish/:.", body})
	}
	for _, architecture := range []string{"../all", "a/b", "..", "a b", "\\u0000"} {
		requests = append(requests, [3]string{"POST", "/api/publish/:.", publish(`"Distribution":"s","Architectures":["` + architecture + `"]`)})
	}
	published := 0
	for _, r := range requests {
		if code, got := rawRequest(t, p, r[0], r[1], "application/json", r[2]); code >= 300 && !strings.HasPrefix(got, `{"error":`) {
			t.Errorf("%.60s %.80s: %d %.200s", r[1], r[2], code, got)
		}
		if err := p.Drain(); err != nil {
			t.Fatal(err)
		}
		for key := range env.Memory.Objects("") {
			if _, old := before[key]; old {
				continue
			}
			area, name, _ := strings.Cut(key, "/")
			if area == "public" {
				published++
			}
			if path.Clean(name) != name || strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
				t.Errorf("%.60s %.80s: the object %q", r[1], r[2], key)
			}
		}
		before = env.Memory.Objects("")
	}
	if published == 0 {
		t.Error("nothing was published: the test shows nothing")
	}
}

// TestHostileReferencesAddNothing adds packages by references that are none.
func TestHostileReferencesAddNothing(t *testing.T) {
	env, p := withPackage(t)
	_, was := rawRequest(t, p, "GET", "/api/repos/r/packages", "", "")
	for _, key := range []string{"../aa", "Pall aa 1 ../../x", "Pall aa 1/2 0123456789abcdef", strings.Repeat("x", 10<<10), "\\u0000", "", "P", "Pall aa 1 ffffffffffffffff"} {
		for _, method := range []string{"POST", "DELETE"} {
			code, got := rawRequest(t, p, method, "/api/repos/r/packages", "application/json", `{"PackageRefs":["`+key+`"]}`)
			if err := p.Drain(); err != nil {
				t.Fatal(err)
			}
			if _, now := rawRequest(t, p, "GET", "/api/repos/r/packages", "", ""); now != was {
				t.Errorf("%s %.40q: %d %.200s, packages %s", method, key, code, got, now)
			}
		}
	}
	for key := range env.Memory.Objects("") {
		if strings.Contains(key, "..") {
			t.Errorf("the object %q", key)
		}
	}
}

// TestUnknownFieldsAreIgnored sends fields that no operation has, as aptly's own clients of
// other versions do. They neither fail a request nor reach a row.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Step("POST", "/api/repos", `{"Name":"r","UUID":"mine","__proto__":{"Name":"x"},"Marker":[{"a":["marker-of-a-field"]}]}`); err != nil {
		t.Fatal(err)
	}
	for key, row := range env.Memory.Rows("") {
		if text := fmt.Sprint(row); strings.Contains(text, "marker-of-a-field") || strings.Contains(text, `"mine"`) {
			t.Errorf("%s has an unknown field: %s", key, text)
		}
	}
}

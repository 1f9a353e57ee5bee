package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
	asNone = ""
)

// request is one request to both systems. In path and body, {{name}} stands for the key of
// a fixture's package.
type request struct {
	method, path string
	body         string
	media        string
	files        map[string][]byte // files sent as a form instead of the body
	command      string            // command line of aptly instead of the request
	tree         bool              // compare the published trees of the storage in path
}

func get(path string) request { return request{method: "GET", path: path} }

func post(path, body string) request { return withBody("POST", path, body) }

func put(path, body string) request { return withBody("PUT", path, body) }

func del(path, body string) request { return withBody("DELETE", path, body) }

func withBody(method, path, body string) request {
	r := request{method: method, path: path, body: body}
	if body != "" {
		r.media = asJSON
	}
	return r
}

// as returns the request with another Content-Type.
func (r request) as(media string) request {
	r.media = media
	return r
}

// upload sends files by name: fixtures, or files with their name as content.
func upload(dir string, names ...string) request {
	files := map[string][]byte{}
	for _, name := range names {
		files[name] = fixture(name)
	}
	return request{method: "POST", path: "/api/files/" + dir, files: files}
}

// instead runs aptly's command line in place of the request. Only later requests can
// compare its effect.
func (r request) instead(command string) request {
	r.command = command
	return r
}

// published compares the trees of a storage.
func published(storage string) request { return request{path: storage, tree: true} }

// String names the request in reports and in accepted_test.go.
func (r request) String() string {
	if r.tree {
		return "tree of " + fmt.Sprintf("%q", r.path)
	}
	s := r.method + " " + r.path
	if r.body != "" {
		s += " " + r.body
	}
	if r.files != nil {
		s += " " + strings.Join(slices.Sorted(maps.Keys(r.files)), " ")
	}
	return s
}

var keyName = regexp.MustCompile(`\{\{([^}]*)\}\}`)

// expand replaces names of packages by their keys, and the name of the archive by its URL.
func (s *system) expand(t *testing.T, text string, escape func(string) string) string {
	t.Helper()
	text = strings.ReplaceAll(text, "{{archive}}", s.upstream)
	return keyName.ReplaceAllStringFunc(text, func(s string) string {
		key, ok := fixtureKeys()[strings.Trim(s, "{}")]
		if !ok {
			t.Fatalf("no package %s", s)
		}
		return escape(key)
	})
}

// answer is a system's answer as JSON.
type answer map[string]any

// send sends the request to a system and returns the equalised answer.
func (s *system) send(t *testing.T, r request) answer {
	t.Helper()
	body, media := []byte(s.expand(t, r.body, func(s string) string { return s })), r.media
	if r.files != nil {
		body, media = form(t, r.files)
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.url+s.expand(t, r.path, url.PathEscape), bytes.NewReader(body))
	must(t, err)
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	s.authorize(req)
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(t, err)
	a := answer{"status": float64(resp.StatusCode), "type": resp.Header.Get("Content-Type")}
	if to := resp.Header.Get("Location"); to != "" {
		a["location"] = to
	}
	var v any
	text := s.equalise(string(data))
	if json.Unmarshal([]byte(text), &v) == nil {
		a["body"] = v
	} else {
		a["body"] = text
	}
	if unordered.MatchString(r.path) {
		order(a["body"])
	}
	return a
}

func form(t *testing.T, files map[string][]byte) (body []byte, media string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateFormFile("file", name)
		must(t, err)
		f.Write(files[name])
	}
	must(t, w.Close())
	return b.Bytes(), w.FormDataContentType()
}

var (
	uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	times = regexp.MustCompile(`"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"`)
	// unordered are lists that aptly sorts by UUID or not at all.
	unordered = regexp.MustCompile(`^/api/(repos|files|mirrors|(repos|snapshots|mirrors)/[^/]+/packages)(\?.*)?$`)
)

// equalise replaces necessary differences by the same text.
func (s *system) equalise(text string) string {
	text = strings.ReplaceAll(text, s.root+"/", "/root/")
	if s.upstream != "" {
		text = strings.ReplaceAll(text, s.upstream, "{{archive}}")
	}
	text = uuids.ReplaceAllString(text, "<uuid>")
	return times.ReplaceAllString(text, `"<time>"`)
}

// order sorts a list by the JSON of its elements.
func order(v any) {
	if list, ok := v.([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(encode(a), encode(b)) })
	}
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimRightFunc(b.String(), unicode.IsSpace)
}

// words splits a command line at blanks. A bar stands for a blank within a word.
func words(command string) []string {
	all := strings.Fields(command)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], "|", " ")
	}
	return all
}

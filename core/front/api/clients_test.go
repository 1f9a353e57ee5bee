package api_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"aptless/core/front/app/apptest"
)

// TestProbes holds the texts that monitors compare.
func TestProbes(t *testing.T) { apptest.EachDriver(t, probes) }

func probes(t *testing.T, s *apptest.Process) {
	s.Want(t, "GET", "/api/ready", "", 200, `{"Status":"Aptly is ready"}`)
	s.Want(t, "GET", "/api/healthy", "", 200, `{"Status":"Aptly is healthy"}`)
	s.Want(t, "GET", "/api/version", "", 200, `{"Version":"test"}`)
}

// TestClients repeats requests of known clients that a strict server would refuse.
func TestClients(t *testing.T) {
	for name, test := range clients() {
		t.Run(name, func(t *testing.T) { apptest.EachDriver(t, test) })
	}
}

// TestClientsOfAClosedServer repeats the same requests with the token of an administrator
// in Basic, then in Bearer.
func TestClientsOfAClosedServer(t *testing.T) {
	apptest.EachScheme(t, probes)
	for name, test := range clients() {
		t.Run(name, func(t *testing.T) { apptest.EachScheme(t, test) })
	}
}

// clients returns the requests of known clients, by client and peculiarity.
func clients() map[string]func(*testing.T, *apptest.Process) {
	return map[string]func(*testing.T, *apptest.Process){
		"aptly-api-client: any field name, DELETE with a body, unknown fields, flags of 0": pythonClient,
		"aptly-ctl: every answer is JSON":                                                  everyAnswerIsJSON,
		"python-aptly: a media type on requests without a body":                            mediaTypeOnGet,
		"molior: _async on all requests, integers in tasks":                                asyncEverywhere,
		"aptly-api: capitalised query keys, several files":                                 rubyClient,
		"aptly_cli: fields in any case, a second question mark":                            capitalisedFields,
		"aptly-rest-tools: names with slashes and colons, yes and nothing":                 namesOfApertis,
		"curl: more fields than there are":                                                 curlScripts,
		"a proxy with a prefix":                                                            behindPrefix,
	}
}

// fields uploads the same data as several files. The map gives each form field its
// file name.
func fields(t *testing.T, s *apptest.Process, dir string, fields map[string]string, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for field, file := range fields {
		part, err := w.CreateFormFile(field, file)
		if err != nil {
			t.Fatal(err)
		}
		part.Write(data)
	}
	w.Close()
	code, got := s.Send(t, "POST", "/api/files/"+dir, w.FormDataContentType(), b.Bytes())
	if code != 200 {
		t.Errorf("upload: %d %s", code, got)
	}
	return got
}

func pythonClient(t *testing.T, s *apptest.Process) {
	deb := apptest.Deb("aa", "1", "amd64")
	if got := fields(t, s, "d", map[string]string{"/home/me/aa_1_amd64.deb": "aa_1_amd64.deb"}, deb); got != `["d/aa_1_amd64.deb"]` {
		t.Error(got)
	}
	s.Must(t, "POST", "/api/repos", `{"Name":"r","NoSuchField":{"a":[1]}}`, nil)
	s.Must(t, "POST", "/api/repos/r/file/d?noRemove=0&forceReplace=0", "", nil)
	s.Want(t, "GET", "/api/files/d", "", 404, "")
	keys := s.Keys(t, "/api/repos/r")
	body, err := json.Marshal(map[string][]string{"PackageRefs": keys})
	if err != nil {
		t.Fatal(err)
	}
	s.Must(t, "DELETE", "/api/repos/r/packages", string(body), nil)
	if left := s.Keys(t, "/api/repos/r"); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"x","Architectures":["amd64"],"Sources":[{"Name":"r"}],"Signing":{"Skip":true,"Batch":true,"Passphrase":"p","Keyring":"k"}}`, nil)
	s.Want(t, "DELETE", "/api/repos/r?force=0", "", 409, "")
	var published map[string]any
	s.Must(t, "GET", "/api/publish/:./x", "", &published)
	for _, field := range []string{"Storage", "Prefix", "Distribution", "SourceKind", "Sources", "Architectures", "Label", "Origin", "AcquireByHash"} {
		if _, ok := published[field]; !ok {
			t.Errorf("no %s", field)
		}
	}
}

func everyAnswerIsJSON(t *testing.T, s *apptest.Process) {
	for _, r := range [][3]string{
		{"POST", "/api/repos", `{"Name":"r"}`}, {"DELETE", "/api/repos/r", ""}, {"DELETE", "/api/files/none", ""}, {"GET", "/api/repos/none", ""}, {"POST", "/api/repos", "{"},
		{"POST", "/api/tasks-clear", ""}, {"POST", "/api/db/cleanup", ""}, {"GET", "/api/tasks/9", ""}, {"PUT", "/api/publish/:./x", "{}"},
	} {
		_, got := s.Ask(t, r[0], r[1], r[2])
		if !json.Valid([]byte(got)) {
			t.Errorf("%v: %s", r, got)
		}
	}
}

func mediaTypeOnGet(t *testing.T, s *apptest.Process) {
	for _, path := range []string{"/api/version", "/api/publish", "/api/snapshots?sort=time", "/api/graph.dot"} {
		s.Want(t, "GET", path, "", 200, "")
	}
	s.Must(t, "POST", "/api/repos", `{"Name":"r"}`, nil)
	s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"r-20261123T120000Z"}`, nil)
	s.Want(t, "DELETE", "/api/snapshots/r-20261123T120000Z", "", 200, "{}")
}

func asyncEverywhere(t *testing.T, s *apptest.Process) {
	deb := apptest.Deb("aa", "1", "amd64")
	fields(t, s, "d?_async=true", map[string]string{"file": "aa_1_amd64.deb"}, deb)
	for _, r := range [][3]string{{"POST", "/api/repos?_async=true", `{"Name":"r"}`}, {"POST", "/api/repos/r/file/d?_async=true", ""}} {
		var task struct{ ID, State int } // decoding fails if an ID is a string
		if code, got := s.Ask(t, r[0], r[1], r[2]); code != 202 || json.Unmarshal([]byte(got), &task) != nil || task.ID == 0 {
			t.Fatalf("%v: %d %s", r, code, got)
		}
		path := "/api/tasks/" + strings.TrimSpace(string(mustMarshal(t, task.ID)))
		s.Want(t, "GET", path+"/wait", "", 200, "")
		if code, got := s.Ask(t, "GET", path, ""); code != 200 || !strings.Contains(got, `"State":2`) {
			t.Errorf("%d %s", code, got)
		}
		if _, got := s.Ask(t, "GET", path+"/output", ""); !strings.HasPrefix(got, `"`) {
			t.Errorf("output is no text: %s", got)
		}
		s.Want(t, "DELETE", path, "", 200, "")
		s.Want(t, "GET", path, "", 404, "")
	}
	s.Want(t, "POST", "/api/mirrors?_async=true", `{"Name":"m"}`, 400, "")
	s.Want(t, "DELETE", "/api/files/d?_async=true", "", 200, "{}")
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func rubyClient(t *testing.T, s *apptest.Process) {
	got := fields(t, s, "d", map[string]string{"file_0": "a.deb", "file_1": "b.deb"}, []byte("x"))
	if !strings.Contains(got, `"d/a.deb"`) || !strings.Contains(got, `"d/b.deb"`) {
		t.Error(got)
	}
	s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
	s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
	s.Want(t, "DELETE", "/api/repos/r?Force=1", "", 409, "") // the name of a flag is case-sensitive, as in aptly
	s.Want(t, "DELETE", "/api/repos/r?force=1", "", 200, "{}")
}

func capitalisedFields(t *testing.T, s *apptest.Process) {
	s.Must(t, "POST", "/api/repos", `{"name":"r","Defaultdistribution":"sid"}`, nil)
	fields(t, s, "d", map[string]string{"file": "aa_1_amd64.deb"}, apptest.Deb("aa", "1", "amd64"))
	s.Want(t, "POST", "/api/repos/r/file/d?forceReplace=1?noRemove=1", "", 200, "")
	s.Must(t, "POST", "/api/publish", `{"Sourcekind":"local","Sources":[{"name":"r"}],"Forceoverwrite":true,"Signing":{"skip":true,"Gpgkey":"","Passphrasefile":"x"}}`, nil)
	s.Want(t, "DELETE", "/api/publish/:./sid", "", 200, "{}")
}

func namesOfApertis(t *testing.T, s *apptest.Process) {
	const name = "apertis:v2024dev0:target/default"
	s.Must(t, "POST", "/api/repos", `{"Name":"`+name+`"}`, nil)
	path := "/api/repos/" + url.PathEscape(name)
	s.Want(t, "GET", path, "", 200, "")
	s.Must(t, "POST", path+"/snapshots", `{"Name":"`+name+`/1"}`, nil)
	s.Want(t, "GET", "/api/snapshots/"+url.PathEscape(name+"/1"), "", 200, "")
	s.Want(t, "GET", path+"/packages?q="+url.QueryEscape(strings.Repeat("aa|", 200)+"aa"), "", 200, "[]")
	s.Must(t, "POST", "/api/publish/apertis", `{"SourceKind":"local","Distribution":"v2024","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}],"NotAutomatic":"yes","ButAutomaticUpgrades":"",`+apptest.Unsigned+`}`, nil)
	if release := s.File(t, "/apertis/dists/v2024/Release"); !strings.Contains(release, "\nNotAutomatic: yes\n") || strings.Contains(release, "ButAutomaticUpgrades") {
		t.Error(release)
	}
}

func curlScripts(t *testing.T, s *apptest.Process) {
	s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
	s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"x","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, nil)
	s.Must(t, "PUT", "/api/publish/:./x", `{"SourceKind":"local","Sources":[{"Name":"r"}],"GpgKey":"ABCD","ForceOverwrite":true,`+apptest.Unsigned+`}`, nil)
	s.Want(t, "GET", "/api/publish//x", "", 200, "")
}

func behindPrefix(t *testing.T, s *apptest.Process) {
	r := httptest.NewRequest("GET", "/api/repos/", nil)
	r.Header.Set("X-Forwarded-Prefix", "/_aptly")
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	if w.Code != 301 || w.Header().Get("Location") != "/_aptly/api/repos" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
	}
}

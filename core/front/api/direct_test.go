package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// announce returns the JSON body that announces files.
func announce(t *testing.T, files map[string][]byte) string {
	t.Helper()
	var list []map[string]any
	for name, data := range files {
		sum := sha256.Sum256(data)
		list = append(list, map[string]any{"name": name, "size": len(data), "sha256": hex.EncodeToString(sum[:])})
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// directly returns a process over drivertest.Direct.
func directly(t *testing.T) *apptest.Process {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, app.Drivers{Blobs: &drivertest.Direct{Blobs: m.Blobs}, Table: m.Table, Queue: m.Queue})
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	return s
}

// TestDirectUpload imports a file that no request contains: it is announced, put to
// its URL and confirmed.
func TestDirectUpload(t *testing.T) {
	s := directly(t)
	deb := debtest.Deb(debtest.Spec{})
	list := announce(t, map[string][]byte{"hello.deb": deb})
	var to []struct {
		Name, Method, URL string
		Headers           map[string]string
	}
	s.Must(t, "POST", "/api/files/in", list, &to)
	if len(to) != 1 || to[0].Name != "hello.deb" || to[0].Method != "PUT" || to[0].Headers["size"] != fmt.Sprint(len(deb)) {
		t.Fatalf("announced: %+v", to)
	}
	s.Want(t, "GET", "/api/files", "", 200, "[]")
	s.Refused(t, "POST", "/api/files/in?confirm=1", list, 400, "/aptless/upload/in/hello.deb was not put to its URL")
	put := func(data []byte) {
		t.Helper()
		if _, err := s.Drivers.Blobs.Put(t.Context(), to[0].URL, bytes.NewReader(data), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// A store may accept a file that differs from the announcement. Confirmation checks it.
	put(deb[1:])
	s.Refused(t, "POST", "/api/files/in?confirm=1", list, 400, fmt.Sprintf("/aptless/upload/in/hello.deb was not put to its URL: it has %d bytes", len(deb)-1))
	other := bytes.Clone(deb)
	other[24]++ // the time of the first ar member: the file stays a package
	put(other)
	s.Want(t, "POST", "/api/files/in?confirm=1", list, 200, `["in/hello.deb"]`) // confirmation does not read the file
	s.Must(t, "POST", "/api/repos", `{"Name":"stable"}`, nil)
	sum := sha256.Sum256(other)
	s.Want(t, "POST", "/api/repos/stable/file/in", "", 200, fmt.Sprintf(`{"FailedFiles":["/aptless/upload/in/hello.deb"],"Report":{"Warnings":["Unable to read file `+
		`/aptless/upload/in/hello.deb: /aptless/upload/in/hello.deb has the SHA-256 %x: content does not match its digest"],"Added":[],"Removed":[]}}`, sum))
	s.Want(t, "GET", "/api/repos/stable/packages", "", 200, "[]")
	was := to[0].URL
	s.Must(t, "POST", "/api/files/in", list, &to)
	if to[0].URL == was {
		t.Error("another file may be put over one that is confirmed")
	}
	put(deb)
	for range 2 { // a client repeats a confirmation whose answer was lost
		s.Want(t, "POST", "/api/files/in?confirm=1", list, 200, `["in/hello.deb"]`)
	}
	s.Want(t, "GET", "/api/files/in", "", 200, `["hello.deb"]`)
	s.Want(t, "POST", "/api/repos/stable/file/in", "", 200, `{"FailedFiles":[],"Report":{"Warnings":[],"Added":["hello_1.0_all added"],"Removed":[]}}`)
	s.Refused(t, "POST", "/api/files/in?confirm=1", list, 400, "/aptless/upload/in/hello.deb was not put to its URL")
	for info, err := range s.Drivers.Blobs.List(t.Context(), pool.IncomingPrefix, "") {
		t.Errorf("%s is left, %v", info.Key, err)
	}
}

// TestDirectRefusals holds that a bad announcement is refused and changes nothing.
func TestDirectRefusals(t *testing.T) {
	s := directly(t)
	digest := strings.Repeat("0a", 32)
	for body, text := range map[string]string{
		`[]`:                                     "a list of 1 to 100 files is wanted",
		"[" + strings.Repeat(`{},`, 100) + "{}]": "a list of 1 to 100 files is wanted",
		`[{"name":"","sha256":"` + digest + `"}]`:                      "wrong file",
		`[{"name":"..","sha256":"` + digest + `"}]`:                    "wrong file",
		`[{"name":"a/b","sha256":"` + digest + `"}]`:                   "wrong file",
		`[{"name":"a\\b","sha256":"` + digest + `"}]`:                  "wrong file",
		`[{"name":"a","size":-1,"sha256":"` + digest + `"}]`:           "a: size is not one of 0 to 5368709120 bytes",
		`[{"name":"a","size":5368709121,"sha256":"` + digest + `"}]`:   "a: size is not one of 0 to 5368709120 bytes",
		`[{"name":"a","sha256":"` + strings.ToUpper(digest) + `"}]`:    "a: sha256 is not 64 lower-case hexadecimal digits",
		`[{"name":"a","sha256":"` + digest[:62] + `"}]`:                "a: sha256 is not 64 lower-case hexadecimal digits",
		`[{"name":"a","sha256":"` + digest + `"},{"name":"b"}]`:        "b: sha256 is not 64 lower-case hexadecimal digits",
		`[{"name":"a","sha256":"zz` + strings.Repeat("0a", 31) + `"}]`: "a: sha256 is not 64 lower-case hexadecimal digits",
	} {
		for _, path := range []string{"/api/files/in", "/api/files/in?confirm=1"} {
			s.Refused(t, "POST", path, body, 400, text)
		}
	}
	s.Refused(t, "POST", "/api/files/..", announce(t, map[string][]byte{"a": nil}), 400, "wrong dir")
	s.Want(t, "GET", "/api/files", "", 200, "[]")
}

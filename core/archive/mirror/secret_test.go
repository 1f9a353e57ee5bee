package mirror_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// buffer is a log for concurrent writers.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// clientPair returns a client certificate and its key as PEM. Each has a marker
// outside of its block.
func clientPair(t *testing.T, marker string) (certificate, key string) {
	t.Helper()
	certificate, key = upstreamtest.ClientCertificate(t, marker)
	return marker + "\n" + certificate, marker + "\n" + key
}

// TestSecretsAreInTheirRowOnly plants markers in all secrets of mirrors, and uses
// the mirrors in valid and invalid ways. No other row, object, answer or log has
// a marker.
func TestSecretsAreInTheirRowOnly(t *testing.T) {
	const marker = "m4rk3r"
	encoded := base64.StdEncoding.EncodeToString([]byte("u" + marker))[:6] // of Basic authentication
	m, logs := drivertest.NewMemory(time.Now), &buffer{}
	s := apptest.New(t, apptest.On(m), func(c *app.Config) {
		c.Log = slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Metrics = prometheus.NewRegistry()
	})
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Archive(t)
	s.Upstream.Admits = func(a *upstream.Access) bool {
		return a != nil && a.User == "u"+marker && a.Origin == "https://archive.example.org:443"
	}
	look := func(where, text string) {
		t.Helper()
		for _, hidden := range []string{marker, url.QueryEscape(marker), encoded} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s has a secret: %.600s", where, text)
			}
		}
	}
	ask := func(method, path, body string, want int) {
		t.Helper()
		code, got := s.Ask(t, method, path, body)
		if code != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, code, got, want)
		}
		look(method+" "+path, got)
	}
	cert, key := clientPair(t, marker)
	creation := func(name, root, more string) string {
		return fmt.Sprintf(`{"Name":%q,"ArchiveURL":%q,"Distribution":"stable",%s}`, name, root, more)
	}
	const root = "https://archive.example.org/debian/"
	whole := fmt.Sprintf(`"Credentials":{"User":"u%[1]s","Password":"p%[1]s"},"Headers":{"X-Token":"h%[1]s"},"ClientCertificate":%[2]s,"ClientKey":%[3]s`,
		marker, apptest.JSON(cert), apptest.JSON(key))
	ask("POST", "/api/mirrors", creation("m", root, whole), 201)
	ask("POST", "/api/mirrors", creation("url", "https://u"+marker+":p"+marker+"@archive.example.org/debian/", `"Schedule":"1d"`), 201)
	for _, wrong := range []string{
		`"Credentials":{"User":"x` + marker + `","Password":"p` + marker + `"}`, // the archive refuses it
		`"Credentials":{"User":":` + marker + `"}`,
		`"Credentials":{"User":["` + marker + `"]}`,
		`"Credentials":"` + marker + `"`,
		`"Headers":{"X-Token":"` + marker + `\n"}`,
		`"ClientCertificate":"` + marker + `","ClientKey":"` + marker + `"`,
		`"ClientCertificate":` + apptest.JSON(cert) + `,"ClientKey":` + apptest.JSON(strings.Replace(key, "M", "N", 3)),
	} {
		ask("POST", "/api/mirrors", creation("bad", root, wrong), 400)
		if !strings.Contains(wrong, `"x`) { // an edit of secrets does not contact the archive
			ask("POST", "/api/mirrors/m", "{"+wrong+"}", 400)
		}
	}
	ask("POST", "/api/mirrors", creation("bad", "https://u"+marker+":"+marker+"@archive exa mple.org/", `"Filter":""`), 400)
	ask("PUT", "/api/mirrors/m", "{"+whole+"}", 400)
	ask("PUT", "/api/mirrors/m", "{}", 204)
	ask("PUT", "/api/mirrors/url", "{}", 204)
	ask("PUT", "/api/mirrors/m?_async=1", `{"Name":"n"}`, 202)
	ask("GET", "/api/tasks-wait", "", 200)
	ask("POST", "/api/mirrors/n/snapshots", `{"Name":"s"}`, 201)
	ask("POST", "/api/mirrors/n", `{"Credentials":{"User":"x`+marker+`","Password":"q`+marker+`"}}`, 200)
	ask("PUT", "/api/mirrors/n", "{}", 500) // the archive answers 401
	ask("POST", "/api/mirrors/n", `{"Credentials":{"User":"u`+marker+`","Password":"q`+marker+`"},"Filter":"hello"}`, 200)
	ask("PUT", "/api/mirrors/n", "{}", 204)
	for _, path := range []string{"/api/mirrors", "/api/mirrors/n", "/api/mirrors/url", "/api/graph.dot", "/api/snapshots/s", "/api/metrics",
		"/api/tasks", "/api/openapi.json"} {
		ask("GET", path, "", 200)
	}
	var tasks []struct{ ID int64 }
	s.Must(t, "GET", "/api/tasks", "", &tasks)
	for _, one := range tasks {
		for _, part := range []string{"", "/output", "/detail", "/return_value"} {
			_, got := s.Ask(t, "GET", fmt.Sprintf("/api/tasks/%d%s", one.ID, part), "")
			look("a task's "+part, got)
		}
	}
	ask("DELETE", "/api/mirrors/url", "", 204)
	secrets := 0
	for name, data := range m.Rows("") {
		if strings.HasPrefix(name, "mirror-secret/") {
			secrets++
			continue
		}
		look("row "+name, name+data)
	}
	for name, data := range m.Objects("") {
		look("object "+name, name+data)
	}
	look("log", logs.text.String())
	if secrets != 1 || logs.text.Len() == 0 {
		t.Errorf("%d rows of secrets, %d bytes of logs", secrets, logs.text.Len())
	}
}

// TestSecretsStayAtTheirOrigin follows secrets through edits, renames and the
// drop.
func TestSecretsStayAtTheirOrigin(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m))
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Archive(t)
	var sent *upstream.Access
	var mu sync.Mutex // several workers fetch
	s.Upstream.Admits = func(a *upstream.Access) bool {
		mu.Lock()
		defer mu.Unlock()
		sent = a
		return true
	}
	var view struct{ HasCredentials, HasHeaders, HasClientCertificate bool }
	edit := func(body, want string) {
		t.Helper()
		view = struct{ HasCredentials, HasHeaders, HasClientCertificate bool }{}
		s.Must(t, "POST", "/api/mirrors/m", body, &view)
		sent = nil
		s.Must(t, "PUT", "/api/mirrors/m", "{}", nil)
		got := "none"
		if sent != nil {
			got = fmt.Sprintf("%s %s:%s %v %v", sent.Origin, sent.User, sent.Password, sent.Headers, sent.Certificate != "")
		}
		if got != want {
			t.Errorf("%s: sent %s, want %s", body, got, want)
		}
		flags := [3]bool{sent != nil && sent.User != "", sent != nil && len(sent.Headers) > 0, sent != nil && sent.Certificate != ""}
		if flags != [3]bool{view.HasCredentials, view.HasHeaders, view.HasClientCertificate} {
			t.Errorf("%s: shown as %+v", body, view)
		}
		if rows := len(m.Rows("mirror-secret")); (rows == 1) != (sent != nil) || rows > 1 {
			t.Errorf("%s: %d rows", body, rows)
		}
	}
	s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
	cert, key := clientPair(t, "c")
	const here, there = "https://archive.example.org:443", "https://mirror.example.net:443"
	edit(`{}`, "none")
	edit(`{"Credentials":{"User":"u","Password":"p"}}`, here+" u:p map[] false")
	edit(`{"Headers":{"x-token":"1","X-More":"2"}}`, here+" u:p map[X-More:2 X-Token:1] false")
	edit(`{"Headers":{"X-Token":"3"}}`, here+" u:p map[X-Token:3] false")
	edit(`{"ArchiveURL":"https://archive.example.org/debian/"}`, here+" u:p map[X-Token:3] false")
	edit(`{"ArchiveURL":"https://v:q@archive.example.org/debian/"}`, here+" v:q map[X-Token:3] false")
	edit(`{"Filter":"hello"}`, here+" v:q map[X-Token:3] false")
	edit(`{"ClientCertificate":`+apptest.JSON(cert)+`,"ClientKey":`+apptest.JSON(key)+`}`, here+" v:q map[X-Token:3] true")
	edit(`{"Credentials":{}}`, here+" : map[X-Token:3] true")
	s.Refused(t, "POST", "/api/mirrors/m", `{"ClientKey":""}`, 400, "unable to edit: field ClientCertificate: there is no ClientKey")
	s.Refused(t, "POST", "/api/mirrors/m", `{"ArchiveURL":"https://v:q@archive.example.org/debian/","Credentials":{"User":"u"}}`, 400,
		"unable to edit: Credentials: the URL of the archive has a user, too")
	s.Upstream.Root = "https://mirror.example.net/debian/"
	sent = nil
	edit(`{"ArchiveURL":"https://mirror.example.net/debian/"}`, "none")
	edit(`{"Headers":{"X-Token":"4"}}`, there+" : map[X-Token:4] false")
	s.Upstream.Root = apptest.UpstreamRoot
	edit(`{"ArchiveURL":"https://archive.example.org/debian/","Credentials":{"User":"u"}}`, here+" u: map[] false")
	s.Must(t, "PUT", "/api/mirrors/m", `{"Name":"n"}`, nil)
	s.Must(t, "PUT", "/api/mirrors/n", `{"Name":"m"}`, nil)
	edit(`{}`, here+" u: map[] false")
	s.Must(t, "DELETE", "/api/mirrors/m", "", nil)
	if rows := m.Rows("mirror"); len(rows) > 0 {
		t.Errorf("left %v", rows)
	}
}

// TestPasswordInOldRowMovesToSecrets reads an old row with a user in the URL. The
// user is sent and never shown. The first edit moves it to the secrets.
func TestPasswordInOldRowMovesToSecrets(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m))
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Archive(t)
	s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
	for name, data := range m.Rows("mirror") {
		uuid, ok := strings.CutPrefix(name, "mirror/")
		if !ok {
			continue
		}
		var row map[string]any
		if err := json.Unmarshal([]byte(data), &row); err != nil {
			t.Fatal(err)
		}
		row["ArchiveRoot"] = "https://u:p@archive.example.org/debian/"
		former := driver.Row{Key: driver.Key{Part: "mirror", Sort: uuid}, Data: []byte(apptest.JSON(row))}
		if err := m.Table.Put(t.Context(), former); err != nil {
			t.Fatal(err)
		}
	}
	s.Upstream.Root = "https://u:p@archive.example.org/debian/"
	s.Must(t, "PUT", "/api/mirrors/m", "{}", nil)
	s.Upstream.Root = apptest.UpstreamRoot
	s.Upstream.Admits = func(a *upstream.Access) bool { return a != nil && a.User == "u" && a.Password == "p" }
	r := httptest.NewRecorder()
	s.Handler.ServeHTTP(r, httptest.NewRequest("GET", "/api/mirrors/m", nil))
	if got := r.Body.String(); !strings.Contains(got, `"ArchiveRoot":"https://archive.example.org/debian/"`) || !strings.Contains(got, `"HasCredentials":true`) {
		t.Errorf("shown as %s", got)
	}
	s.Must(t, "POST", "/api/mirrors/m", `{"Filter":"hello"}`, nil)
	s.Must(t, "PUT", "/api/mirrors/m", "{}", nil)
	rows := m.Rows("mirror")
	for name, data := range rows {
		if strings.Contains(data, "u:p@") {
			t.Errorf("row %s: %s", name, data)
		}
	}
	if len(rows) != 3 {
		t.Errorf("rows %v", rows)
	}
}

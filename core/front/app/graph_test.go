package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestGraphDrawsWhatIsThere holds the graph of all objects and their sources, as DOT and
// rendered.
func TestGraphDrawsWhatIsThere(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	b := &breakage{}
	var drawn string
	s := apptest.New(t, app.Drivers{Blobs: m.Blobs, Table: breakingTable{m.Table, b}, Queue: m.Queue}, func(c *app.Config) {
		c.Draw = func(_ context.Context, format string, dot []byte) ([]byte, error) {
			if format == "none" {
				return nil, errors.New(`Format: "none" not recognized.`)
			}
			drawn = string(dot)
			return []byte("picture as " + format), nil
		}
	})
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Want(t, "GET", "/api/graph.dot", "", 200, "digraph aptly {\n}\n")
	s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "amd64"))
	s.Fill(t, "gone")
	s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s","Description":"the \"first\""}`, nil)
	s.Must(t, "POST", "/api/repos/gone/snapshots", `{"Name":"t"}`, nil)
	s.Must(t, "POST", "/api/snapshots/u/merge", `{"Sources":["s","t"]}`, nil)
	s.Must(t, "DELETE", "/api/repos/gone?force=1", "", nil)
	s.Must(t, "POST", "/api/publish/a_b", `{"SourceKind":"local","Distribution":"x","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, nil)
	s.Must(t, "POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"y","Sources":[{"Name":"u","Component":"main"},{"Name":"s","Component":"extra"}],`+apptest.Unsigned+`}`, nil)

	_, dot := s.Ask(t, "GET", "/api/graph.dot", "")
	ids := map[string]string{}
	node := regexp.MustCompile(`(?m)^\t"([0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})" \[fillcolor=(\w+), label="\{(.*)\}", shape=Mrecord, style=filled\];$`)
	for _, found := range node.FindAllStringSubmatch(dot, -1) {
		ids[found[2]+" "+found[3]] = found[1]
	}
	name := func(id string) string {
		for label, of := range ids {
			if of == id {
				return strings.Fields(label)[2]
			}
		}
		return id
	}
	for _, label := range []string{
		"mediumseagreen Repo r|comment: |pkgs: 2", `cadetblue1 Snapshot s|the \"first\"|pkgs: 2`, "cadetblue1 Snapshot t|Snapshot from local repo [gone]|pkgs: 0",
		"cadetblue1 Snapshot u|Merged from sources: 's', 't'|pkgs: 2", "darkolivegreen1 Published a/b/x|comp: main|arch: amd64",
		"darkolivegreen1 Published ./y|comp: extra main|arch: amd64",
	} {
		if ids[label] == "" {
			t.Errorf("no node %s in %s", label, dot)
		}
	}
	edges := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^\t"(.*)"->"(.*)";$`).FindAllStringSubmatch(dot, -1) {
		edges[strings.Split(name(found[1]), "|")[0]+" "+strings.Split(name(found[2]), "|")[0]] = true
	}
	if got := fmt.Sprint(edges); got != "map[r a/b/x:true r s:true s ./y:true s u:true t u:true u ./y:true]" {
		t.Error(got)
	}

	get := func(path string, code int, contentType, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if w.Code != code || w.Header().Get("Content-Type") != contentType || w.Body.String() != body {
			t.Errorf("%s: %d %s %s", path, w.Code, w.Header(), w.Body)
		}
	}
	vertical := strings.NewReplacer(`"{`, `"`, `}"`, `"`, "aptly {\n", "aptly {\n\trankdir=LR;\n").Replace(dot)
	get("/api/graph.gv", 200, "text/plain; charset=utf-8", dot)
	get("/api/graph.gv?layout=horizontal", 200, "text/plain; charset=utf-8", dot)
	get("/api/graph.gv?layout=vertical", 200, "text/plain; charset=utf-8", vertical)
	get("/api/graph.svg", 200, "image/svg+xml", "picture as svg")
	if drawn != dot {
		t.Errorf("drawn %s", drawn)
	}
	get("/api/graph.png?layout=vertical", 200, "image/png", "picture as png")
	if drawn != vertical {
		t.Errorf("drawn %s", drawn)
	}
	get("/api/graph.pdf", 200, "application/pdf", "picture as pdf")
	get("/api/graph.x-y", 200, "application/octet-stream", "picture as x-y")
	s.Refused(t, "GET", "/api/graph.none", "", 500, `unable to execute dot: Format: "none" not recognized. (is graphviz package installed?)`)
	b.broken, b.rows, b.part = true, 1, "snapshot"
	get("/api/graph.dot", 500, "application/json; charset=utf-8", "{}")
}

// TestGraphWithoutProgram holds that a picture is refused if dot is not installed.
func TestGraphWithoutProgram(t *testing.T) {
	m := drivertest.NewMemory(time.Now)
	s := apptest.New(t, apptest.On(m))
	s.Refused(t, "GET", "/api/graph.png", "", 500, `unable to execute dot: exec: "dot": executable file not found in $PATH (is graphviz package installed?)`)
	for _, path := range []string{"/api/graph", "/api/graph."} {
		s.Want(t, "GET", path, "", 404, "404 page not found")
	}
}

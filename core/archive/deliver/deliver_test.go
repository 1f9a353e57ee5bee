package deliver_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// answer is the answer to a delivery.
type answer struct {
	FailedFiles []string
	Report      struct{ Warnings, Added, Removed []string }
	Publication *struct{ Distribution, Path string }
}

// rig is a process on a Memory, with published repositories r and q.
type rig struct {
	*apptest.Process
	memory *drivertest.Memory
}

func newRig(t *testing.T, set ...func(*app.Config)) *rig {
	t.Helper()
	m := drivertest.NewMemory(time.Now)
	r := &rig{apptest.New(t, apptest.On(m), set...), m}
	r.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, r.Dispatcher.Handle, 8) })
	for _, name := range []string{"r", "q", "alone"} {
		r.Fill(t, name, apptest.Deb("first-"+name, "1", "amd64"))
	}
	r.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
	for prefix, body := range map[string]string{
		".": `{"SourceKind":"local","Distribution":"stable","Sources":[{"Name":"r","Component":"main"},{"Name":"q","Component":"more"}]}`,
		"x": `{"SourceKind":"snapshot","Distribution":"stable","Sources":[{"Name":"s"}]}`,
	} {
		r.Must(t, "POST", "/api/publish/:"+prefix, body, nil)
	}
	return r
}

// deliver sends a form with files.
func (r *rig) deliver(t *testing.T, path string, files map[string][]byte) (int, string) {
	t.Helper()
	body, contentType, err := apptest.FormOf(files)
	if err != nil {
		t.Fatal(err)
	}
	return r.Send(t, "POST", "/api/upload/"+path, contentType, body)
}

// state returns everything that a delivery may change or leave.
func (r *rig) state() map[string]string {
	state := r.memory.Objects("public/")
	for _, part := range []string{"repo", "publish", "upload", "staging", "calendar", "lock", "ref", "pool/"} {
		maps.Copy(state, r.memory.Rows(part))
	}
	return state
}

const stableIndex = "dists/stable/main/binary-amd64/Packages"

// TestDeliveryImportsAndPublishes delivers a form and a single file. The answer
// has the report and the publication. No upload is left.
func TestDeliveryImportsAndPublishes(t *testing.T) {
	r := newRig(t)
	code, text := r.deliver(t, "r?publish=./stable", map[string][]byte{
		"aa_1_amd64.deb": apptest.Deb("aa", "1", "amd64"), "bb_1_amd64.deb": apptest.Deb("bb", "1", "amd64"), "notes.txt": []byte("x")})
	var got answer
	if err := json.Unmarshal([]byte(text), &got); code != 200 || err != nil || len(got.Report.Added) != 2 || got.Publication == nil || got.Publication.Path != "./stable" {
		t.Fatalf("%d %s", code, text)
	}
	if len(got.Report.Warnings) != 1 || !strings.Contains(got.Report.Warnings[0], "notes.txt") {
		t.Errorf("warnings %q, want one of the file that is ignored", got.Report.Warnings)
	}
	code, text = r.Send(t, "POST", "/api/upload/r?publish=stable&file=cc_1_amd64.deb", "application/octet-stream", apptest.Deb("cc", "1", "amd64"))
	if code != 200 || !strings.Contains(text, "cc_1_amd64 added") {
		t.Fatalf("%d %s", code, text)
	}
	code, text = r.deliver(t, "alone", map[string][]byte{"dd_1_amd64.deb": apptest.Deb("dd", "1", "amd64")})
	if code != 200 || strings.Contains(text, "Publication") || !strings.Contains(text, "dd_1_amd64 added") {
		t.Fatalf("%d %s", code, text)
	}
	if index := r.File(t, "/"+stableIndex); strings.Count(index, "Package: ") != 4 {
		t.Errorf("published:\n%s", index)
	}
	if _, err := apptest.VerifyTree(r.memory.Objects("public/"), "stable"); err != nil {
		t.Error(err)
	}
	if rows := r.memory.Rows("upload"); len(rows) > 0 {
		t.Errorf("uploads are left: %v", slices.Collect(maps.Keys(rows)))
	}
	r.Want(t, "GET", "/api/files", "", 200, "[]")
	if rows := r.memory.Rows("calendar"); len(rows) > 0 {
		t.Errorf("something is owed: %v", rows)
	}
}

// TestDeliveryOfNothingNewPublishesNothing delivers a package that is published. No public
// file and no row of the publication changes.
func TestDeliveryOfNothingNewPublishesNothing(t *testing.T) {
	r := newRig(t)
	files := map[string][]byte{"aa_1_amd64.deb": apptest.Deb("aa", "1", "amd64")}
	for i, same := range []bool{false, true} {
		before := r.state()
		code, text := r.deliver(t, "r?publish=./stable", files)
		if code != 200 || !strings.Contains(text, `"Path":"./stable"`) || !strings.Contains(text, "aa_1_amd64 added") {
			t.Fatalf("delivery %d: %d %s", i, code, text)
		}
		if d := apptest.Difference(r.state(), before); (d == "") != same {
			t.Errorf("delivery %d changes %q", i, d)
		}
	}
	if rows := r.memory.Rows("upload"); len(rows) > 0 {
		t.Errorf("uploads are left: %v", slices.Collect(maps.Keys(rows)))
	}
}

// TestRefusedDeliveryChangesNothing refuses deliveries before and in their task.
// Repositories, publications, published files and uploads are unchanged.
func TestRefusedDeliveryChangesNothing(t *testing.T) {
	good := map[string][]byte{"aa_1_amd64.deb": apptest.Deb("aa", "1", "amd64")}
	with := func(name string, data []byte) map[string][]byte {
		files := maps.Clone(good)
		files[name] = data
		return files
	}
	other := debtest.Deb(debtest.Spec{Package: "first-r", Version: "1", Architecture: "amd64", Fields: map[string]string{"Homepage": "https://example.org/"}})
	r := newRig(t)
	r.Must(t, "POST", "/api/publish/:.", `{"SourceKind":"local","Distribution":"apart","Sources":[{"Name":"alone"}]}`, nil)
	for _, c := range []struct {
		about, path string
		files       map[string][]byte
		code        int
		text        string
	}{
		{"no package", "r?publish=./stable", with("bad_1_amd64.deb", []byte("no package")), 400, "bad_1_amd64.deb"},
		{"no package, import alone", "r", with("bad_1_amd64.deb", []byte("no package")), 400, "1 of 2 files"},
		{"another package of that name and version", "r?publish=./stable", with("first-r_1_amd64.deb", other), 400, "already exists and is different"},
		{"a path that another publication has", "alone?publish=./apart", with("p0.deb", other), 0, "file already exists and is different"},
		{"nothing to import", "r?publish=./stable", map[string][]byte{"a.txt": nil}, 400, "there is no package among the files"},
		{"no files", "r?publish=./stable", map[string][]byte{}, 400, "no file in the form"},
		{"no repository", "none?publish=./stable", good, 404, "local repo with name none not found"},
		{"no publication", "r?publish=./none", good, 404, "not found"},
		{"no distribution", "r?publish=x/", good, 400, "names no distribution"},
		{"another repository's publication", "alone?publish=./stable", good, 400, "has no component of local repo alone"},
		{"a snapshot's publication", "r?publish=x/stable", good, 400, "has no component of local repo r"},
	} {
		t.Run(c.about, func(t *testing.T) {
			before := r.state()
			code, text := r.deliver(t, c.path, c.files)
			if code != c.code && c.code != 0 || !strings.Contains(text, c.text) {
				t.Errorf("%d %s, want %d with %q", code, text, c.code, c.text)
			}
			if d := apptest.Difference(r.state(), before); d != "" {
				t.Error(d)
			}
		})
	}
	for query, text := range map[string]string{"": "a form (multipart/form-data) with files is wanted", "?file=" + url.QueryEscape("../a.deb"): "wrong file"} {
		before := r.state()
		code, got := r.Send(t, "POST", "/api/upload/r"+query, "application/octet-stream", good["aa_1_amd64.deb"])
		if code != 400 || !strings.Contains(got, text) || apptest.Difference(r.state(), before) != "" {
			t.Errorf("%s: %d %s", query, code, got)
		}
	}
}

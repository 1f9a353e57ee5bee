package app_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/core/front/auth"
)

// uploaders are the grants of a client that uploads into any directory and imports into
// one repository.
func uploaders(repo string) auth.Grant { return auth.Grant{Role: auth.Uploader, Repos: []string{repo}} }

// imported returns the answer to an import of a directory.
func (g *guarded) imported(t *testing.T, token, repo, path string) string {
	t.Helper()
	return g.must(t, token, "POST", "/api/repos/"+repo+"/file/"+path, "")
}

// TestDirectoryOfAnotherOwnerIsNotUsed: B neither writes, lists, removes nor imports the
// uploads of A. A missing directory is answered alike where nothing is written.
func TestDirectoryOfAnotherOwnerIsNotUsed(t *testing.T) {
	g := newGuarded(t).works(t)
	a, b, sameOwner := g.tokenOf(t, "a", uploaders("ra")), g.tokenOf(t, "b", uploaders("rb")), g.tokenOf(t, "a", uploaders("ra"))
	manager := g.token(t, auth.Grant{Can: []auth.Permission{auth.FilesManage, auth.FilesWrite, auth.RepoImport}})
	for _, name := range []string{"ra", "rb"} {
		g.must(t, g.root, "POST", "/api/repos", `{"Name":"`+name+`"}`)
	}
	deb := string(debtest.Deb(debtest.Spec{}))
	g.must(t, a, "PUT", "/api/files/d/hello.deb", deb)
	for _, c := range []struct{ method, path string }{{"PUT", "/api/files/d/other.deb"}, {"PUT", "/api/files/d/hello.deb"}, {"DELETE", "/api/files/d"},
		{"DELETE", "/api/files/d/hello.deb"}, {"PUT", "/api/files/d%2Fsub/x.deb"}} {
		g.refused(t, b, c.method, c.path, deb, 403, "/aptless/upload/d belongs to another owner")
	}
	code, there := g.as(b, "GET", "/api/files/d", "")
	if _, missing := g.as(b, "GET", "/api/files/e", ""); code != 404 || strings.ReplaceAll(missing, "/e", "/d") != there {
		t.Errorf("GET: %d %s, of a missing directory %s", code, there, missing)
	}
	if list := g.must(t, b, "GET", "/api/files", ""); list != "[]" {
		t.Errorf("directories of b: %s", list)
	}
	for _, path := range []string{"%s", "%s/hello.deb"} {
		there, missing := g.imported(t, b, "rb", fmt.Sprintf(path, "d")), g.imported(t, b, "rb", fmt.Sprintf(path, "e"))
		if strings.ReplaceAll(missing, "upload/e", "upload/d") != there || strings.Contains(there, " added") {
			t.Errorf("import: %s, of a missing directory %s", there, missing)
		}
	}
	if names := g.must(t, sameOwner, "GET", "/api/files/d", ""); names != `["hello.deb"]` {
		t.Errorf("the same owner lists %s", names)
	}
	g.must(t, manager, "PUT", "/api/files/d/more.deb", string(debtest.Deb(debtest.Spec{Package: "more"})))
	if list := g.must(t, manager, "GET", "/api/files", ""); list != `["d"]` {
		t.Errorf("directories of the manager: %s", list)
	}
	if answer := g.imported(t, a, "ra", "d"); strings.Count(answer, " added") != 2 {
		t.Errorf("import by the owner: %s", answer)
	}
	g.must(t, b, "PUT", "/api/files/d/hello.deb", deb) // the import has removed the directory
	if code, _ := g.as(a, "GET", "/api/files/d", ""); code != 404 {
		t.Errorf("A lists the directory of B: %d", code)
	}
	if answer := g.imported(t, manager, "rb", "d"); strings.Count(answer, " added") != 1 {
		t.Errorf("import by the manager: %s", answer)
	}
}

// TestImportThatWaitedTakesNoFileOfAnother: A admits an import and removes its directory,
// and B claims the name before a worker begins.
func TestImportThatWaitedTakesNoFileOfAnother(t *testing.T) {
	g := newGuarded(t)
	g.must(t, g.root, "POST", "/api/repos?_async=1", `{"Name":"ra"}`)
	g.drain(t)
	a, b := g.tokenOf(t, "a", uploaders("ra")), g.tokenOf(t, "b", uploaders("rb"))
	deb := string(debtest.Deb(debtest.Spec{}))
	g.must(t, a, "PUT", "/api/files/d/own.deb", deb)
	g.must(t, a, "POST", "/api/repos/ra/file/d?_async=1", "")
	g.must(t, a, "DELETE", "/api/files/d", "")
	g.must(t, b, "PUT", "/api/files/d/hello.deb", deb)
	g.drain(t)
	if list := g.must(t, g.root, "GET", "/api/repos/ra/packages", ""); list != "[]" {
		t.Errorf("A has %s", list)
	}
	if names := g.must(t, b, "GET", "/api/files/d", ""); names != `["hello.deb"]` {
		t.Errorf("B has %s", names)
	}
}

// drain runs the tasks that were admitted.
func (g *guarded) drain(t *testing.T) {
	t.Helper()
	for {
		delivered, err := g.memory.Queue.Step(t.Context(), g.Dispatcher.Handle)
		if err != nil {
			t.Fatal(err)
		}
		if !delivered {
			return
		}
	}
}

// TestTwoOwnersMakeOneDirectoryAtOnce: one of them has it, and its files alone are there.
func TestTwoOwnersMakeOneDirectoryAtOnce(t *testing.T) {
	g := newGuarded(t)
	for round := range 20 {
		var wg sync.WaitGroup
		codes := map[string]int{}
		var mu sync.Mutex
		tokens := map[string]string{}
		for _, owner := range []string{"a", "b"} {
			tokens[owner] = g.tokenOf(t, owner, uploaders("r"))
		}
		path := fmt.Sprintf("/api/files/d%d", round)
		for owner, token := range tokens {
			wg.Go(func() {
				code, _ := g.as(token, "PUT", path+"/"+owner, owner)
				mu.Lock()
				defer mu.Unlock()
				codes[owner] = code
			})
		}
		wg.Wait()
		if codes["a"]+codes["b"] != 200+403 {
			t.Fatalf("statuses %v", codes)
		}
		for owner, token := range tokens {
			code, list := g.as(token, "GET", path, "")
			if has := codes[owner] == 200; has && list != `["`+owner+`"]` || !has && code != 404 {
				t.Errorf("%s, which was answered %d, lists %d %s", owner, codes[owner], code, list)
			}
		}
	}
}

// TestAnnouncedUploadIsConfirmedByItsOwner alone. Another owner cannot even claim the
// directory between the announcement and the confirmation.
func TestAnnouncedUploadIsConfirmedByItsOwner(t *testing.T) {
	m, root := drivertest.NewMemory(time.Now), auth.NewSecret(auth.API)
	d := apptest.On(m)
	d.Blobs = &drivertest.Direct{Blobs: d.Blobs}
	g := &guarded{memory: m, root: root, Process: apptest.New(t, d, func(c *app.Config) { c.Auth = &app.Auth{Closed: true, Environment: auth.Digest(root)} })}
	a, b := g.tokenOf(t, "a", uploaders("r")), g.tokenOf(t, "b", uploaders("r"))
	sum := sha256.Sum256([]byte("bytes"))
	list := fmt.Sprintf(`[{"name":"x.deb","size":5,"sha256":%q}]`, hex.EncodeToString(sum[:]))
	var to []struct{ URL string }
	if err := json.Unmarshal([]byte(g.must(t, a, "POST", "/api/files/d", list)), &to); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Blobs.Put(t.Context(), to[0].URL, strings.NewReader("bytes"), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/files/d?confirm=1", "/api/files/d"} {
		g.refused(t, b, "POST", path, list, 403, "/aptless/upload/d belongs to another owner")
	}
	if names := g.must(t, a, "POST", "/api/files/d?confirm=1", list); names != `["d/x.deb"]` {
		t.Error(names)
	}
	g.refused(t, b, "POST", "/api/files/d?confirm=1", list, 403, "/aptless/upload/d belongs to another owner")
	g.must(t, a, "POST", "/api/files/e", list)
	g.must(t, a, "DELETE", "/api/files/e", "") // ends the claim, and leaves the announcement
	g.refused(t, b, "POST", "/api/files/e?confirm=1", list, 403, "/aptless/upload/e/x.deb belongs to another owner")
}

// TestDirectoryFromBeforeAuthenticationIsForManagers: it has no owner.
func TestDirectoryFromBeforeAuthenticationIsForManagers(t *testing.T) {
	g := newGuarded(t)
	open := apptest.New(t, apptest.On(g.memory))
	open.MustUpload(t, "old", map[string][]byte{"x.deb": []byte("x")})
	g.refused(t, g.token(t, uploaders("r")), "PUT", "/api/files/old/y.deb", "y", 403, "/aptless/upload/old belongs to another owner")
	if names := g.must(t, g.root, "GET", "/api/files/old", ""); names != `["x.deb"]` {
		t.Error(names)
	}
}

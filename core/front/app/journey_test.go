package app

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
)

// buildDeb builds a package with one file (deb(5)).
func buildDeb(name, version, arch string) []byte {
	archive := func(file, text string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		w.WriteHeader(&tar.Header{Name: file, Size: int64(len(text)), Mode: 0o644})
		io.WriteString(w, text)
		w.Close()
		return b.Bytes()
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar", archive("./control", fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: A <a@example.org>\nDescription: d\n", name, version, arch))},
		{"data.tar", archive("./usr/share/"+name, version)},
	} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
	}
	return b.Bytes()
}

// process is aptless on the storage of an Env: one that is discarded when a
// call of it fails.
type process struct {
	*App
	env *drivertest.Env
	ctx context.Context
}

var signingTime = time.Date(2010, 1, 2, 3, 4, 5, 0, time.UTC)

func testSigner(t testing.TB) pgp.Signer {
	key, err := pgp.Generate("Test", "test@example.org", pgp.Ed25519, signingTime)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func start(ctx context.Context, env *drivertest.Env, signer pgp.Signer, set ...func(*Config)) (*process, error) {
	c := Config{Version: "test", Async: true, Log: slog.New(slog.DiscardHandler), Now: env.Clock.Now,
		Sleep: func(_ context.Context, d time.Duration) error {
			env.Clock.Advance(d)
			return nil
		}}
	for _, f := range set {
		f(&c)
	}
	a, err := New(ctx, Drivers{env.Blobs, env.Table, env.Queue}, signer, c)
	if err != nil {
		return nil, err
	}
	return &process{a, env, ctx}, nil
}

// do sends a request, and an error for any status of 400 and above.
func (p *process) do(method, path, contentType string, body []byte) ([]byte, error) {
	r := httptest.NewRequestWithContext(p.ctx, method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	p.Handler.ServeHTTP(w, r)
	if w.Code >= 400 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.Bytes(), nil
}

func (p *process) upload(dir string, files map[string][]byte) error {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for name, data := range files {
		w, _ := form.CreateFormFile("file", name)
		w.Write(data)
	}
	form.Close()
	_, err := p.do("POST", "/api/files/"+dir, form.FormDataContentType(), b.Bytes())
	return err
}

// drain delivers what is due.
func (p *process) drain() error { return p.env.Drain(p.ctx, p.Dispatcher.Handle) }

// step is a request of a journey and the drain after it.
func (p *process) step(method, path, body string) error {
	if _, err := p.do(method, path, "application/json", []byte(body)); err != nil {
		return err
	}
	if err := p.drain(); err != nil {
		return err
	}
	return ended(p)
}

// verifyTree reads a published distribution as apt would and returns the
// packages in it by architecture.
func verifyTree(objects map[string]string, dist string) (map[string][]string, error) {
	root := "public/dists/" + dist + "/"
	release, ok := objects[root+"Release"]
	if !ok {
		return nil, fmt.Errorf("no Release")
	}
	text, signed, err := pgp.StripClearsign([]byte(objects[root+"InRelease"]))
	if err != nil || !signed || strings.TrimRight(string(text), "\n") != strings.TrimRight(release, "\n") {
		return nil, fmt.Errorf("InRelease is not Release, signed: %v", err)
	}
	found := map[string][]string{}
	_, sums, _ := strings.Cut(release, "SHA256:\n")
	sums, _, _ = strings.Cut(sums, "SHA512:")
	for line := range strings.Lines(sums) {
		var sum, name string
		var size int
		if _, err := fmt.Sscanf(line, "%s %d %s", &sum, &size, &name); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		if base := path.Base(name); strings.HasPrefix(base, "Contents-") && !strings.HasSuffix(base, ".gz") {
			continue // listed, and not in the tree
		}
		for _, key := range []string{root + name, path.Join(root, path.Dir(name), "by-hash/SHA256", sum)} {
			h := deb.NewHasher()
			io.WriteString(h, objects[key])
			if f := h.File(""); f.SHA256 != sum || f.Size != int64(size) {
				return nil, fmt.Errorf("%s is not as Release says", key)
			}
		}
		if !strings.HasSuffix(name, "/Packages") {
			continue
		}
		for stanza := range strings.SplitSeq(objects[root+name], "\n\n") {
			p, err := deb.ParseParagraph(stanza, deb.ModeControl)
			if err != nil {
				return nil, err
			}
			if p.Get("Package") == "" {
				continue
			}
			h := deb.NewHasher()
			io.WriteString(h, objects["public/"+p.Get("Filename")])
			if h.File("").SHA256 != p.Get("SHA256") {
				return nil, fmt.Errorf("%s is not as %s says", p.Get("Filename"), name)
			}
			found[name] = append(found[name], p.Get("Package")+"="+p.Get("Version"))
		}
	}
	return found, nil
}

func (p *process) resume() error {
	if err := p.Dispatcher.Resend(p.ctx, true); err != nil {
		return err
	}
	return p.drain()
}

const publishBody = `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"r"}]}`

// TestSweepImport interrupts an import at every call of a port: the next
// process finishes it, and nothing is lost or done twice.
func TestSweepImport(t *testing.T) {
	t.Parallel()
	signer := testSigner(t)
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
				return err
			}
			return p.upload("d", map[string][]byte{"a_1_all.deb": buildDeb("aa", "1", "all"), "b_1_amd64.deb": buildDeb("bb", "1", "amd64"), "bad.deb": []byte("no package")})
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.step("POST", "/api/repos/r/file/d", "")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.resume(); err != nil {
				return err
			}
			if tasks, err := p.do("GET", "/api/tasks", "", nil); err != nil || !strings.Contains(string(tasks), "Add packages") {
				return p.step("POST", "/api/repos/r/file/d", "") // it was not admitted: the client sends it again
			}
			return nil
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			var keys, files []string
			data, err := p.do("GET", "/api/repos/r/packages", "", nil)
			if err != nil || json.Unmarshal(data, &keys) != nil || len(keys) != 2 {
				return fmt.Errorf("packages %s, %v", data, err)
			}
			data, err = p.do("GET", "/api/files/d", "", nil)
			if err != nil || json.Unmarshal(data, &files) != nil || len(files) != 1 || files[0] != "bad.deb" {
				return fmt.Errorf("files %s, %v", data, err)
			}
			return ended(p)
		},
	})
}

// ended says whether all tasks have succeeded and given their locks back.
func ended(p *process) error {
	var tasks []struct{ ID, State int }
	data, err := p.do("GET", "/api/tasks", "", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &tasks); err != nil {
		return err
	}
	for _, t := range tasks {
		if t.State != 2 {
			out, _ := p.do("GET", fmt.Sprintf("/api/tasks/%d/output", t.ID), "", nil)
			return fmt.Errorf("task %d is in state %d: %s", t.ID, t.State, out)
		}
	}
	if rows := p.env.Memory.Rows("lock"); len(rows) > 0 {
		return fmt.Errorf("locks are left: %v", rows)
	}
	return nil
}

// TestSweepPublish interrupts the update of a publication, after a package was
// added and another removed, at every call of a port.
func TestSweepPublish(t *testing.T) {
	t.Parallel()
	signer := testSigner(t)
	verify := func(env *drivertest.Env) error {
		found, err := verifyTree(env.Memory.Objects("public/"), "stable")
		if err != nil {
			return err
		}
		if got := fmt.Sprint(found["main/binary-amd64/Packages"]); got != "[bb=1 cc=1]" {
			return fmt.Errorf("packages %s", got)
		}
		if _, ok := env.Memory.Objects("public/pool/")["public/pool/main/a/aa/a_1_all.deb"]; ok {
			return fmt.Errorf("the file of a package that is gone is left")
		}
		return nil
	}
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.upload("d", map[string][]byte{"a_1_all.deb": buildDeb("aa", "1", "all"), "b_1_amd64.deb": buildDeb("bb", "1", "amd64")}); err != nil {
				return err
			}
			for _, s := range [][3]string{{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos/r/file/d", ""}, {"POST", "/api/publish", publishBody}} {
				if err := p.step(s[0], s[1], s[2]); err != nil {
					return err
				}
			}
			if err := p.upload("d", map[string][]byte{"c_1_amd64.deb": buildDeb("cc", "1", "amd64")}); err != nil {
				return err
			}
			if err := p.step("POST", "/api/repos/r/file/d", ""); err != nil {
				return err
			}
			data, err := p.do("GET", "/api/repos/r/packages", "", nil)
			if err != nil {
				return err
			}
			var keys []string
			if err := json.Unmarshal(data, &keys); err != nil || len(keys) != 3 {
				return fmt.Errorf("packages %s, %v", data, err)
			}
			env.Clock.Advance(time.Minute)
			return p.step("DELETE", "/api/repos/r/packages", fmt.Sprintf(`{"PackageRefs":[%q]}`, keys[0]))
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.step("PUT", "/api/publish/:./stable", "{}")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.resume(); err != nil {
				return err
			}
			if verify(env) != nil { // it was not admitted: the client sends it again
				env.Clock.Advance(time.Minute)
				return p.step("PUT", "/api/publish/:./stable", "{}")
			}
			return nil
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			if err := ended(p); err != nil {
				return err
			}
			return verify(env)
		},
	})
}

// TestDropLeavesNothing publishes two distributions of one prefix, and drops
// one and then the other: the first leaves what the second uses, the second
// leaves nothing.
func TestDropLeavesNothing(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := start(t.Context(), env, testSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.upload("d", map[string][]byte{"a_1_all.deb": buildDeb("aa", "1", "all")}); err != nil {
		t.Fatal(err)
	}
	for _, s := range [][3]string{
		{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos/r/file/d", ""}, {"POST", "/api/publish", publishBody},
		{"POST", "/api/publish", strings.Replace(publishBody, "stable", "stable/updates", 1)},
		{"DELETE", "/api/publish/:./stable", ""},
	} {
		if err := p.step(s[0], s[1], s[2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := ended(p); err != nil {
		t.Fatal(err)
	}
	if found, err := verifyTree(env.Memory.Objects("public/"), "stable/updates"); err != nil || len(found) != 1 {
		t.Errorf("the other distribution: %v, %v", found, err)
	}
	if err := p.step("DELETE", "/api/repos/r", ""); err == nil || !strings.Contains(err.Error(), "unable to drop, local repo is published") {
		t.Errorf("drop of a published repository: %v", err)
	}
	if _, err := p.do("POST", "/api/tasks-clear", "", nil); err != nil {
		t.Fatal(err)
	}
	if err := p.step("DELETE", "/api/publish/:./stable_updates", ""); err != nil {
		t.Fatal(err)
	}
	for key := range env.Memory.Objects("public/") {
		t.Errorf("%s is left", key)
	}
}

package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/front/api"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// before puts a proxy before the server of a bench.
func (b *bench) before(t *testing.T, proxy func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proxy(w, r, b.Handler) }))
	t.Cleanup(s.Close)
	b.url, b.env["APTLESS_URL"] = s.URL, s.URL
}

// only returns a proxy that changes the answers to some paths.
func only(part string, change func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, part) && !strings.HasPrefix(r.URL.Path, "/api/") {
			change(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// cut answers with the first half of a body.
func cut(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
}

// illness is a fault that a user makes. set changes the server, and make the rest. want is
// a part of the line of doctor.
type illness struct {
	name string
	set  func(c *app.Config)
	make func(t *testing.T, b *bench, sources string)
	want string
}

// stanza writes a .sources file that differs from the right one by a replacement.
func stanza(old, fresh string) func(t *testing.T, b *bench, sources string) {
	return func(t *testing.T, b *bench, sources string) {
		t.Helper()
		right := b.must(t, "setup", "stable", "--for", "deb822")
		if !strings.Contains(right, old) {
			t.Fatalf("no %q in %s", old, right)
		}
		if err := os.WriteFile(filepath.Join(sources, "x.sources"), []byte(strings.Replace(right, old, fresh, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// signingKeyOf has the server tell another signing key.
func signingKeyOf(key string) func(t *testing.T, b *bench, _ string) {
	return func(t *testing.T, b *bench, _ string) {
		b.before(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path == "/api/signing-keys" {
				_, _ = w.Write([]byte("[" + key + "]"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func illnesses() []illness {
	space := func(free, total uint64) func(*app.Config) {
		return func(c *app.Config) {
			c.Space = func() (api.Space, error) { return api.Space{Total: total, Free: free}, nil }
		}
	}
	return []illness{
		{name: "none"},
		{name: "right source", make: stanza("Types: deb", "Types: deb")},
		{name: "clock", make: func(t *testing.T, b *bench, _ string) {
			b.before(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.URL.Path == "/api/version" {
					w.Header().Set("Date", time.Now().Add(5*time.Minute).UTC().Format(http.TimeFormat))
				}
				next.ServeHTTP(w, r)
			})
		}, want: "clock\tthe clocks of this machine and of the server differ by "},
		{name: "disk", set: space(10<<20, 100<<30), want: "disk\t10.0 MiB of 100.0 GiB are free"},
		{name: "expired key", make: signingKeyOf(`{"Fingerprint":"AB","Algorithm":"rsa4096","Expires":"2020-01-01T00:00:00Z","Problems":[]}`), want: "signing key AB\t"},
		{name: "SHA-1 self-signature", make: signingKeyOf(`{"Fingerprint":"AB","Algorithm":"rsa4096","Problems":[{"Code":"sha1-self-signature","Fatal":true,"Text":"apt refuses SHA-1"}]}`), want: "signing key AB\tapt refuses the key: apt refuses SHA-1"},
		{name: "proxy drops by-hash", make: func(t *testing.T, b *bench, _ string) {
			b.before(t, only("/by-hash/", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusNotFound) }))
		}, want: "HTTP status 404: apt may read old and new indexes together"},
		{name: "proxy cuts bodies", make: func(t *testing.T, b *bench, _ string) { b.before(t, only("Packages.gz", cut)) }, want: "a proxy cuts it"},
		{name: "proxy changes bytes", make: func(t *testing.T, b *bench, _ string) {
			b.before(t, only("Packages.gz", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				_, _ = w.Write(append(rec.Body.Bytes()[1:], 'x'))
			}))
		}, want: "has other bytes than its Release says"},
		{name: "proxy hides the tree", make: func(t *testing.T, b *bench, _ string) {
			b.before(t, only("/InRelease", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusBadGateway) }))
		}, want: "InRelease is answered with the HTTP status 502"},
		{name: "expiring Release", make: func(t *testing.T, b *bench, _ string) { b.must(t, "publish", "update", "--valid-for=2h", "stable") }, want: "publication ./stable\tits Release expires on "},
		{name: "unsigned publication", make: func(t *testing.T, b *bench, _ string) {
			b.must(t, "publish", "update", "--skip-signing", "--label=x", "stable")
		}, want: "publication ./stable\tThe publication is not signed: apt refuses it."},
		{name: "unreachable mirror", make: func(t *testing.T, b *bench, _ string) {
			b.Archive(t)
			b.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
			b.Must(t, "PUT", "/api/mirrors/m", "{}", nil)
		}, want: "mirror m\thttps://archive.example.org/debian/dists/stable/ is not reached from this machine: "},
		{name: "unknown suite", make: stanza("Suites: stable", "Suites: sid"), want: "there is no distribution sid at "},
		{name: "unknown component", make: stanza("Components: main", "Components: main contrib"), want: "stable has no component contrib, but main"},
		{name: "wrong prefix", make: func(t *testing.T, b *bench, sources string) {
			stanza("URIs: "+b.url, "URIs: "+b.url+"/none")(t, b, sources)
		}, want: "there is no publication at "},
		{name: "another key", make: stanza("\n =", "\n =A"), want: "the key in Signed-By is not the key that signs ./stable"},
		{name: "key file that is gone", make: func(t *testing.T, b *bench, sources string) {
			right := b.must(t, "setup", "stable", "--for", "deb822")
			right, _, _ = strings.Cut(right, "Signed-By:")
			if err := os.WriteFile(filepath.Join(sources, "x.sources"), []byte(right+"Signed-By: /none.asc\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: "the key file of Signed-By cannot be read"},
		{name: "no key", make: func(t *testing.T, b *bench, sources string) {
			right := b.must(t, "setup", "stable", "--for", "deb822")
			right, _, _ = strings.Cut(right, "Signed-By:")
			if err := os.WriteFile(filepath.Join(sources, "x.sources"), []byte(right), 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: "it has no Signed-By"},
		{name: "failed task", make: func(t *testing.T, b *bench, _ string) {
			if r := b.aptless(t, "repo", "copy", "r", "q", "none"); r.code == 0 {
				t.Fatal("the copy has not failed")
			}
			b.Task(t, "POST", "/api/repos/q/copy/r/none", "{}")
		}, want: "tasks have failed in the last day"},
	}
}

// TestDoctorFindsEachFault: doctor names the fault and no other, and a sound server has
// none.
func TestDoctorFindsEachFault(t *testing.T) {
	for _, ill := range illnesses() {
		t.Run(ill.name, func(t *testing.T) {
			var set []func(*app.Config)
			if ill.set != nil {
				set = append(set, ill.set)
			}
			b, dir, sources := newBench(t, set...), debs(t, "aa_1_amd64"), t.TempDir()
			b.must(t, "repo", "create", "q")
			b.must(t, "push", "--repo", "r", "--create", "--publish", "stable", dir)
			if ill.make != nil {
				ill.make(t, b, sources)
			}
			r := b.aptless(t, "doctor", "--sources", sources+"/*.sources")
			lines := strings.Count(r.out, "\n")
			switch {
			case ill.want == "" && (r.code != 0 || r.out != ""), ill.want != "" && (r.code != 1 || lines != 1 || !strings.Contains(r.out, ill.want)):
				t.Errorf("exit code %d, want %q\n%s%s", r.code, ill.want, r.out, r.err)
			}
		})
	}
}

// TestDoctorTellsMirrorsThatWereNeverUpdated, and prints JSON.
func TestDoctorTellsMirrorsThatWereNeverUpdated(t *testing.T) {
	b := newBench(t)
	b.Archive(t)
	b.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
	r := b.aptless(t, "doctor", "--json", "--sources", t.TempDir()+"/*")
	if r.code != 1 || !strings.Contains(r.out, `"about": "mirror m"`) || !strings.Contains(r.out, "it was never updated") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// TestManualPagesHaveAllCommands: each verb of the help has a page, and each flag is in it.
func TestManualPagesHaveAllCommands(t *testing.T) {
	b, dir := newBench(t), t.TempDir()
	b.must(t, "man", dir)
	for name, parts := range map[string][]string{
		"aptless":         {".It Xr aptless-repo 1", ".It Xr aptless-doctor 1", `\-\-url`, ".It 130"},
		"aptless-repo":    {".Ss repo add NAME FILE", `\-\-force\-replace`},
		"aptless-publish": {".Ss publish source add DISTRIBUTION", `\-\-if\-generation`},
		"aptless-push":    {".Ss push", `\-\-create`},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name+".1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			if !strings.Contains(string(text), strings.ReplaceAll(part, `\-\-`, `\-`)) && !strings.Contains(string(text), part) {
				t.Errorf("%s has no %s", name, part)
			}
		}
	}
	lint, err := exec.Command("sh", "-c", "mandoc -T lint -W warning "+dir+"/*.1").CombinedOutput()
	if err != nil || len(lint) > 0 {
		t.Errorf("mandoc: %v\n%s", err, lint)
	}
	pages, err := filepath.Glob(dir + "/*.1")
	if err != nil || len(pages) < 15 {
		t.Errorf("%d pages, %v", len(pages), err)
	}
}

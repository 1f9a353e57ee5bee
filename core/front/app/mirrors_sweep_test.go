package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/mirror"
	"aptless/core/archive/pool"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// mirroring is a world in which an archive changes that is mirrored.
type mirroring struct {
	signer      pgp.Signer
	before, now upstreamtest.Tree
	server      *upstreamtest.Server
	env         *drivertest.Env // of the process that runs
	again       []string        // files that were asked for although they are in the pool
}

func newMirroring(t *testing.T) *mirroring {
	w := &mirroring{signer: testSigner(t)}
	spec := archiveSpec(w.signer)
	spec.Extra = map[string][]byte{"main/dep11/Components-amd64.yml.gz": []byte("old")}
	w.before = upstreamtest.Build(spec)
	main := spec.Components["main"]
	main.Packages = []debtest.Spec{
		{Package: "hello", Version: "2.11-1", Architecture: "amd64"},
		{Package: "hello-data", Version: "1:2.10+b1"},
		{Package: "fresh", Architecture: "amd64"},
	}
	main.Sources = append(main.Sources, debtest.SourceSpec{Source: "hello", Version: "2.11-1"})
	spec.Components["main"] = main
	spec.Fields = map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
	spec.Extra = map[string][]byte{"main/dep11/Components-amd64.yml.gz": []byte("new"), "main/dep11/icons-64x64.tar.gz": []byte("icons")}
	w.now = upstreamtest.Build(spec)
	w.server = upstreamtest.Serve(upstreamRoot, w.before)
	w.server.Fault = func(path string, _ int, data []byte) ([]byte, error) {
		if !strings.HasPrefix(path, "pool/") && !strings.Contains(path, "/dep11/") || w.env == nil {
			return data, nil
		}
		h := deb.NewHasher()
		h.Write(data)
		key := pool.FileKey(h.File("").SHA256)
		if _, there := w.env.Memory.Objects(key)[key]; there {
			w.again = append(w.again, path)
		}
		return data, nil
	}
	return w
}

// start starts a process in the world. One file is fetched at a time, so that
// every run makes the same calls.
func (w *mirroring) start(ctx context.Context, env *drivertest.Env) (*process, error) {
	w.env = env
	return start(ctx, env, w.signer, func(c *Config) { c.Upstream, c.Mirrors.Parallel = w.server, 1 })
}

// begin makes a mirror, updates it and has the archive change.
func (w *mirroring) begin(ctx context.Context, env *drivertest.Env) error {
	w.server.Set(w.before)
	p, err := w.start(ctx, env)
	if err != nil {
		return err
	}
	var armor strings.Builder
	for _, k := range w.signer.PublicKeys() {
		armor.Write(k.Armor())
	}
	key, err := json.Marshal(map[string]string{"GpgKeyArmor": armor.String()})
	if err != nil {
		return err
	}
	_, keyErr := p.do("POST", "/api/gpg/key", "application/json", key)
	_, createErr := p.do("POST", "/api/mirrors", "application/json",
		[]byte(strings.TrimSuffix(createMirror, "}")+`,"DownloadSources":true,"DownloadUdebs":true,"DownloadAppStream":true}`))
	if err := errors.Join(keyErr, createErr, p.step("PUT", "/api/mirrors/m", "{}")); err != nil {
		return err
	}
	w.server.Set(w.now)
	return nil
}

// state is what there is of the mirror m, but for its uuid and times.
func (w *mirroring) state(env *drivertest.Env) (string, error) {
	var m mirror.Mirror
	for key, data := range env.Memory.Rows("mirror") {
		if !strings.HasPrefix(key, "mirror/") {
			continue // of a name, or of the calendar
		}
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			return "", err
		}
	}
	store := &mirror.Store{Table: env.Memory.Table, Pool: &pool.Store{Table: env.Memory.Table, Blobs: env.Memory.Blobs}}
	store.Lists.Chunks = &lists.Store{Blobs: env.Memory.Blobs, Cache: lists.NewCache(1 << 20), Epoch: func() int64 { return 0 }}
	list, err := store.Packages(context.Background(), m)
	if err != nil {
		return "", err
	}
	objects := env.Memory.Objects(pool.FilePrefix)
	var b strings.Builder
	for p, err := range list.All(context.Background()) {
		if err != nil {
			return "", err
		}
		rec, err := store.Pool.Record(context.Background(), p.Key())
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %v %s\n", p.Key(), rec.Paths, rec.NoPaths)
		for _, f := range p.Files {
			if data, ok := objects[pool.FileKey(f.SHA256)]; !ok || int64(len(data)) != f.Size || f.MD5 == "" || f.SHA1 == "" || f.SHA512 == "" {
				return "", fmt.Errorf("file %+v of %v: in the pool %v", f, p, ok)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(m.AppStreamFiles)) {
		fmt.Fprintf(&b, "%s %s\n", path, objects[pool.FileKey(m.AppStreamFiles[path])])
	}
	fmt.Fprintf(&b, "%v %v %v\n", m.Meta["Date"], m.Last, m.Updating)
	return b.String(), nil
}

// TestSweepMirror interrupts the update of a mirror at every call of a port:
// the next process finishes it, the mirror is what it is without interruption,
// and no file that is in the pool is fetched.
func TestSweepMirror(t *testing.T) {
	t.Parallel()
	w := newMirroring(t)
	want := ""
	drivertest.Sweep(t, drivertest.Journey{
		Setup: w.begin,
		Run: func(ctx context.Context, env *drivertest.Env) error {
			w.again = nil
			p, err := w.start(ctx, env)
			if err != nil {
				return err
			}
			return p.step("PUT", "/api/mirrors/m", "{}")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := w.start(ctx, env)
			if err != nil {
				return err
			}
			if err := p.resume(); err != nil {
				return err
			}
			return p.step("PUT", "/api/mirrors/m", "{}")
		},
		Verify: func(env *drivertest.Env, _ error) error {
			if len(w.again) > 0 {
				return fmt.Errorf("fetched again: %v", w.again)
			}
			p, err := w.start(context.Background(), env)
			if err != nil {
				return err
			}
			got, err := w.state(env)
			if want == "" {
				want = got
			}
			if err == nil && (got != want || !strings.Contains(got, "fresh") || !strings.Contains(got, "new\n") || !strings.Contains(got, "icons\n")) {
				err = fmt.Errorf("the mirror is\n%s\nwant\n%s", got, want)
			}
			return errors.Join(err, ended(p))
		},
	})
}

// weaken takes the SHA-256 of the packages out of the archive's index.
func (w *mirroring) weaken() {
	spec := archiveSpec(w.signer)
	spec.Suffixes = []string{""}
	delete(spec.Components, "contrib")
	const index = "main/binary-amd64/Packages"
	var kept []string
	for line := range strings.Lines(string(upstreamtest.Build(spec)["dists/stable/"+index])) {
		if !strings.HasPrefix(line, "SHA256:") {
			kept = append(kept, line)
		}
	}
	spec.Extra = map[string][]byte{index: []byte(strings.Join(kept, "")), "contrib/binary-amd64/Packages": nil, "contrib/debian-installer/binary-amd64/Packages": nil, "contrib/source/Sources": nil}
	spec.Fields = map[string]string{"Components": "contrib main", "Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
	w.now = upstreamtest.Build(spec)
	spec.Components, spec.Extra = map[string]upstreamtest.Component{"main": {}, "contrib": {}}, nil
	spec.Fields = nil
	w.before = upstreamtest.Build(spec)
}

// TestMirrorSlices updates a mirror in slices that are over after each file, and
// loses the process after each: nothing is fetched twice.
func TestMirrorSlices(t *testing.T) {
	t.Run("digests", func(t *testing.T) { updateInSlices(t, newMirroring(t)) })
	t.Run("weak digests", func(t *testing.T) {
		w := newMirroring(t)
		w.weaken()
		updateInSlices(t, w)
	})
}

func updateInSlices(t *testing.T, w *mirroring) {
	env := drivertest.NewEnv()
	if err := w.begin(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	spoil := w.server.Fault
	files := 0
	w.server.Fault = func(path string, before int, data []byte) ([]byte, error) {
		if strings.HasPrefix(path, "pool/") {
			files++
			env.Clock.Advance(time.Minute)
		}
		return spoil(path, before, data)
	}
	p, err := w.start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	p.Dispatcher.Slice = 30 * time.Second
	if _, err := p.do("PUT", "/api/mirrors/m", "application/json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	deliveries := 0
	for len(env.Memory.Queue.Pending()) > 0 {
		deliveries++
		if _, err := env.Memory.Queue.Step(t.Context(), p.Dispatcher.Handle); err != nil {
			t.Fatal(err)
		}
		if p, err = w.start(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		p.Dispatcher.Slice = 30 * time.Second
		if due, ok := env.Memory.Queue.Due(); ok {
			env.Clock.Advance(max(0, due.Sub(env.Clock.Now())))
		}
	}
	if files < 4 || deliveries < files || len(w.again) > 0 {
		t.Errorf("%d files in %d deliveries, again %v", files, deliveries, w.again)
	}
	if err := ended(p); err != nil {
		t.Error(err)
	}
	if _, err := w.state(env); err != nil {
		t.Error(err)
	}
}

// TestEditBetweenSlices edits a mirror while its update has no attempt that is
// alive: the update begins again with the settings that the mirror has.
func TestEditBetweenSlices(t *testing.T) {
	w := newMirroring(t)
	env := drivertest.NewEnv()
	if err := w.begin(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	p, err := w.start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	dying, die := context.WithCancel(t.Context())
	spoil := w.server.Fault
	w.server.Fault = func(path string, before int, data []byte) ([]byte, error) {
		if strings.HasSuffix(path, "hello_2.11-1_amd64.deb") {
			die()
		}
		return spoil(path, before, data)
	}
	if _, err := p.do("PUT", "/api/mirrors/m", "application/json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Memory.Queue.Step(dying, p.Dispatcher.Handle); err == nil {
		t.Fatal("the process did not die")
	}
	w.server.Fault = spoil
	if _, err := p.do("POST", "/api/mirrors/m", "application/json", []byte(`{"Filter":"Name (= fresh)"}`)); err == nil {
		t.Error("a mirror is edited while its update may be alive")
	}
	env.Clock.Advance(time.Hour)
	if p, err = w.start(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if _, err := p.do("POST", "/api/mirrors/m", "application/json", []byte(`{"Filter":"Name (= fresh)"}`)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(p.resume(), ended(p)); err != nil {
		t.Error(err)
	}
	data, err := p.do("GET", "/api/mirrors/m/packages", "", nil)
	if err != nil || !strings.HasPrefix(string(data), `["Pamd64 fresh 1.0 `) || strings.Contains(string(data), ",") {
		t.Errorf("packages %s, %v", data, err)
	}
	if len(w.again) > 0 {
		t.Errorf("fetched again: %v", w.again)
	}
}

// TestSweepMirrorRows interrupts the creation, the edit, the renaming and the
// removal of mirrors at every call of a port: what is left fits together, and the
// next process finishes it.
func TestSweepMirrorRows(t *testing.T) {
	t.Parallel()
	w := newMirroring(t)
	names := func(p *process) (map[string]bool, error) {
		var list []struct{ Name string }
		data, err := p.do("GET", "/api/mirrors", "", nil)
		if err == nil {
			err = json.Unmarshal(data, &list)
		}
		found := map[string]bool{}
		for _, m := range list {
			found[m.Name] = true
		}
		return found, err
	}
	todo := func(p *process) error {
		for _, c := range []struct {
			method, path, body string
			done               func(map[string]bool) bool
		}{
			{"POST", "/api/mirrors", strings.TrimSuffix(strings.Replace(createMirror, `"m"`, `"n"`, 1), "}") + `,"Schedule":"1d"}`,
				func(found map[string]bool) bool { return found["n"] || found["o"] }},
			{"POST", "/api/mirrors/n", `{"Filter":"fresh","Schedule":"2d"}`, func(found map[string]bool) bool { return !found["n"] }},
			{"PUT", "/api/mirrors/n", `{"Name":"o"}`, func(found map[string]bool) bool { return !found["n"] }},
			{"DELETE", "/api/mirrors/m", "", func(found map[string]bool) bool { return !found["m"] }},
		} {
			found, err := names(p)
			if err != nil {
				return err
			}
			if c.done(found) {
				continue
			}
			if err := p.step(c.method, c.path, c.body); err != nil {
				return err
			}
		}
		return nil
	}
	drivertest.Sweep(t, drivertest.Journey{
		Setup: w.begin,
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := w.start(ctx, env)
			if err != nil {
				return err
			}
			return todo(p)
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			if err := fits(referring(env.Memory)); err != nil {
				return err
			}
			p, err := w.start(ctx, env)
			if err != nil {
				return err
			}
			return errors.Join(p.resume(), todo(p))
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := w.start(context.Background(), env)
			if err != nil {
				return err
			}
			var rows []string
			for key, data := range env.Memory.Rows("mirror") {
				part, sort, _ := strings.Cut(key, "/")
				if part == "mirror-name" {
					sort, data = data, sort
				}
				if part != "mirror-name" || data != "o" {
					data = ""
				}
				rows = append(rows, part+" "+data)
				if _, there := env.Memory.Rows("mirror")["mirror/"+sort]; !there {
					return fmt.Errorf("%s is of nothing", key)
				}
			}
			if slices.Sort(rows); strings.Join(rows, ",") != "mirror ,mirror-due ,mirror-name o" {
				return fmt.Errorf("rows %q", rows)
			}
			got, err := w.state(env)
			if err == nil && !strings.HasPrefix(got, "Pamd64 fresh 1.0 ") {
				err = fmt.Errorf("the mirror is %s", got)
			}
			return errors.Join(err, ended(p), fits(referring(env.Memory)))
		},
	})
}

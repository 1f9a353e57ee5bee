package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestMirrorUpdateSurvivesEveryFault breaks each storage call of an update once.
// The next process finishes the update. The mirror equals that of an undisturbed
// run, and no pool file is fetched again.
func TestMirrorUpdateSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	w := apptest.NewMirroring(t)
	want := ""
	drivertest.Sweep(t, drivertest.Journey{
		Setup: w.Begin,
		Run: func(ctx context.Context, env *drivertest.Env) error {
			w.Again = nil
			p, err := w.Start(ctx, env)
			if err != nil {
				return err
			}
			return p.Step("PUT", "/api/mirrors/m", "{}")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := w.Start(ctx, env)
			if err != nil {
				return err
			}
			if err := p.Resume(); err != nil {
				return err
			}
			return p.Step("PUT", "/api/mirrors/m", "{}")
		},
		Verify: func(env *drivertest.Env, _ error) error {
			if len(w.Again) > 0 {
				return fmt.Errorf("fetched again: %v", w.Again)
			}
			p, err := w.Start(context.Background(), env)
			if err != nil {
				return err
			}
			got, err := w.State(env)
			if want == "" {
				want = got
			}
			if err == nil && (got != want || !strings.Contains(got, "fresh") || !strings.Contains(got, "new\n") || !strings.Contains(got, "icons\n")) {
				err = fmt.Errorf("the mirror is\n%s\nwant\n%s", got, want)
			}
			return errors.Join(err, p.Ended())
		},
	})
}

// weaken removes SHA-256 from the archive's index.
func weaken(w *apptest.Mirroring) {
	spec := apptest.ArchiveSpec(w.Signer)
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
	w.Now = upstreamtest.Build(spec)
	spec.Components, spec.Extra = map[string]upstreamtest.Component{"main": {}, "contrib": {}}, nil
	spec.Fields = nil
	w.Before = upstreamtest.Build(spec)
}

// TestSlicedUpdateFetchesNothingTwice ends the slice after each file and replaces
// the process. No file is fetched twice.
func TestSlicedUpdateFetchesNothingTwice(t *testing.T) {
	t.Run("digests", func(t *testing.T) { updateInSlices(t, apptest.NewMirroring(t)) })
	t.Run("weak digests", func(t *testing.T) {
		w := apptest.NewMirroring(t)
		weaken(w)
		updateInSlices(t, w)
	})
}

func updateInSlices(t *testing.T, w *apptest.Mirroring) {
	env := drivertest.NewEnv()
	if err := w.Begin(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	spoil := w.Server.Fault
	files := 0
	w.Server.Fault = func(path string, before int, data []byte) ([]byte, error) {
		if strings.HasPrefix(path, "pool/") {
			files++
			env.Clock.Advance(time.Minute)
		}
		return spoil(path, before, data)
	}
	p, err := w.Start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	p.Dispatcher.Slice = 30 * time.Second
	if _, err := p.Do("PUT", "/api/mirrors/m", "application/json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	deliveries := 0
	for len(env.Memory.Queue.Pending()) > 0 {
		deliveries++
		if _, err := env.Memory.Queue.Step(t.Context(), p.Dispatcher.Handle); err != nil {
			t.Fatal(err)
		}
		if p, err = w.Start(t.Context(), env); err != nil {
			t.Fatal(err)
		}
		p.Dispatcher.Slice = 30 * time.Second
		if due, ok := env.Memory.Queue.Due(); ok {
			env.Clock.Advance(max(0, due.Sub(env.Clock.Now())))
		}
	}
	if files < 4 || deliveries < files || len(w.Again) > 0 {
		t.Errorf("%d files in %d deliveries, again %v", files, deliveries, w.Again)
	}
	if err := p.Ended(); err != nil {
		t.Error(err)
	}
	if _, err := w.State(env); err != nil {
		t.Error(err)
	}
}

// TestEditBetweenSlicesRestartsTheUpdate edits a mirror between two attempts. The
// update starts again with the new settings.
func TestEditBetweenSlicesRestartsTheUpdate(t *testing.T) {
	w := apptest.NewMirroring(t)
	env := drivertest.NewEnv()
	if err := w.Begin(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	p, err := w.Start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	dying, die := context.WithCancel(t.Context())
	spoil := w.Server.Fault
	w.Server.Fault = func(path string, before int, data []byte) ([]byte, error) {
		if strings.HasSuffix(path, "hello_2.11-1_amd64.deb") {
			die()
		}
		return spoil(path, before, data)
	}
	if _, err := p.Do("PUT", "/api/mirrors/m", "application/json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Memory.Queue.Step(dying, p.Dispatcher.Handle); err == nil {
		t.Fatal("the process did not die")
	}
	w.Server.Fault = spoil
	if _, err := p.Do("POST", "/api/mirrors/m", "application/json", []byte(`{"Filter":"Name (= fresh)"}`)); err == nil {
		t.Error("a mirror is edited while its update may be alive")
	}
	env.Clock.Advance(time.Hour)
	if p, err = w.Start(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Do("POST", "/api/mirrors/m", "application/json", []byte(`{"Filter":"Name (= fresh)"}`)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(p.Resume(), p.Ended()); err != nil {
		t.Error(err)
	}
	data, err := p.Do("GET", "/api/mirrors/m/packages", "", nil)
	if err != nil || !strings.HasPrefix(string(data), `["Pamd64 fresh 1.0 `) || strings.Contains(string(data), ",") {
		t.Errorf("packages %s, %v", data, err)
	}
	if len(w.Again) > 0 {
		t.Errorf("fetched again: %v", w.Again)
	}
}

// TestMirrorSettingsSurviveEveryFault breaks each storage call of creation, edit,
// rename and drop once. The rows stay consistent, and the next process finishes.
func TestMirrorSettingsSurviveEveryFault(t *testing.T) {
	t.Parallel()
	w := apptest.NewMirroring(t)
	names := func(p *apptest.Process) (map[string]bool, error) {
		var list []struct{ Name string }
		data, err := p.Do("GET", "/api/mirrors", "", nil)
		if err == nil {
			err = json.Unmarshal(data, &list)
		}
		found := map[string]bool{}
		for _, m := range list {
			found[m.Name] = true
		}
		return found, err
	}
	todo := func(p *apptest.Process) error {
		for _, c := range []struct {
			method, path, body string
			done               func(map[string]bool) bool
		}{
			{"POST", "/api/mirrors", strings.TrimSuffix(strings.Replace(apptest.CreateMirror, `"m"`, `"n"`, 1), "}") + `,"Schedule":"1d","Credentials":{"User":"u","Password":"p"}}`,
				func(found map[string]bool) bool { return found["n"] || found["o"] }},
			{"POST", "/api/mirrors/n", `{"Filter":"fresh","Schedule":"2d","Credentials":{"User":"u","Password":"q"}}`, func(found map[string]bool) bool { return !found["n"] }},
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
			if err := p.Step(c.method, c.path, c.body); err != nil {
				return err
			}
		}
		return nil
	}
	drivertest.Sweep(t, drivertest.Journey{
		Setup: w.Begin,
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := w.Start(ctx, env)
			if err != nil {
				return err
			}
			return todo(p)
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			if err := apptest.Fits(apptest.Referring(env.Memory)); err != nil {
				return err
			}
			p, err := w.Start(ctx, env)
			if err != nil {
				return err
			}
			return errors.Join(p.Resume(), todo(p))
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := w.Start(context.Background(), env)
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
			for key := range env.Memory.Rows("calendar") {
				uuid, ofMirror := strings.CutPrefix(key, "calendar/mirror/")
				if !ofMirror {
					continue
				}
				if _, there := env.Memory.Rows("mirror")["mirror/"+uuid]; !there {
					return fmt.Errorf("%s is of nothing", key)
				}
				rows = append(rows, "calendar")
			}
			if slices.Sort(rows); strings.Join(rows, ",") != "calendar,mirror ,mirror-name o,mirror-secret " {
				return fmt.Errorf("rows %q", rows)
			}
			got, err := w.State(env)
			if err == nil && !strings.HasPrefix(got, "Pamd64 fresh 1.0 ") {
				err = fmt.Errorf("the mirror is %s", got)
			}
			return errors.Join(err, p.Ended(), apptest.Fits(apptest.Referring(env.Memory)))
		},
	})
}

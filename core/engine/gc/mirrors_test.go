package gc_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestNeedsOfMirrorsStay collects with mirrors. The needs of a mirror stay until it
// is dropped.
func TestNeedsOfMirrorsStay(t *testing.T) {
	w, env := apptest.NewMirroring(t), drivertest.NewEnv()
	if err := w.Begin(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	p, err := w.Start(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	cleaned := func(steps ...[3]string) (files int) {
		t.Helper()
		for _, s := range append(steps, [3]string{"POST", "/api/db/cleanup", ""}) {
			if err := p.Step(s[0], s[1], s[2]); err != nil {
				t.Fatal(err)
			}
		}
		files = len(env.Memory.Objects(pool.FilePrefix))
		if rows := len(env.Memory.Rows("file-")); rows != files {
			t.Errorf("digests of %d files, there are %d", rows, files)
		}
		return files
	}
	before := cleaned()
	if n := cleaned([3]string{"POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`}, [3]string{"PUT", "/api/mirrors/m", "{}"}); n <= before {
		t.Errorf("%d files with a snapshot, %d without", n, before)
	}
	if _, err := w.State(env); err != nil {
		t.Error(err)
	}
	if n, err := whole(p); n != 5 || err != nil {
		t.Errorf("snapshot of %d packages, %v", n, err)
	}
	now := cleaned([3]string{"DELETE", "/api/snapshots/s", ""})
	if got, err := w.State(env); err != nil || !strings.Contains(got, "icons") {
		t.Errorf("%s, %v", got, err)
	}
	if n := cleaned([3]string{"DELETE", "/api/mirrors/m", ""}); n != 0 || now == 0 || len(env.Memory.Rows("package-")) != 0 {
		t.Errorf("%d files are left of %d", n, now)
	}
}

// TestNeedsOfUpdatingMirrorsStay collects repeatedly during updates of a mirror whose
// archive alternates, and during snapshots of it and their drops. Everything
// needed stays.
func TestNeedsOfUpdatingMirrorsStay(t *testing.T) {
	const rounds = 20
	w, memory := apptest.NewMirroring(t), drivertest.NewMemory(time.Now)
	w.Signer = apptest.Signer(t)
	p := &apptest.Process{Env: &drivertest.Env{Memory: memory, Blobs: memory.Blobs, Table: memory.Table, Queue: memory.Queue, Clock: &drivertest.Clock{}}, Ctx: t.Context()}
	a, err := app.New(t.Context(), app.Drivers{Blobs: slowBlobs{memory.Blobs}, Table: slowTable{memory.Table}, Queue: memory.Queue}, w.Signer,
		app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Upstream: w.Server,
			Sleep: func(context.Context, time.Duration) error { runtime.Gosched(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	p.App = a
	serving, stop := context.WithCancel(t.Context())
	var workers, all sync.WaitGroup
	workers.Go(func() { memory.Queue.Serve(serving, a.Dispatcher.Handle, 8) })
	if _, err := p.Do("POST", "/api/mirrors", "application/json",
		[]byte(strings.TrimSuffix(apptest.CreateMirror, "}")+`,"DownloadSources":true,"DownloadUdebs":true,"DownloadAppStream":true,"IgnoreSignatures":true}`)); err != nil {
		t.Fatal(err)
	}
	collecting, enough := context.WithCancel(t.Context())
	all.Go(func() {
		defer enough()
		for range rounds {
			if _, err := p.Do("POST", "/api/db/cleanup", "", nil); err != nil {
				t.Error(err)
			}
		}
	})
	updates := 0
	all.Go(func() {
		rng := rand.New(rand.NewPCG(1, 3))
		for collecting.Err() == nil || updates < 5 {
			updates++
			if w.Server.Set(w.Before); updates%2 == 0 {
				w.Server.Set(w.Now)
			}
			if _, err := p.Do("PUT", "/api/mirrors/m", "application/json", []byte(`{"IgnoreSignatures":true}`)); err != nil {
				t.Error(err)
			}
			if _, err := w.State(p.Env); err != nil {
				t.Error(err)
			}
			if rng.IntN(3) == 0 {
				p.Do("DELETE", "/api/snapshots/s", "", nil) // it may be absent
				if _, err := p.Do("POST", "/api/mirrors/m/snapshots", "application/json", []byte(`{"Name":"s"}`)); err != nil {
					t.Error(err)
				}
			}
			if _, err := whole(p); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	stop()
	workers.Wait()
	t.Logf("%d updates beside %d collections", updates, rounds)
}

package gc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// checkPackagesStored checks that all packages of the repositories have their records and
// files. It returns their keys.
func checkPackagesStored(p *apptest.Process, repos ...string) (keys []string, err error) {
	store := &pool.Store{Table: p.Env.Memory.Table, Blobs: p.Env.Memory.Blobs}
	for _, name := range repos {
		data, err := p.Do("GET", "/api/repos/"+name+"/packages", "", nil)
		if err != nil {
			return nil, err
		}
		var in []string
		if err := json.Unmarshal(data, &in); err != nil {
			return nil, err
		}
		for _, key := range in {
			rec, err := store.Record(p.Ctx, key)
			if err != nil {
				return nil, err
			}
			for _, f := range rec.Package.Files {
				if _, err := p.Env.Memory.Blobs.Stat(p.Ctx, pool.FileKey(f.SHA256)); err != nil {
					return nil, fmt.Errorf("file of %s: %w", key, err)
				}
			}
		}
		keys = append(keys, in...)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// checkNothingElseStored checks that the storage holds only the needs of the packages with the
// keys.
func checkNothingElseStored(p *apptest.Process, keys []string) error {
	if n := len(p.Env.Memory.Objects(pool.FilePrefix)); n != len(keys) {
		return fmt.Errorf("%d files for %v", n, keys)
	}
	var records []string
	for row := range p.Env.Memory.Rows("") {
		if part, key, _ := strings.Cut(row, "/"); strings.HasPrefix(part, "package-") {
			records = append(records, key)
		}
		for _, part := range []string{"superseded/", "claim/"} {
			if strings.HasPrefix(row, part) {
				return fmt.Errorf("%s is left", row)
			}
		}
	}
	if slices.Sort(records); !slices.Equal(records, keys) {
		return fmt.Errorf("records %v for %v", records, keys)
	}
	return nil
}

// repoWithGarbage makes a published repository r with packages bb and cc, and much
// garbage.
func repoWithGarbage(ctx context.Context, env *drivertest.Env, signer pgp.Signer) (*apptest.Process, error) {
	p, err := apptest.Start(ctx, env, signer)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range []string{"aa", "bb", "cc"} {
		files[name+"_1_amd64.deb"] = apptest.Deb(name, "1", "amd64")
	}
	if err := p.Upload("d", files); err != nil {
		return nil, err
	}
	for _, s := range [][3]string{
		{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos", `{"Name":"gone"}`},
		{"POST", "/api/repos/gone/file/d?noRemove=1", ""}, {"POST", "/api/repos/r/file/d", ""}, {"DELETE", "/api/repos/gone", ""},
		{"POST", "/api/publish", apptest.PublishBody},
		{"DELETE", "/api/repos/r/packages", fmt.Sprintf(`{"PackageRefs":[%q]}`, apptest.DebKey("aa"))},
		// Later publications leave the first one out of reach of a rollback.
		{"PUT", "/api/publish/:./stable", `{"Label":"1"}`}, {"PUT", "/api/publish/:./stable", `{"Label":"2"}`}, {"PUT", "/api/publish/:./stable", `{"Label":"3"}`},
	} {
		env.Clock.Advance(4 * 24 * time.Hour)
		if err := p.Step(s[0], s[1], s[2]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// TestCleanupReportsItsEffects collects and checks output and progress.
func TestCleanupReportsItsEffects(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := repoWithGarbage(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	orphan := "private/incoming/ORPHAN"
	if _, err := env.Memory.Blobs.Put(t.Context(), orphan, strings.NewReader("x"), driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Upload("kept", map[string][]byte{"x": []byte("x")}); err != nil {
		t.Fatal(err)
	}
	cleanup := func() string {
		t.Helper()
		if _, err := p.Do("POST", "/api/tasks-clear", "", nil); err != nil {
			t.Fatal(err)
		}
		data, err := p.Do("POST", "/api/db/cleanup", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Drain(); err != nil {
			t.Fatal(err)
		}
		var task struct{ ID int }
		if err := errors.Join(p.Ended(), json.Unmarshal(data, &task)); err != nil {
			t.Fatal(err)
		}
		out, err := p.Do("GET", fmt.Sprintf("/api/tasks/%d/output", task.ID), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		detail, err := p.Do("GET", fmt.Sprintf("/api/tasks/%d/detail", task.ID), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		counted, _, _ := strings.Cut(string(detail), `,"Requests":{`)
		return string(out) + " " + counted
	}
	before := len(env.Memory.Objects("private/chunks/"))
	want := fmt.Sprintf("Loading mirrors, local repos, snapshots and published repos...Loading list of all packages..."+
		"Deleting unreferenced packages (1)...Building list of files referenced by packages...Building list of files in package pool..."+
		"Deleting unreferenced files (1)...Disk space freed: %.2f KiB...Compacting database...Task succeeded", float64(len(apptest.Deb("aa", "1", "amd64")))/1024)
	if got := cleanup(); got != `"`+want+`" {"TotalNumberOfPackagesToDelete":1,"RemainingNumberOfPackagesToDelete":0` && got != want+` {"TotalNumberOfPackagesToDelete":1,"RemainingNumberOfPackagesToDelete":0` {
		t.Errorf("the first cleanup says\n%s, want\n%s", got, want)
	}
	keys, err := checkPackagesStored(p, "r")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{apptest.DebKey("bb"), apptest.DebKey("cc")}; !slices.Equal(keys, want) {
		t.Errorf("packages are %v, want %v", keys, want)
	}
	if err := checkNothingElseStored(p, keys); err != nil {
		t.Error(err)
	}
	if after := len(env.Memory.Objects("private/chunks/")); after >= before || after == 0 {
		t.Errorf("%d objects of lists before, %d after", before, after)
	}
	if _, ok := env.Memory.Objects(orphan)[orphan]; !ok {
		t.Error("an upload without a row is removed before its time")
	}
	env.Clock.Advance(25 * time.Hour)
	if got := cleanup(); !strings.Contains(got, "Deleting unreferenced packages (0)...") || strings.Contains(got, "freed") {
		t.Errorf("the second cleanup says %s", got)
	}
	if left := env.Memory.Objects(pool.IncomingPrefix); len(left) != 1 || left[orphan] != "" {
		t.Errorf("uploads after a day: %v", left)
	}
	if err := p.Step("PUT", "/api/publish/:./stable", `{"Label":"4"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := apptest.VerifyTree(env.Memory.Objects("public/"), "stable"); err != nil {
		t.Error(err)
	}
}

// TestCleanupSurvivesEveryFault breaks each storage call of a collection once.
// Needed things stay. The next collection removes the rest.
func TestCleanupSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			_, err := repoWithGarbage(ctx, env, signer)
			return err
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.Step("POST", "/api/db/cleanup", "")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Resume(); err != nil {
				return err
			}
			return p.Step("POST", "/api/db/cleanup", "")
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := apptest.Start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			keys, err := checkPackagesStored(p, "r")
			if err != nil {
				return err
			}
			if _, err := apptest.VerifyTree(env.Memory.Objects("public/"), "stable"); err != nil {
				return err
			}
			return errors.Join(p.Ended(), checkNothingElseStored(p, keys))
		},
	})
}

// TestNeedsOfChangingReposStay collects repeatedly while clients import, remove and add
// the same few packages. Packages in a repository always have record and file. A
// last collection leaves no garbage.
func TestNeedsOfChangingReposStay(t *testing.T) {
	const clients, rounds = 8, 60 // of the collector
	memory := drivertest.NewMemory(time.Now)
	a, err := app.New(t.Context(), app.Drivers{Blobs: slowBlobs{memory.Blobs}, Table: slowTable{memory.Table}, Queue: memory.Queue}, apptest.Signer(t),
		app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now,
			Sleep: func(context.Context, time.Duration) error { runtime.Gosched(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	p := &apptest.Process{App: a, Env: &drivertest.Env{Memory: memory}, Ctx: t.Context()}
	serving, stop := context.WithCancel(t.Context())
	var workers, all sync.WaitGroup
	workers.Go(func() { memory.Queue.Serve(serving, a.Dispatcher.Handle, 12) })
	names := []string{"aa", "bb", "cc"}
	for _, name := range names {
		if _, err := p.Do("POST", "/api/repos", "application/json", []byte(`{"Name":"`+name+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	collecting, enough := context.WithCancel(t.Context())
	var changes atomic.Int64
	var changing sync.RWMutex
	all.Go(func() {
		defer enough()
		for range rounds {
			if _, err := p.Do("POST", "/api/db/cleanup", "", nil); err != nil {
				t.Error(err)
			}
		}
	})
	for c := range clients {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 1))
			for ; collecting.Err() == nil; changes.Add(1) {
				changing.RLock()
				err := anyChange(p, rng, fmt.Sprint("d", c), names)
				changing.RUnlock()
				if err != nil {
					t.Error(err)
				}
				if rng.IntN(4) > 0 {
					continue
				}
				changing.Lock() // no client changes anything, and the collector continues
				_, err = checkPackagesStored(p, names...)
				changing.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := p.Do("POST", "/api/db/cleanup", "", nil); err != nil {
		t.Error(err)
	}
	keys, err := checkPackagesStored(p, names...)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkNothingElseStored(p, keys); err != nil {
		t.Error(err)
	}
	t.Logf("%d changes beside %d collections", changes.Load(), rounds)
	stop()
	workers.Wait()
}

// slowBlobs and slowTable sometimes yield to other goroutines, so that calls of
// several tasks come in many orders.
type slowBlobs struct{ driver.Blobs }

func (b slowBlobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	yieldSometimes()
	info, err := b.Blobs.Copy(ctx, dst, src, opt)
	yieldSometimes()
	return info, err
}

func (b slowBlobs) Delete(ctx context.Context, keys ...string) error {
	yieldSometimes()
	return b.Blobs.Delete(ctx, keys...)
}

type slowTable struct{ driver.Table }

func (s slowTable) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	yieldSometimes()
	return s.Table.Get(ctx, key)
}

func (s slowTable) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	yieldSometimes()
	return s.Table.Write(ctx, ops...)
}

func yieldSometimes() {
	if rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.IntN(400)) * time.Microsecond)
	}
}

// anyChange imports, adds or removes a package that other clients use, too.
func anyChange(p *apptest.Process, rng *rand.Rand, dir string, names []string) error {
	repo, name := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
	refs := fmt.Appendf(nil, `{"PackageRefs":[%q]}`, apptest.DebKey(name))
	var err error
	switch rng.IntN(3) {
	case 0:
		if err = p.Upload(dir, map[string][]byte{name + "_1_amd64.deb": apptest.Deb(name, "1", "amd64")}); err == nil {
			_, err = p.Do("POST", "/api/repos/"+repo+"/file/"+dir, "", nil)
		}
	case 1:
		_, err = p.Do("POST", "/api/repos/"+repo+"/packages", "application/json", refs)
	case 2:
		_, err = p.Do("DELETE", "/api/repos/"+repo+"/packages", "application/json", refs)
	}
	if err != nil && strings.Contains(err.Error(), "key not found") {
		return nil // it is not yet imported, or collected again
	}
	return err
}

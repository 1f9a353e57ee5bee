package gc_test

import (
	"context"
	"encoding/json"
	"fmt"
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

// whole checks that the packages of all snapshots have records and files. It
// returns their number.
func whole(p *apptest.Process) (n int, err error) {
	store := &pool.Store{Table: p.Env.Memory.Table, Blobs: p.Env.Memory.Blobs}
	var list []struct{ Name string }
	data, err := p.Do("GET", "/api/snapshots", "", nil)
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	for _, s := range list {
		var keys []string
		if data, err = p.Do("GET", "/api/snapshots/"+s.Name+"/packages", "", nil); err == nil {
			err = json.Unmarshal(data, &keys)
		}
		if err != nil {
			return n, err
		}
		for _, key := range keys {
			rec, err := store.Record(p.Ctx, key)
			if err != nil {
				return n, fmt.Errorf("of %s: %w", s.Name, err)
			}
			for _, f := range rec.Package.Files {
				if _, err := p.Env.Memory.Blobs.Stat(p.Ctx, pool.FileKey(f.SHA256)); err != nil {
					return n, fmt.Errorf("file of %s: %w", key, err)
				}
			}
			n++
		}
	}
	return n, err
}

// anySnapshotChange makes or drops a snapshot that other clients use, too.
func anySnapshotChange(p *apptest.Process, rng *rand.Rand, packages []string) error {
	names := []string{"s1", "s2", "s3"}
	name, other := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
	key := apptest.DebKey(packages[rng.IntN(len(packages))])
	var err error
	switch rng.IntN(6) {
	case 0:
		_, err = p.Do("DELETE", "/api/snapshots/"+name+"?force=1", "", nil)
	case 1:
		_, err = p.Do("POST", "/api/snapshots/"+name+"/merge", "application/json", fmt.Appendf(nil, `{"Sources":[%q,%q]}`, other, names[rng.IntN(len(names))]))
	case 2:
		_, err = p.Do("POST", "/api/snapshots", "application/json", fmt.Appendf(nil, `{"Name":%q,"PackageRefs":[%q]}`, name, key))
	case 3:
		_, err = p.Do("POST", "/api/snapshots/"+other+"/pull?no-deps=1", "application/json",
			fmt.Appendf(nil, `{"Source":%q,"Destination":%q,"Queries":["Name"],"Architectures":["amd64"]}`, names[rng.IntN(len(names))], name))
	default:
		_, err = p.Do("POST", "/api/repos/"+packages[rng.IntN(len(packages))]+"/snapshots", "application/json", fmt.Appendf(nil, `{"Name":%q}`, name))
	}
	if err != nil && (strings.Contains(err.Error(), "not found") || strings.Contains(err.Error(), "already exists")) {
		return nil // another client was first, or it is collected
	}
	return err
}

// TestNeedsOfChangingSnapshotsStay collects repeatedly while clients make and drop
// snapshots. These are of changing repositories, of each other, and of packages
// that may be in no list. Packages in a snapshot always have record and file.
func TestNeedsOfChangingSnapshotsStay(t *testing.T) {
	const clients, rounds = 6, 40 // of the collector
	const least = 30              // changes per client, at any speed of the collector
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
	packages := []string{"aa", "bb", "cc"}
	for _, name := range packages {
		if _, err := p.Do("POST", "/api/repos", "application/json", []byte(`{"Name":"`+name+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	collecting, enough := context.WithCancel(t.Context())
	var changing sync.RWMutex
	all.Go(func() {
		defer enough()
		for range rounds {
			if _, err := p.Do("POST", "/api/db/cleanup", "", nil); err != nil {
				t.Error(err)
			}
		}
	})
	var most int
	for c := range clients {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 2))
			for n := 0; n < least || collecting.Err() == nil; n++ {
				changing.RLock()
				var err error
				if rng.IntN(2) == 0 {
					err = anyChange(p, rng, fmt.Sprint("d", c), packages)
				} else {
					err = anySnapshotChange(p, rng, packages)
				}
				changing.RUnlock()
				if err != nil {
					t.Error(err)
				}
				if rng.IntN(6) > 0 {
					continue
				}
				changing.Lock() // no client changes anything, and the collector continues
				found, err := whole(p)
				most = max(most, found)
				changing.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := apptest.Fits(apptest.Referring(memory)); err != nil {
		t.Error(err)
	}
	if _, err := whole(p); err != nil {
		t.Error(err)
	}
	if most == 0 {
		t.Error("no snapshot ever had a package")
	}
	stop()
	workers.Wait()
}

package mirror_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// TestSlicesAskForFewFiles cuts an update of 3,000 files off, by the end of a slice and
// by deaths of the process. No file is fetched twice, and the later attempts ask the pool
// only for files that an earlier attempt may have begun.
func TestSlicesAskForFewFiles(t *testing.T) {
	const n, ahead = 3000, 1024
	w := apptest.NewMirroring(t)
	w.Server.Set(tinyPackages(w, n))
	for name, c := range map[string]struct {
		at   []int // numbers of fetched files at which the update is cut off
		dies bool  // with the process
		asks int   // questions to the pool, at most
	}{
		"slices": {at: []int{100, 2000}, asks: 2 * 2}, // each slice ends with a few files that are handed out
		"deaths": {at: []int{100, 1000, 1200, 2999}, dies: true, asks: 4 * ahead},
	} {
		t.Run(name, func(t *testing.T) {
			env := drivertest.NewEnv()
			p, err := w.Start(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range [][2]string{{"/api/gpg/key", apptest.KeyBody(w.Signer)}, {"/api/mirrors", apptest.CreateMirror}} {
				if _, err := p.Do("POST", step[0], "application/json", []byte(step[1])); err != nil {
					t.Fatal(err)
				}
			}
			asked, fetched := map[string]int{}, 0
			ctx, die := context.WithCancel(t.Context())
			w.Server.Fault = func(path string, _ int, data []byte) ([]byte, error) {
				if !strings.HasPrefix(path, "pool/") {
					return data, nil
				}
				asked[path]++
				if fetched++; len(c.at) > 0 && fetched == c.at[0] {
					if c.at = c.at[1:]; c.dies {
						die()
					}
					env.Clock.Advance(time.Minute)
				}
				return data, nil
			}
			if _, err := p.Do("PUT", "/api/mirrors/m", "application/json", []byte("{}")); err != nil {
				t.Fatal(err)
			}
			attempts, before := 0, 0
			for len(env.Memory.Queue.Pending()) > 0 {
				if p, err = w.Start(t.Context(), env); err != nil {
					t.Fatal(err)
				}
				p.Dispatcher.Slice = 30 * time.Second
				if ctx.Err() != nil {
					ctx, die = context.WithCancel(t.Context())
				}
				delivered, _ := env.Memory.Queue.Step(ctx, func(ctx context.Context, m driver.Message) (driver.Outcome, error) {
					return p.Dispatcher.Handle(ctx, m)
				})
				if delivered {
					if attempts++; attempts == 1 {
						before = poolAsked(env)
					}
				}
				if due, ok := env.Memory.Queue.Due(); ok {
					env.Clock.Advance(max(0, due.Sub(env.Clock.Now())))
				}
			}
			die()
			asks := poolAsked(env) - before
			t.Logf("%d attempts, %d questions after the first, %d files fetched", attempts, asks, fetched)
			if len(c.at) > 0 || attempts < 3 || asks > c.asks {
				t.Errorf("%d questions in %d attempts, want at most %d; not cut off at %v", asks, attempts, c.asks, c.at)
			}
			again := maps.Clone(asked)
			maps.DeleteFunc(again, func(_ string, times int) bool { return times == 1 })
			if c.dies && len(again) <= 4 { // the file during whose download the process died
				again = nil
			}
			if len(asked) != n || len(again) > 0 {
				t.Errorf("%d files are fetched, some several times: %v", len(asked), again)
			}
			if data, err := p.Do("GET", "/api/mirrors/m/packages", "", nil); err != nil || strings.Count(string(data), `"Pall p`) != n {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		})
	}
}

// poolAsked returns how often the pool was asked whether it has a file.
func poolAsked(env *drivertest.Env) (n int) {
	for _, call := range env.Faults.Calls() {
		if strings.HasPrefix(call, "Blobs.Stat "+pool.FilePrefix) {
			n++
		}
	}
	return n
}

// tinyPackages returns an archive of n packages.
func tinyPackages(w *apptest.Mirroring, n int) upstreamtest.Tree {
	spec := apptest.ArchiveSpec(w.Signer)
	var index strings.Builder
	files := map[string][]byte{}
	for i := range n {
		p := debtest.Spec{Package: fmt.Sprintf("p%05d", i), Compression: "none"}
		path := "pool/" + debtest.FileName(p)
		files[path] = debtest.Deb(p)
		index.WriteString(stanza(p, path, "{sha256}\n"))
	}
	text := []byte(index.String())
	spec.Components = map[string]upstreamtest.Component{"main": {}}
	spec.Extra = map[string][]byte{"main/binary-amd64/Packages": text, "main/binary-amd64/Packages.gz": upstreamtest.Compress(text, ".gz")}
	tree := upstreamtest.Build(spec)
	maps.Copy(tree, files)
	return tree
}

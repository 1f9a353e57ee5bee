package publish_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// many returns packages for the indexes of which rendering ahead pays.
func many(n int) (packs []pack) {
	for i := range n {
		packs = append(packs, pack{fmt.Sprintf("package-%04d", i), "1", "amd64", fmt.Sprint(i)})
	}
	return packs
}

// ahead renders the indexes of repositories ahead.
func (r *rig) ahead(ctx context.Context, names ...string) error {
	var all []sourcepkg.Source
	for _, name := range names {
		src, err := r.publish.Sources.ByName(r.ctx, sourcepkg.Repo, name)
		if err != nil {
			return err
		}
		all = append(all, src)
	}
	return r.publish.RenderAhead(ctx, all)
}

// packageIndexes returns the indexes of packages below a distribution, by path.
func packageIndexes(env *drivertest.Env, dist string) map[string]string {
	all := map[string]string{}
	for key, data := range env.Memory.Objects("public/dists/" + dist + "/main/") {
		all[strings.TrimPrefix(key, "public/dists/"+dist+"/")] = data
	}
	maps.DeleteFunc(all, func(name, _ string) bool {
		return strings.HasSuffix(name, "/Release") || !strings.Contains(name, "/Packages")
	})
	return all
}

// rendered are the indexes of packages without anything that was rendered ahead.
func rendered(t *testing.T, packs []pack) map[string]string {
	t.Helper()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", packs...), r.create(from("one", "r")))
	return packageIndexes(env, "one")
}

// aheadObjects are the objects that were rendered ahead.
func aheadObjects(env *drivertest.Env) map[string]string { return env.Memory.Objects("private/ahead/") }

// packagesPut counts the files of Packages by hash below a distribution that a process has
// sent.
func (s *sent) packagesPut(dist string) (n int) {
	for key, sizes := range s.put {
		if strings.HasPrefix(key, "public/dists/"+dist+"/main/binary-amd64/by-hash/") && sizes[0] > 1000 {
			n++
		}
	}
	return n
}

// TestFirstPublicationCopiesWhatIsRenderedAhead: the first publication of a list sends no
// index of packages, in the process that has rendered them and in a later one. The bytes
// are those of indexes that are rendered then. Nothing is visible before.
func TestFirstPublicationCopiesWhatIsRenderedAhead(t *testing.T) {
	t.Parallel()
	packs := many(1500)
	for _, later := range []bool{false, true} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		must(t, r.put("r", packs...), r.ahead(t.Context(), "r"))
		if public := env.Memory.Objects("public/"); len(public) > 0 {
			t.Fatalf("%d objects are public before a publication", len(public))
		}
		to := &sent{Blobs: env.Blobs, put: map[string][]int64{}}
		env.Blobs = to
		if later {
			r = newRig(t.Context(), env)
			must(t, r.ahead(t.Context(), "r"))
			if len(to.put) > 0 {
				t.Errorf("a later process renders again: %v", to.put)
			}
		} else {
			r.publish.Blobs = to
		}
		must(t, r.create(from("one", "r")))
		if n := to.packagesPut("one"); n != 0 {
			t.Errorf("later %t: the first publication sends %d files of Packages", later, n)
		}
		if got := packageIndexes(env, "one"); !maps.Equal(got, rendered(t, packs)) {
			t.Errorf("later %t: other bytes in %v", later, slices.Sorted(maps.Keys(got)))
		}
		has(t, env, nil)
	}
}

// TestDamagedPiecesAreNotPublished damages an object that was rendered ahead, or loses it.
// The publication finds that, and renders the index.
func TestDamagedPiecesAreNotPublished(t *testing.T) {
	t.Parallel()
	packs := many(1200)
	want := rendered(t, packs)
	env := drivertest.NewEnv()
	must(t, newRig(t.Context(), env).put("r", packs...))
	must(t, newRig(t.Context(), env).ahead(t.Context(), "r"))
	whole := aheadObjects(env)
	if len(whole) != 4 { // plain, gz, bz2 and the manifest
		t.Fatalf("%d objects were rendered ahead", len(whole))
	}
	for n, key := range slices.Sorted(maps.Keys(whole)) {
		for damage, data := range map[string]string{"changed": flipped(whole[key]), "cut": whole[key][:len(whole[key])/2], "lost": ""} {
			env := drivertest.NewEnv()
			r := newRig(t.Context(), env)
			must(t, r.put("r", packs...), r.ahead(t.Context(), "r"), env.Memory.Blobs.Delete(t.Context(), key))
			if damage != "lost" {
				_, err := env.Memory.Blobs.Put(t.Context(), key, strings.NewReader(data), driver.PutOptions{})
				must(t, err)
			}
			must(t, r.create(from("one", "r")))
			if !maps.Equal(packageIndexes(env, "one"), want) {
				t.Errorf("object %d %s: other bytes", n, damage)
			}
			has(t, env, nil)
		}
	}
}

// flipped returns data with another byte in the middle.
func flipped(data string) string {
	at := len(data) / 2
	return data[:at] + string(data[at]^1) + data[at+1:]
}

// opens counts reads of indexes that were rendered ahead.
type opens struct {
	driver.Blobs
	n atomic.Int64
}

func (o *opens) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	if strings.HasPrefix(key, "private/ahead/") && !strings.HasSuffix(key, ".json") {
		o.n.Add(1)
	}
	return o.Blobs.Open(ctx, key, rng)
}

// TestStalePiecesAreTaken: an import follows after the indexes are rendered. The first
// publication takes the equal pieces of the earlier list, and has the right bytes.
func TestStalePiecesAreTaken(t *testing.T) {
	t.Parallel()
	packs := many(2000)
	env := drivertest.NewEnv()
	counted := &opens{Blobs: env.Blobs}
	env.Blobs = counted
	r := newRig(t.Context(), env)
	must(t, r.put("r", packs[:1990]...), r.ahead(t.Context(), "r"), r.put("r", packs...), r.create(from("one", "r")))
	if counted.n.Load() == 0 {
		t.Error("no piece of the earlier list was read")
	}
	if !maps.Equal(packageIndexes(env, "one"), rendered(t, packs)) {
		t.Error("other bytes")
	}
	has(t, env, nil)
}

// stopping ends a context after a number of puts.
type stopping struct {
	driver.Blobs
	left   atomic.Int64
	cancel context.CancelFunc
}

func (s *stopping) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	if s.left.Add(-1) == 0 {
		s.cancel()
	}
	if err := ctx.Err(); err != nil {
		return driver.Info{}, err
	}
	return s.Blobs.Put(ctx, key, r, opt)
}

// TestInterruptedRenderingLosesOnlyWork ends the rendering, or the process, before each put.
// A publication has the right bytes then. Another process renders anew, and leaves
// the objects of one rendering.
func TestInterruptedRenderingLosesOnlyWork(t *testing.T) {
	t.Parallel()
	packs := many(1200)
	want := rendered(t, packs)
	for n := int64(1); n <= 4; n++ {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		must(t, r.put("r", packs...))
		ctx, cancel := context.WithCancel(t.Context())
		stop := &stopping{Blobs: env.Blobs, cancel: cancel}
		stop.left.Store(n)
		r.publish.Blobs = stop
		if err := r.ahead(ctx, "r"); err == nil {
			t.Fatalf("put %d: the rendering goes on", n)
		}
		for key := range aheadObjects(env) {
			if strings.HasSuffix(key, "/manifest.json") {
				t.Errorf("put %d: there is a manifest", n)
			}
		}
		r = newRig(t.Context(), env)
		must(t, r.create(from("one", "r")))
		if !maps.Equal(packageIndexes(env, "one"), want) {
			t.Errorf("put %d: other bytes", n)
		}
		must(t, r.drop(at("one")), newRig(t.Context(), env).ahead(t.Context(), "r"))
		if objects := aheadObjects(env); len(objects) != 4 {
			t.Errorf("put %d: %d objects are left", n, len(objects))
		}
	}
}

// TestOnlyManyNewPackagesAreRenderedAhead: nothing is rendered for a small list, for one
// that is published, and for few packages that a published list lacks. The rendering of a
// later list replaces that of the earlier one.
func TestOnlyManyNewPackagesAreRenderedAhead(t *testing.T) {
	t.Parallel()
	packs := many(3500)
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	expect := func(when string, n int) {
		t.Helper()
		must(t, r.ahead(t.Context(), "r", "small"))
		if objects := aheadObjects(env); len(objects) != n {
			t.Errorf("%s: %d objects: %v", when, len(objects), slices.Sorted(maps.Keys(objects)))
		}
	}
	must(t, r.put("small", packs[:10]...), r.put("r", packs[:900]...))
	expect("900 packages", 0)
	must(t, r.create(from("one", "r")), r.put("r", packs[:950]...))
	expect("50 more than published", 0)
	must(t, r.put("r", packs[:2200]...))
	expect("1,250 more than published", 4)
	first := slices.Sorted(maps.Keys(aheadObjects(env)))
	must(t, r.put("r", packs...))
	expect("a later list", 4)
	if slices.Equal(first, slices.Sorted(maps.Keys(aheadObjects(env)))) {
		t.Error("the later list is not rendered")
	}
	must(t, r.update(at("one")))
	if !maps.Equal(packageIndexes(env, "one"), rendered(t, packs)) {
		t.Error("other bytes")
	}
}

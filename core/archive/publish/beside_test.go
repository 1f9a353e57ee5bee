package publish_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish/index"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// slowBlobs has each copy of a package file take some time.
type slowBlobs struct {
	driver.Blobs
	clock *drivertest.Clock
	takes time.Duration
}

func (b slowBlobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	if strings.HasPrefix(src, "private/pool/") {
		b.clock.Advance(b.takes)
	}
	return b.Blobs.Copy(ctx, dst, src, opt)
}

// TestLinksBesideIndexesAreCut links package files while indexes are made. Deliveries are
// over before all is linked, before all indexes are made, or both.
func TestLinksBesideIndexesAreCut(t *testing.T) {
	t.Parallel()
	var packs []pack
	for i := range 20 {
		packs = append(packs, pack{fmt.Sprintf("package-%02d", i), "1", "amd64", fmt.Sprint(i)})
	}
	run := func(r *rig) {
		t.Helper()
		must(t, r.put("r", packs...), r.create(from("stable", "r")))
	}
	peace := drivertest.NewEnv()
	run(newRig(t.Context(), peace))
	for _, takes := range []struct{ link, paths time.Duration }{{0, 300}, {80, 0}, {80, 300}, {400, 10}} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		r.publish.FilesBeside, r.dispatcher.Slice = 1, time.Second
		r.publish.Blobs = slowBlobs{env.Blobs, env.Clock, takes.link * time.Millisecond}
		paths := r.publish.Paths
		r.publish.Paths = func(ctx context.Context, key string) (index.Paths, error) {
			env.Clock.Advance(takes.paths * time.Millisecond)
			return paths(ctx, key)
		}
		run(r)
		if d := gocmp.Diff(stored(peace), stored(env)) + gocmp.Diff(peace.Memory.Rows("inventory"), env.Memory.Rows("inventory")); d != "" {
			t.Errorf("%v: %s", takes, d)
		}
		first, err := r.tasks.Get(t.Context(), 1)
		if must(t, err); first.Attempt < 2 {
			t.Errorf("%v: %d attempts", takes, first.Attempt)
		}
		has(t, env, nil)
	}
}

// TestRefusedLinkEndsTheIndexes publishes a package whose file is lost, while the indexes
// are made. The error is that of the link.
func TestRefusedLinkEndsTheIndexes(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	r.publish.FilesBeside = 1
	must(t, r.put("r", hello, common))
	must(t, env.Blobs.Delete(t.Context(), poolKey(hashed("", hello.content).SHA256)))
	err := r.create(from("stable", "r"))
	if err == nil || !strings.Contains(err.Error(), "package file") {
		t.Errorf("%v", err)
	}
}

package repo_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/repo"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// rig is a process with local repositories only.
type rig struct {
	env        *drivertest.Env
	repos      *repo.Store
	tasks      *task.Store
	dispatcher *task.Dispatcher
}

func newRig(t *testing.T) *rig {
	t.Helper()
	env := drivertest.NewEnv()
	r := &rig{env: env}
	r.repos = &repo.Store{Table: env.Table, Pool: &pool.Store{Table: env.Table, Blobs: env.Blobs}, Now: env.Clock.Now,
		Lists: pkglist.Store{Chunks: &lists.Store{Blobs: env.Blobs, Cache: lists.NewCache(64 << 20), Epoch: func() int64 { return 0 }}}}
	r.tasks = &task.Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	var err error
	if r.dispatcher, err = task.NewDispatcher(r.tasks, r.repos.Kinds()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"r", "to"} {
		spec, err := r.repos.CheckCreate(t.Context(), repo.CreateArgs{Name: name})
		r.done(t, spec, err)
	}
	return r
}

// pack returns a package with a file of the given content, and stores its record.
func (r *rig) pack(t *testing.T, name, version, content string, fields ...func(*deb.Package)) *deb.Package {
	t.Helper()
	h := deb.NewHasher()
	h.Write([]byte(content))
	bare := version[strings.Index(version, ":")+1:]
	p := &deb.Package{Kind: deb.Binary, Name: name, Version: version, Architecture: "amd64", Files: []deb.File{h.File(name + "_" + bare + "_amd64.deb")}}
	for _, set := range fields {
		set(p)
	}
	row, err := r.repos.Pool.Row(t.Context(), pool.Record{Package: p})
	if err == nil {
		err = r.env.Table.Put(t.Context(), []driver.Row{row}...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs a task. It returns the task and the number of deliveries.
func (r *rig) run(t *testing.T, spec task.Spec, err error) (got task.Task, deliveries int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got, err = r.tasks.Admit(t.Context(), spec, false); err != nil {
		t.Fatal(err)
	}
	deliveries, most := r.env.DrainCounting(t, r.dispatcher.Handle)
	if r.dispatcher.Slice > 0 && most > 400 {
		t.Errorf("%s: a slice of ten seconds has made %d calls", spec.Kind, most)
	}
	if got, err = r.tasks.Get(t.Context(), got.ID); err != nil {
		t.Fatal(err)
	}
	return got, deliveries
}

// done runs a task that must succeed. It returns the number of deliveries.
func (r *rig) done(t *testing.T, spec task.Spec, err error) int {
	t.Helper()
	got, deliveries := r.run(t, spec, err)
	if got.State != task.Succeeded {
		t.Fatalf("%s: state %d, %d %s", spec.Kind, got.State, got.Code, got.Error)
	}
	return deliveries
}

// keys returns the keys of a repository's packages.
func (r *rig) keys(t *testing.T, name string) []string {
	t.Helper()
	found, err := r.repos.ByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.repos.Packages(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key, err := range list.Keys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// cut makes every storage call and every look at the clock take a second. Slices
// end after ten.
func (r *rig) cut() {
	seen := 0
	r.tasks.Now = func() time.Time {
		calls := len(r.env.Faults.Calls())
		r.env.Clock.Advance(time.Duration(calls-seen+1) * time.Second)
		seen = calls
		return r.env.Clock.Now()
	}
	r.dispatcher.Slice = 10 * time.Second
}

// TestChangesByKeysAndCopiesGoOnInSlices adds, copies and removes many packages
// in several slices. The result equals that of a single slice.
func TestChangesByKeysAndCopiesGoOnInSlices(t *testing.T) {
	r := newRig(t)
	r.cut()
	var keys []string
	for i := range 650 {
		keys = append(keys, r.pack(t, fmt.Sprintf("p%04d", i), "1", "").Key())
	}
	spec, err := r.repos.CheckAdd(t.Context(), "r", keys)
	if n := r.done(t, spec, err); n < 3 {
		t.Errorf("the addition took %d slices", n)
	}
	spec, err = r.repos.CheckCopy(t.Context(), repo.CopyArgs{To: "to", From: "r", Query: "Name", DryRun: true})
	if n := r.done(t, spec, err); n < 3 || len(r.keys(t, "to")) > 0 {
		t.Errorf("the dry run took %d slices, %d packages", n, len(r.keys(t, "to")))
	}
	spec, err = r.repos.CheckCopy(t.Context(), repo.CopyArgs{To: "to", From: "r", Query: "Name"})
	got, n := r.run(t, spec, err)
	if value, err := r.tasks.Value(t.Context(), got); err != nil || n < 3 || got.State != task.Succeeded {
		t.Errorf("the copy took %d slices: state %d %s, %v", n, got.State, got.Error, err)
	} else if lines := strings.Count(string(value), "added p"); lines != 650 {
		t.Errorf("%d packages are told", lines)
	}
	if all := r.keys(t, "to"); !slices.Equal(all, r.keys(t, "r")) || len(all) != 650 {
		t.Errorf("%d packages", len(all))
	}
	spec, err = r.repos.CheckRemove(t.Context(), "r", keys[:600])
	if n := r.done(t, spec, err); n < 3 || !slices.Equal(r.keys(t, "r"), keys[600:]) {
		t.Errorf("the removal took %d slices, %d packages are left", n, len(r.keys(t, "r")))
	}
}

// TestPackagesWithOnePathAreNotAddedNorCopied holds that the refusal names both
// packages and the remedy. It changes nothing.
func TestPackagesWithOnePathAreNotAddedNorCopied(t *testing.T) {
	r := newRig(t)
	from := func(name string) func(*deb.Package) { return func(p *deb.Package) { p.Source = name } }
	plain, epoch := r.pack(t, "foo", "2.0", "a"), r.pack(t, "foo", "1:2.0", "b")
	same, elsewhere := r.pack(t, "foo", "2:2.0", "a"), r.pack(t, "foo", "3:2.0", "c", from("other"))
	add := func(to string, packages ...*deb.Package) task.Task {
		var keys []string
		for _, p := range packages {
			keys = append(keys, p.Key())
		}
		spec, err := r.repos.CheckAdd(t.Context(), to, keys)
		got, _ := r.run(t, spec, err)
		return got
	}
	const text = "file foo_2.0_amd64.deb of foo_1:2.0_amd64 differs from that of foo_2.0_amd64, and both have the same path in the pool: " +
		"remove foo_2.0_amd64 first, or give foo_1:2.0_amd64 another version"
	if got := add("r", plain); got.State != task.Succeeded {
		t.Fatal(got.Error)
	}
	if got := add("r", epoch); got.State != task.Failed || got.Code != 400 || got.Error != text {
		t.Errorf("added: state %d, %d %s", got.State, got.Code, got.Error)
	}
	if got := add("r", plain, same, elsewhere); got.State != task.Succeeded || len(r.keys(t, "r")) != 3 {
		t.Errorf("equal files, and those of another source: state %d, %d %s", got.State, got.Code, got.Error)
	}
	if got := add("to", epoch); got.State != task.Succeeded {
		t.Fatal(got.Error)
	}
	spec, err := r.repos.CheckCopy(t.Context(), repo.CopyArgs{To: "to", From: "r", Query: "foo (= 2.0)"})
	const copied = "error processing dest add: file foo_2.0_amd64.deb of foo_2.0_amd64 differs from that of foo_1:2.0_amd64, and both have the same path in the pool: " +
		"remove foo_1:2.0_amd64 first, or give foo_2.0_amd64 another version"
	if got, _ := r.run(t, spec, err); got.State != task.Failed || got.Code != 500 || got.Error != copied {
		t.Errorf("copied: state %d, %d %s", got.State, got.Code, got.Error)
	}
	if keys := r.keys(t, "to"); !slices.Equal(keys, []string{epoch.Key()}) {
		t.Errorf("packages %q", keys)
	}
}

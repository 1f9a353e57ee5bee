package snapshot_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"aptless/core/archive/snapshot"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

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

// sliced runs a task in slices and returns their number. Between two looks at the
// clock, a slice makes some calls for each of at most 100 packages.
func (r *rig) sliced(t *testing.T, spec task.Spec, err error) (slices int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	admitted, err := r.tasks.Admit(t.Context(), spec, false)
	if err != nil {
		t.Fatal(err)
	}
	slices, most := r.env.DrainCounting(t, r.dispatcher.Handle)
	if most > 400 {
		t.Errorf("%s: a slice of ten seconds has made %d calls", spec.Kind, most)
	}
	if got, err := r.tasks.Get(t.Context(), admitted.ID); err != nil || got.State != task.Succeeded {
		t.Fatalf("%s: state %d %s, %v", spec.Kind, got.State, got.Error, err)
	}
	return slices
}

// numbered returns packages p0000, p0001 … with a version.
func numbered(count int, version string) []*deb.Package {
	var all []*deb.Package
	for i := range count {
		all = append(all, pack(fmt.Sprintf("p%04d_%s_amd64", i, version), version))
	}
	return all
}

// TestTasksGoOnInSlices runs every task of snapshots in slices of ten storage
// calls. Tasks whose work grows with the packages take several. The results equal
// those of single slices.
func TestTasksGoOnInSlices(t *testing.T) {
	lists := map[string][]*deb.Package{"old": numbered(450, "1"), "new": numbered(450, "2"), "third": numbered(20, "3"), "fourth": numbered(10, "4")}
	names := []string{"old", "new", "third", "fourth"}
	cut, whole := mirrored(t, lists), mirrored(t, lists)
	var keys []string
	for _, p := range lists["new"] {
		keys = append(keys, p.Key())
	}
	for _, r := range []*rig{cut, whole} {
		r.record(t, lists["new"]...)
		for _, name := range names {
			r.take(t, name)
		}
		r.snapshots.MaxMerged = 500
	}
	cut.cut()
	src := func(name string) snapshot.Source { return snapshot.Source{Name: name} }
	for _, tc := range []struct {
		name  string
		least int // number of slices
		spec  func(*snapshot.Store) (task.Spec, error)
	}{
		{"refs", 3, func(s *snapshot.Store) (task.Spec, error) { return s.CheckCreate(t.Context(), "refs", "", nil, keys) }},
		{"both", 3, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckCreate(t.Context(), "both", "", []string{"old", "third"}, keys)
		}},
		{"replaced", 2, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckMerge(t.Context(), "replaced", names, false, false)
		}},
		{"latest", 2, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckMerge(t.Context(), "latest", names, true, false)
		}},
		{"all", 2, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckMerge(t.Context(), "all", names, false, true)
		}},
		{"pulled", 3, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckPull(t.Context(), snapshot.PullArgs{Base: src("old"), From: src("new"), Destination: "pulled", Queries: []string{"Name"}, AllMatches: true})
		}},
		{"beside", 3, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckPull(t.Context(), snapshot.PullArgs{Base: src("old"), From: src("new"), Destination: "beside", Queries: []string{"Name"}, NoRemove: true})
		}},
		{"filtered", 1, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckFilter(t.Context(), snapshot.FilterArgs{From: src("old"), Destination: "filtered", Queries: []string{"Name (>= p0100)"}, WithDeps: true})
		}},
		{"renamed", 1, func(s *snapshot.Store) (task.Spec, error) {
			return s.CheckUpdate(t.Context(), "filtered", "renamed", "description")
		}},
	} {
		spec, err := tc.spec(cut.snapshots)
		if n := cut.sliced(t, spec, err); n < tc.least {
			t.Errorf("%s took %d slices, want %d at least", tc.name, n, tc.least)
		}
		spec, err = tc.spec(whole.snapshots)
		want := whole.made(t, tc.name, spec, err)
		got, err := cut.snapshots.ByName(t.Context(), tc.name)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := cut.keys(t, got), whole.keys(t, want); !slices.Equal(a, b) || len(a) == 0 {
			t.Errorf("%s has %d packages, want %d", tc.name, len(a), len(b))
		}
	}
	spec, err := cut.snapshots.CheckDrop(t.Context(), "renamed", true)
	cut.sliced(t, spec, err)
	spec, err = cut.snapshots.CheckDropMany(t.Context(), snapshot.ManyArgs{Pattern: "*", Force: true})
	if n := cut.sliced(t, spec, err); n < 2 {
		t.Errorf("a removal of many took %d slices", n)
	}
	if left, err := cut.snapshots.All(t.Context(), false); err != nil || len(left) > 0 {
		t.Errorf("%d snapshots are left, %v", len(left), err)
	}
}

// TestConflictOfKeysFailsInAnySlice has conflicting packages in different slices.
// The failure equals that of a single slice.
func TestConflictOfKeysFailsInAnySlice(t *testing.T) {
	r := mirrored(t, nil)
	packages := numbered(350, "1")
	packages = append(packages, pack("p0001_1_amd64", "other"))
	r.record(t, packages...)
	var keys []string
	for _, p := range packages {
		keys = append(keys, p.Key())
	}
	r.cut()
	spec, err := r.snapshots.CheckCreate(t.Context(), "s", "", nil, keys)
	got := r.run(t, spec, err)
	if got.State != task.Failed || got.Code != 400 || got.Error != "package already exists and is different: p0001_1_amd64" {
		t.Errorf("state %d, %d %s", got.State, got.Code, got.Error)
	}
	if _, err := r.snapshots.SourceByName(t.Context(), "s"); err == nil {
		t.Error("there is a snapshot")
	}
}

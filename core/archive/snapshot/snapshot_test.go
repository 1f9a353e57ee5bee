package snapshot_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/source"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// TestSnapshotInheritsMetaOfItsMirror holds that a snapshot inherits Meta from its mirror.
func TestSnapshotInheritsMetaOfItsMirror(t *testing.T) {
	r := mirrored(t, map[string][]*deb.Package{"m": {pack("aa_1_amd64", "a")}})
	mirrors := r.snapshots.Mirrors.(fakeMirrors)
	m := mirrors["m"]
	m.Origin, m.NotAutomatic, m.ButAutomaticUpgrades, m.Files = "Debian", "yes", "no", map[string]string{"main/dep11/x": "abc"}
	mirrors["m"], mirrors["new"] = m, source.Source{UUID: "uuid-new", Name: "new"}
	spec, err := r.snapshots.CheckMirror(t.Context(), "m", "s", "")
	if err != nil || spec.Name != "Create snapshot of mirror m" || !slices.Equal(spec.Resources, []string{"Ruuid-m"}) {
		t.Errorf("task %q of %v, %v", spec.Name, spec.Resources, err)
	}
	got := r.made(t, "s", spec, nil)
	view, err := json.Marshal(got.View())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Name":"s","CreatedAt":"2026-01-01T00:00:00Z","SourceKind":"repo","Description":"Snapshot from mirror [m]: http://example.org/ sid",` +
		`"Origin":"Debian","NotAutomatic":"yes","ButAutomaticUpgrades":"no","AppStreamFiles":{"main/dep11/x":"abc"}}`
	if string(view) != want {
		t.Errorf("%s, want %s", view, want)
	}
	if refs := r.env.Memory.Rows("ref/"); len(refs) != 1 || refs["ref/mirror/uuid-m/snapshot/"+got.UUID] == "" {
		t.Errorf("references %v", refs)
	}
	if got.List != m.List {
		t.Error("its list is another than the mirror's")
	}
	roots, err := r.snapshots.Roots(t.Context(), []byte(r.env.Memory.Rows("snapshot")["snapshot/"+got.UUID]))
	if err != nil || !slices.Equal(roots.Packages, []pkglist.Ref{m.List}) || !slices.Equal(roots.Files, []string{"abc"}) {
		t.Errorf("roots %v, %v", roots, err)
	}
	_, err = r.snapshots.CheckMirror(t.Context(), "none", "s", "")
	refused(t, err, 404, "mirror with name none not found")
	spec, err = r.snapshots.CheckMirror(t.Context(), "new", "x", "")
	if ended := r.run(t, spec, err); ended.Code != 400 || ended.Error != "mirror not updated" {
		t.Errorf("of a mirror that has nothing: %d %s", ended.Code, ended.Error)
	}
}

// TestAppStreamFilesOfLaterSnapshotsWin holds that files of later snapshots win.
func TestAppStreamFilesOfLaterSnapshotsWin(t *testing.T) {
	r := mirrored(t, map[string][]*deb.Package{"a": nil, "b": nil})
	mirrors := r.snapshots.Mirrors.(fakeMirrors)
	for name, files := range map[string]map[string]string{"a": {"x": "1", "y": "2"}, "b": {"y": "3"}} {
		m := mirrors[name]
		m.Files = files
		mirrors[name] = m
		r.take(t, name)
	}
	spec, err := r.snapshots.CheckMerge(t.Context(), "m", []string{"a", "b"}, false, false)
	if got := r.made(t, "m", spec, err); !maps.Equal(got.AppStreamFiles, map[string]string{"x": "1", "y": "3"}) {
		t.Errorf("files %v", got.AppStreamFiles)
	}
}

// TestMostSourcesFitIntoATransaction creates and drops a snapshot with the most sources. Both fit
// into a transaction.
func TestMostSourcesFitIntoATransaction(t *testing.T) {
	const most = 45
	lists, names := map[string][]*deb.Package{}, []string{}
	for i := range most + 1 {
		names = append(names, fmt.Sprintf("m%02d", i))
		lists[names[i]] = []*deb.Package{pack(fmt.Sprintf("p%d_1_all", i), "x")}
	}
	r := mirrored(t, lists)
	for _, name := range names {
		r.take(t, name)
	}
	_, err := r.snapshots.CheckMerge(t.Context(), "all", names, false, false)
	refused(t, err, 400, "a snapshot can be made of at most 45 snapshots")
	again := slices.Concat(names[:most], names[:most]) // duplicates count once
	spec, err := r.snapshots.CheckMerge(t.Context(), "all", again, false, false)
	if got := r.keys(t, r.made(t, "all", spec, err)); len(got) != most {
		t.Errorf("%d packages", len(got))
	}
	if refs := r.env.Memory.Rows("ref/snapshot/"); len(refs) != most {
		t.Errorf("%d references", len(refs))
	}
	spec, err = r.snapshots.CheckDrop(t.Context(), "all", false)
	if got := r.run(t, spec, err); got.State != task.Succeeded {
		t.Errorf("drop: %s", got.Error)
	}
	if refs := r.env.Memory.Rows("ref/snapshot/"); len(refs) != 0 {
		t.Errorf("references are left: %v", refs)
	}
}

// TestFirstUnknownKeyIsNamed creates a snapshot of more packages than fit into a row. The
// error names the first unknown key.
func TestFirstUnknownKeyIsNamed(t *testing.T) {
	var packages []*deb.Package
	var keys []string
	for i := range 8000 {
		packages = append(packages, pack(fmt.Sprintf("package-with-a-longer-name-%05d_1.0-1_amd64", i), "x"))
		keys = append(keys, packages[i].Key())
	}
	r := newRig(t, nil)
	r.record(t, packages...)
	spec, err := r.snapshots.CheckCreate(t.Context(), "s", "", nil, keys)
	if got := r.keys(t, r.made(t, "s", spec, err)); !slices.Equal(got, keys) {
		t.Errorf("%d packages, want %d", len(got), len(keys))
	}
	keys[5000], keys[5001] = "Pamd64 first 1 0123456789", "Pamd64 second 1 0123456789"
	spec, err = r.snapshots.CheckCreate(t.Context(), "u", "", nil, keys)
	if got := r.run(t, spec, err); got.Code != 404 || got.Error != "package Pamd64 first 1 0123456789: key not found" {
		t.Errorf("%d %s", got.Code, got.Error)
	}
	_, err = r.snapshots.CheckCreate(t.Context(), "v", "", nil, make([]string, 250_001))
	refused(t, err, 400, "a snapshot can be made of at most 250000 package references")
}

// TestDefaultsComeFromTheLeaves holds that a snapshot has the distributions and
// components of the mirrors from which it derives. It finds them through
// snapshots that still exist, each once.
func TestDefaultsComeFromTheLeaves(t *testing.T) {
	r := mirrored(t, map[string][]*deb.Package{"a": nil, "b": nil})
	mirrors := r.snapshots.Mirrors.(fakeMirrors)
	for name, components := range map[string][]string{"a": {"main", "contrib"}, "b": {"extra"}} {
		m := mirrors[name]
		m.Distributions, m.Components = []string{"dist-" + name}, components
		mirrors[name] = m
		r.take(t, name)
	}
	merge := func(name string, of ...string) {
		spec, err := r.snapshots.CheckMerge(t.Context(), name, of, false, false)
		r.made(t, name, spec, err)
	}
	merge("ab", "a", "b", "a")
	merge("top", "ab", "b")
	defaults := func(name string) string {
		src, err := source.Finders{source.Snapshot: r.snapshots}.WithDefaults(t.Context(), source.Snapshot, name)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(src.Distributions)
		slices.Sort(src.Components)
		return fmt.Sprint(src.Distributions, src.Components)
	}
	for of, want := range map[string]string{"a": "[dist-a] [contrib main]", "b": "[dist-b] [extra]", "top": "[dist-a dist-b] [contrib extra main]"} {
		if got := defaults(of); got != want {
			t.Errorf("defaults of %s: %s, want %s", of, got, want)
		}
	}
	delete(mirrors, "b")
	if got := defaults("top"); got != "[dist-a] [contrib main]" {
		t.Errorf("defaults after a mirror is gone: %s", got)
	}
	spec, err := r.snapshots.CheckDrop(t.Context(), "ab", true)
	r.run(t, spec, err)
	if got := defaults("top"); got != "[] []" {
		t.Errorf("defaults after a snapshot is gone: %s", got)
	}
}

// TestValuesBeyondARowAreRefused holds that values too long for a row are refused before there is a
// task.
func TestValuesBeyondARowAreRefused(t *testing.T) {
	r := mirrored(t, map[string][]*deb.Package{"m": nil})
	r.take(t, "m")
	long, longer := strings.Repeat("x", 801), strings.Repeat("x", 64<<10+1)
	s, ctx := r.snapshots, t.Context()
	name := fmt.Sprintf("invalid snapshot name %.100q: 1 to 800 bytes of UTF-8", long)
	for _, check := range []func() (task.Spec, error){
		func() (task.Spec, error) { return s.CheckMirror(ctx, "m", long, "") },
		func() (task.Spec, error) { return s.CheckCreate(ctx, long, "", nil, nil) },
		func() (task.Spec, error) { return s.CheckMerge(ctx, long, []string{"m"}, false, false) },
		func() (task.Spec, error) { return s.CheckUpdate(ctx, "m", long, "") },
		func() (task.Spec, error) {
			return s.CheckPull(ctx, snapshot.PullArgs{Base: snapshot.Source{Name: "m"}, From: snapshot.Source{Name: "m"}, Destination: long})
		},
		func() (task.Spec, error) {
			return s.CheckFilter(ctx, snapshot.FilterArgs{From: snapshot.Source{Name: "m"}, Destination: long})
		},
	} {
		_, err := check()
		refused(t, err, 400, name)
	}
	const description = "invalid snapshot description: at most 65536 bytes of UTF-8"
	_, err := s.CheckCreate(ctx, "s", longer, nil, nil)
	refused(t, err, 400, description)
	_, err = s.CheckUpdate(ctx, "m", "", "\xff")
	refused(t, err, 400, description)
	const queries = "too many queries: at most 1000 of 65536 bytes together"
	_, err = s.CheckFilter(ctx, snapshot.FilterArgs{From: snapshot.Source{Name: "m"}, Destination: "s", Queries: []string{longer}})
	refused(t, err, 400, queries)
	_, err = s.CheckFilter(ctx, snapshot.FilterArgs{From: snapshot.Source{Name: "m"}, Destination: "s", Queries: make([]string, 1001)})
	refused(t, err, 400, queries)
	if _, err := s.ByName(ctx, longer); err == nil || err.Error() != "snapshot with name "+longer+" not found" {
		t.Errorf("%.100v", err)
	}
}

// TestEqualPackageReplacesNothing merges, and creates with keys. As in aptly
// 1.6.3, a package on both sides removes no other version.
func TestEqualPackageReplacesNothing(t *testing.T) {
	old, newer, lib := pack("hello_1.0_amd64", "a"), pack("hello_1.1_amd64", "b"), pack("libfoo_1_amd64", "c")
	r := mirrored(t, map[string][]*deb.Package{"z1": {old, newer, lib}, "zh": {old}, "zn": {newer}})
	r.record(t, old, newer, lib)
	for _, name := range []string{"z1", "zh", "zn"} {
		r.take(t, name)
	}
	spec, err := r.snapshots.CheckMerge(t.Context(), "m", []string{"z1", "zh"}, false, false)
	merged := r.made(t, "m", spec, err)
	spec, err = r.snapshots.CheckCreate(t.Context(), "z2", "", []string{"z1"}, []string{old.Key()})
	created := r.made(t, "z2", spec, err)
	want := []string{old.Key(), newer.Key(), lib.Key()}
	for _, found := range []snapshot.Snapshot{merged, created} {
		if got := r.keys(t, found); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", found.Name, got, want)
		}
	}
	spec, err = r.snapshots.CheckMerge(t.Context(), "n", []string{"z1", "zn"}, false, false)
	if got := r.keys(t, r.made(t, "n", spec, err)); !slices.Equal(got, want[1:]) {
		t.Errorf("the higher version leaves %q, want %q", got, want[1:])
	}
}

// TestTaskReadsASnapshotWithoutItsSources holds that a snapshot is found without its
// mirrors. A task has no locks of these. An update of a publication would else depend on a
// mirror that another task changes.
func TestTaskReadsASnapshotWithoutItsSources(t *testing.T) {
	r := mirrored(t, map[string][]*deb.Package{"a": nil})
	r.take(t, "a")
	r.snapshots.Mirrors = nil // a call of it panics
	src, err := r.snapshots.SourceByName(t.Context(), "a")
	if err != nil || src.Name != "a" || src.Distributions != nil {
		t.Errorf("%+v, %v", src, err)
	}
}

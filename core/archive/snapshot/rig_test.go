package snapshot_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// rig is a process with snapshots only.
type rig struct {
	env        *drivertest.Env
	snapshots  *snapshot.Store
	tasks      *task.Store
	dispatcher *task.Dispatcher
}

// fakeMirrors are mirrors in memory. A mirror without a title was never updated.
type fakeMirrors map[string]source.Source

func (s fakeMirrors) SourceByName(_ context.Context, name string) (source.Source, error) {
	src, ok := s[name]
	if !ok {
		return src, &named.NotFound{Noun: "mirror", Name: name}
	}
	if src.Kind = source.Mirror; src.Title == "" {
		src.Reason = "mirror not updated"
	}
	return src, nil
}

func (s fakeMirrors) SourceByUUID(ctx context.Context, _ named.Getter, _, name string) (source.Source, error) {
	return s.SourceByName(ctx, name)
}

func newRig(t testing.TB, mirrors fakeMirrors) *rig {
	env := drivertest.NewEnv()
	r := &rig{env: env}
	r.snapshots = &snapshot.Store{Table: env.Table, Mirrors: mirrors, Now: env.Clock.Now,
		Pool:  &pool.Store{Table: env.Table, Blobs: env.Blobs},
		Lists: pkglist.Store{Chunks: &lists.Store{Blobs: env.Blobs, Cache: lists.NewCache(64 << 20), Epoch: func() int64 { return 0 }}}}
	r.tasks = &task.Store{Table: env.Table, Blobs: env.Blobs, Queue: env.Queue, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	var err error
	if r.dispatcher, err = task.NewDispatcher(r.tasks, r.snapshots.Kinds()); err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs the task of a spec to its end.
func (r *rig) run(t testing.TB, spec task.Spec, err error) task.Task {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.tasks.Admit(t.Context(), spec, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.env.Drain(t.Context(), r.dispatcher.Handle); err != nil {
		t.Fatal(err)
	}
	if got, err = r.tasks.Get(t.Context(), got.ID); err != nil {
		t.Fatal(err)
	}
	return got
}

// made runs a task that must succeed and returns the snapshot with the name.
func (r *rig) made(t testing.TB, name string, spec task.Spec, err error) snapshot.Snapshot {
	t.Helper()
	if got := r.run(t, spec, err); got.State != task.Succeeded {
		t.Fatalf("%s: %d %s", got.Name, got.Code, got.Error)
	}
	found, err := r.snapshots.ByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// refused checks that no task is made.
func refused(t *testing.T, err error, code int, text string) {
	t.Helper()
	var failure *task.Error
	if !errors.As(err, &failure) || failure.Code != code || err.Error() != text {
		t.Errorf("%v, want %d %s", err, code, text)
	}
}

// list stores a list of packages.
func (r *rig) list(t testing.TB, packages ...*deb.Package) *pkglist.List {
	t.Helper()
	list, err := r.snapshots.Lists.Open(t.Context(), pkglist.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	edit := list.Edit()
	for _, p := range packages {
		if err := edit.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if list, err = edit.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return list
}

// record stores the records of packages.
func (r *rig) record(t testing.TB, packages ...*deb.Package) {
	t.Helper()
	for batch := range slices.Chunk(packages, driver.MaxOps) {
		rows := make([]driver.Row, len(batch))
		for i, p := range batch {
			var err error
			if rows[i], err = r.snapshots.Pool.Row(t.Context(), pool.Record{Package: p}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.env.Table.Put(t.Context(), rows...); err != nil {
			t.Fatal(err)
		}
	}
}

// pack returns the package "name_version_arch" with a file of the given content.
func pack(id, content string) *deb.Package {
	parts := strings.Split(id, "_")
	h := deb.NewHasher()
	h.Write([]byte(content))
	return &deb.Package{Kind: deb.Binary, Name: parts[0], Version: parts[1], Architecture: parts[2], Files: []deb.File{h.File(id + ".deb")}}
}

// mirrored returns a rig with mirrors of the given lists.
func mirrored(t testing.TB, lists map[string][]*deb.Package) *rig {
	t.Helper()
	mirrors := fakeMirrors{}
	r := newRig(t, mirrors)
	for name, packages := range lists {
		mirrors[name] = source.Source{UUID: "uuid-" + name, Name: name, Title: "[" + name + "]: http://example.org/ sid", List: r.list(t, packages...).Ref()}
	}
	return r
}

// take makes a snapshot of the mirror with its name.
func (r *rig) take(t testing.TB, name string) snapshot.Snapshot {
	t.Helper()
	spec, err := r.snapshots.CheckMirror(t.Context(), name, name, "")
	return r.made(t, name, spec, err)
}

// keys returns the keys of a snapshot's packages.
func (r *rig) keys(t testing.TB, found snapshot.Snapshot) []string {
	t.Helper()
	list, err := r.snapshots.Packages(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for key, err := range list.Keys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

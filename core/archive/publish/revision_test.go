package publish_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// rollback publishes a generation of stable again.
func (r *rig) rollback(generation int64) error {
	args := at("stable")
	args.Generation = generation
	spec, err := r.checkRollback(r.ctx, args)
	return r.run(spec, err)
}

// written returns the objects that calls have written, but for package files.
func written(calls []string) []string {
	var keys []string
	for _, call := range calls {
		verb, key, _ := strings.Cut(call, " ")
		if (verb == "Blobs.Put" || verb == "Blobs.Copy") && !strings.Contains(key, "/pool/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestRollback goes back to former revisions, of repositories and snapshots.
func TestRollback(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("a", hello), r.put("b", later), r.create(from("stable", "a")), r.put("a", newer, common), r.update(at("stable")),
		r.stage(publish.Replace, "", "extra", "b"), r.update(staged("stable")))
	revisions := func() string {
		list, err := r.publish.Revisions(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "stable"})
		must(t, err)
		var b strings.Builder
		for _, rev := range list {
			fmt.Fprintf(&b, "%d %v %v\n", rev.Generation, rev.Current, rev.Sources)
		}
		return b.String()
	}
	if d := gocmp.Diff("3 true [{extra b}]\n2 false [{main a}]\n1 false [{main a}]\n", revisions()); d != "" {
		t.Error(d)
	}
	before := env.Memory.Objects("public/dists/stable/Release")["public/dists/stable/Release"]
	must(t, r.put("a"), r.rollback(1))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	referred(t, env, "ref/repo/uuid-a/publish/:./stable")
	date := func(release string) time.Time {
		_, rest, _ := strings.Cut(release, "\nDate: ")
		line, _, _ := strings.Cut(rest, "\n")
		parsed, err := time.Parse("Mon, 2 Jan 2006 15:04:05 MST", line)
		must(t, err)
		return parsed
	}
	if after := env.Memory.Objects("public/dists/stable/Release")["public/dists/stable/Release"]; !date(after).After(date(before)) {
		t.Errorf("dates %v, then %v", date(before), date(after))
	}
	must(t, r.rollback(2))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "common=1 hello=2"})
	must(t, r.rollback(3), r.rollback(2))
	if got := revisions(); !strings.HasPrefix(got, "7 true [{main a}]\n6 false [{extra b}]\n") {
		t.Error(got)
	}
	must(t, r.update(at("stable"))) // of the packages that the repository has by now
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": ""})

	args := at("stable")
	args.Generation = 99
	_, err := r.checkRollback(t.Context(), args)
	refused(t, "revision", err, 404, "unable to roll back: ./stable has no revision 99")
	_, err = r.checkRollback(t.Context(), at("none"))
	refused(t, "publication", err, 404, "unable to roll back: published repo with storage:prefix/distribution ./none not found")
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// TestRollbackToDropped goes back to a revision whose snapshot is gone.
func TestRollbackToDropped(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("snap-1", hello), r.put("snap-2", newer), r.create(from("stable", "snap-1")), r.update(to("stable", "main", "snap-2")))
	row, err := env.Table.Get(t.Context(), shelfKey("snap-1"))
	must(t, err)
	_, err = env.Table.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
	must(t, err, r.rollback(1))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	v, err := r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "stable"})
	if must(t, err); v.Sources[0].Name != "snap-1" {
		t.Errorf("%v", v.Sources)
	}
	must(t, r.update(to("stable", "main", "snap-2")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
}

// TestForgotten forgets revisions that are too old or too many.
func TestForgotten(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	count := func(want int, oldest int64) {
		t.Helper()
		list, err := r.publish.Revisions(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "stable"})
		if err != nil || len(list) != want || list[len(list)-1].Generation != oldest {
			t.Errorf("%v, %v, want %d from %d on", list, err, want, oldest)
		}
		if n := len(env.Memory.Objects("private/publish/")); n != 4*want {
			t.Errorf("%d staged objects for %d revisions", n, want)
		}
	}
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	for range 23 {
		must(t, r.relabel("stable"))
	}
	count(20, 5)
	env.Clock.Advance(7*24*time.Hour + 5*time.Second) // by which dates may lead the clock
	must(t, r.relabel("stable"))
	count(3, 23)
	if err := r.rollback(22); err == nil {
		t.Error("rolled back to a revision that is forgotten")
	}
}

// TestLongNames forgets revisions for which a row has no room.
func TestLongNames(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	args := from("stable", "r")
	args.Sources = nil
	for i := range 30 {
		args.Sources = append(args.Sources, publish.NamedSource{Component: fmt.Sprint("c", i), Name: "r"})
	}
	skip := true
	args.Options.SkipContents, args.Options.SkipBz2 = &skip, &skip
	must(t, r.put("r", hello), r.describe("r", func(s *sourcepkg.Source) { s.Name = strings.Repeat("n", 700) }), r.create(args))
	for range 12 {
		must(t, r.relabel("stable"))
	}
	list, err := r.publish.Revisions(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "stable"})
	if err != nil || len(list) < 3 || len(list) > 12 || !list[0].Current || list[0].Generation != 13 {
		t.Errorf("%d revisions, %v", len(list), err)
	}
}

// TestFewWrites switches between snapshots that were published, and rolls back.
// But for the inventory, the number of objects written is the same for any number of
// packages.
func TestFewWrites(t *testing.T) {
	t.Parallel()
	const limit = 12
	for _, n := range []int{10, 2000} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		var packs []pack
		for i := range n {
			packs = append(packs, pack{fmt.Sprintf("package-%04d", i), "1", "amd64", fmt.Sprint(i)})
		}
		must(t, r.put("snap-1", packs...), r.put("snap-2", packs[:n/2]...), r.create(from("stable", "snap-1")), r.update(to("stable", "main", "snap-2")))
		for i, name := range []string{"switch", "rollback"} {
			before := len(env.Faults.Calls())
			if i == 0 {
				must(t, r.update(to("stable", "main", "snap-1")))
			} else {
				must(t, r.rollback(2))
			}
			keys := written(env.Faults.Calls()[before:])
			all := len(keys)
			keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "private/chunks/") })
			if chunks := all - len(keys); chunks > 4+n/100 { // of the inventory: a chunk has 256 paths
				t.Errorf("%s of %d packages: %d objects of lists written", name, n, chunks)
			}
			if t.Logf("%s of %d packages: %d objects written", name, n, len(keys)); len(keys) > limit {
				t.Errorf("%s: %s", name, strings.Join(keys, "\n"))
			}
		}
	}
}

func TestSweepRollback(t *testing.T) {
	t.Parallel()
	sweep(t,
		func(r *rig) error {
			return cmp.Or(r.put("r", hello, common), r.create(from("stable", "r")), r.put("r", newer), r.update(at("stable")))
		},
		func(r *rig) error { return r.rollback(1) })
}

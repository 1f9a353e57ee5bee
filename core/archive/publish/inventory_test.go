package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// toOldRows gives the root prefix the rows of earlier releases in the place of its
// inventories. There is one for each package file and each file of an installer. The row
// of each path in marks has a mark.
func toOldRows(ctx context.Context, env *drivertest.Env, marks map[string]string) error {
	var rows []driver.Row
	put := func(name, sha256 string) {
		rows = append(rows, driver.Row{Key: driver.Key{Part: "pool/:.", Sort: name}, Data: []byte(sha256 + marks[name])})
	}
	for key, data := range env.Memory.Objects("public/") {
		name := strings.TrimPrefix(key, "public/")
		if strings.HasPrefix(name, "pool/") || strings.Contains(name, "/images/") && !strings.Contains(name, "SHA256") {
			put(name, hashed("", data).SHA256)
		}
	}
	slices.SortFunc(rows, func(a, b driver.Row) int { return a.Compare(b.Key) })
	for _, sort := range slices.Sorted(maps.Keys(env.Memory.Rows("inventory"))) {
		row, err := env.Table.Get(ctx, driver.Key{Part: "inventory", Sort: strings.TrimPrefix(sort, "inventory/")})
		if err == nil {
			_, err = env.Table.Write(ctx, driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
		}
		if err != nil {
			return err
		}
	}
	return env.Table.Put(ctx, rows...)
}

// TestOldRowsBecomeInventories has data of an earlier release, with a row for each
// published package file, and breaks each call of the first tasks on it.
func TestOldRowsBecomeInventories(t *testing.T) {
	t.Parallel()
	skip, on := true, true
	small := func(args request) request {
		args.Options.SkipContents, args.Options.SkipBz2 = &skip, &skip
		return args
	}
	multi := small(from("two", "r"))
	multi.Options.MultiDist = &on
	many := func(n int) (packs []pack) {
		for i := range n {
			packs = append(packs, pack{fmt.Sprintf("package-%03d", i), "1", "amd64", fmt.Sprint(i)})
		}
		return append(packs, hello, kernel)
	}
	const replaced = "pool/main/h/hello/hello_1_amd64.deb"
	setup := func(ctx context.Context, env *drivertest.Env, n int) error {
		r := newRig(ctx, env)
		if err := errors.Join(r.put("r", many(n)...), r.create(small(from("one", "r"))), r.create(multi)); err != nil {
			return err
		}
		// A forced update of another worker has died between the mark and the copy.
		if _, err := env.Blobs.Put(ctx, "public/"+replaced, strings.NewReader("an older hello"), driver.PutOptions{}); err != nil {
			return err
		}
		objects := env.Memory.Objects("public/" + replaced)
		was := hashed("", objects["public/"+replaced]).SHA256
		if err := toOldRows(ctx, env, map[string]string{replaced: " replacing", "pool/main/p/package-000/package-000_1_amd64.deb": " removing"}); err != nil {
			return err
		}
		row, err := env.Table.Get(ctx, driver.Key{Part: "pool/:.", Sort: replaced})
		if err != nil {
			return err
		}
		row.Data = []byte(strings.Replace(string(row.Data), was, hashed("", hello.content).SHA256, 1))
		return env.Table.Put(ctx, row)
	}
	relabelled := func(dist string) request {
		args, label := at(dist), "new"
		args.Options.Label = &label
		return args
	}
	for name, tc := range map[string]struct {
		n   int // a transaction removes 100 rows
		run func(r *rig) error
	}{
		"update": {102, func(r *rig) error {
			return errors.Join(r.put("r", append(many(102)[1:], common)...), r.update(at("one")))
		}},
		"drop": {3, func(r *rig) error { return r.drop(at("one")) }},
		"create": {3, func(r *rig) error {
			return errors.Join(r.create(small(from("three", "r"))), r.update(relabelled("one")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drivertest.Sweep(t, drivertest.Journey{
				Setup: func(ctx context.Context, env *drivertest.Env) error { return setup(ctx, env, tc.n) },
				Run:   func(ctx context.Context, env *drivertest.Env) error { return tc.run(newRig(ctx, env)) },
				Recover: func(ctx context.Context, env *drivertest.Env) error {
					r := newRig(ctx, env)
					if err := errors.Join(r.dispatcher.Resend(ctx, true), env.Drain(ctx, r.dispatcher.Handle)); err != nil {
						return err
					}
					_, err := r.tick()
					return err
				},
				Verify: func(env *drivertest.Env, _ error) error {
					r := newRig(context.Background(), env) // the other publications move their rows, too
					var errs []error
					for _, dist := range []string{"one", "two"} {
						if err := r.update(relabelled(dist)); err != nil && !strings.Contains(err.Error(), "not found") {
							errs = append(errs, err)
						}
					}
					_, err := trees(env)
					return errors.Join(append(errs, err)...)
				},
			})
		})
	}
}

// TestLeftoverGivesWay has an object under the path of a package file that no inventory
// names. An attempt that was overtaken has written it after it was undone. A publication
// takes it over if it is the same file, and replaces it otherwise.
func TestLeftoverGivesWay(t *testing.T) {
	t.Parallel()
	const file = "public/pool/main/h/hello/hello_1_amd64.deb"
	for content, copies := range map[string]int{hello.content: 1, "older bytes": 2} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		_, err := env.Blobs.Put(t.Context(), file, strings.NewReader(content), driver.PutOptions{})
		must(t, err, r.put("r", hello), r.create(from("stable", "r")))
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
		n := 0
		for _, call := range env.Faults.Calls() {
			if strings.HasPrefix(call, "Blobs.Copy") && strings.Contains(call, "hello_1") {
				n++
			}
		}
		if n != copies {
			t.Errorf("%q: %d copies, want %d", content, n, copies)
		}
	}
}

// TestFileOfAFailedForceComesBackFirst has an update with ForceOverwrite replace a file
// that a neighbour shares, and fail. Its Undo fails for longer than it is tried. Another
// publication of the file that the inventory names gets that file.
func TestFileOfAFailedForceComesBackFirst(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	broken := false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		return broken && method == "delete" && strings.HasPrefix(key, "public/")
	}}
	r := newRig(t.Context(), env)
	anew := hello
	anew.content = "built anew"
	must(t, r.put("a", hello), r.put("b", newer), r.put("c", hello), r.create(from("one", "a")), r.create(from("two", "b")), r.put("b", anew, newer))
	force := at("two")
	force.ForceOverwrite = true
	r.publish.Signer, broken = outdated{}, true
	if err := r.update(force); err == nil {
		t.Fatal("published with a key that has expired")
	}
	r.publish.Signer = frame{}
	var row struct{ Forced []string }
	must(t, json.Unmarshal([]byte(env.Memory.Rows("inventory")["inventory/:./pool"]), &row))
	if !slices.Equal(row.Forced, []string{":./two"}) {
		t.Fatalf("the area is marked for %q", row.Forced)
	}
	must(t, r.create(from("three", "c")))
	const file = "public/pool/main/h/hello/hello_1_amd64.deb"
	if got := env.Memory.Objects(file)[file]; got != hello.content {
		t.Errorf("published is %q", got)
	}
	broken = false
	must(t, r.put("b", newer), r.update(at("two")))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "hello=1", "two/main/binary-amd64/Packages": "hello=2", "three/main/binary-amd64/Packages": "hello=1"})
}

// TestNestedComponentAndMultiDistShareAnArea has a component "stable/main" of one
// publication and the component main of a distribution stable with MultiDist. Their
// files have the same directory, so a path with two files is a conflict.
func TestNestedComponentAndMultiDistShareAnArea(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	on := true
	multi, nested := from("stable", "a"), from("other", "b")
	multi.Options.MultiDist = &on
	nested.Sources = []publish.NamedSource{{Component: "stable/main", Name: "b"}}
	anew := hello
	anew.content = "built anew"
	must(t, r.put("a", hello), r.put("b", later), r.create(multi), r.create(nested))
	var row struct{ Recent map[string]string }
	must(t, json.Unmarshal([]byte(env.Memory.Rows("inventory")["inventory/:./pool/stable"]), &row))
	if len(env.Memory.Rows("inventory")) != 1 || len(row.Recent) != 2 {
		t.Errorf("the inventories are %v", env.Memory.Rows("inventory"))
	}
	must(t, r.put("b", anew, later))
	if err := r.update(at("other")); err == nil || !strings.Contains(err.Error(), "file already exists and is different") {
		t.Errorf("the path of a neighbour: %v", err)
	}
	must(t, r.drop(at("stable")), r.update(at("other")))
	has(t, env, map[string]string{"other/stable/main/binary-amd64/Packages": "hello=1 " + later.name + "=" + later.version})
	must(t, r.drop(at("other")))
	gone(t, env)
}

// TestSmallChangeOfALargeInventoryIsInItsRow publishes more files than a row has, then
// changes a few, then all.
func TestSmallChangeOfALargeInventoryIsInItsRow(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	packs := func(from, to int) (list []pack) {
		for i := from; i < to; i++ {
			list = append(list, pack{fmt.Sprintf("package-%03d", i), "1", "amd64", fmt.Sprint(i)})
		}
		return list
	}
	args, skip := from("stable", "r"), true
	args.Options.SkipContents = &skip
	must(t, r.put("r", packs(0, 300)...), r.create(args))
	for _, n := range []int{1, 2, 3, 4, 100, 299, 300} { // at the end two files are in the list
		must(t, r.put("r", append(packs(n, 300), hello)...))
		before := len(env.Faults.Calls())
		must(t, r.update(at("stable")))
		chunks := 0
		for _, call := range env.Faults.Calls()[before:] {
			if strings.HasPrefix(call, "Blobs.Put private/chunks/") {
				chunks++
			}
		}
		if _, err := trees(env); err != nil || (chunks == 0) != (n < 10 || n == 300) {
			t.Errorf("%d lost packages: %d objects of lists, %v", n, chunks, err)
		}
		if len(env.Memory.Rows("inventory")["inventory/:./pool"]) > 4<<10 {
			t.Errorf("the row is %s", env.Memory.Rows("inventory"))
		}
	}
	must(t, r.put("r", packs(0, 300)...), r.update(at("stable")), r.drop(at("stable")))
	gone(t, env)
}

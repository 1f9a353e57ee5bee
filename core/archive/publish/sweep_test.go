package publish_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// stored returns all that is stored for publications. It leaves out parts that
// differ with the time and the number of attempts.
func stored(env *drivertest.Env) map[string]string {
	all := map[string]string{}
	for key, data := range env.Memory.Objects("public/") {
		if strings.HasPrefix(data, "signature of ") && strings.Contains(key, "/by-hash/") {
			continue
		}
		if name := key[strings.LastIndexByte(key, '/')+1:]; name == "InRelease" || strings.HasSuffix(name, ".gpg") || strings.HasPrefix(data, "Origin") && strings.Contains(data, "\nDate:") {
			data = ""
		}
		all[key] = data
	}
	for key := range env.Memory.Objects("private/publish/") {
		name := key[strings.LastIndexByte(key, '/')+1:]
		for all["private "+name] != "" { // a second one is one too many
			name += " again"
		}
		all["private "+name] = "there"
	}
	maps.Copy(all, env.Memory.Rows("pool/"))
	maps.Copy(all, env.Memory.Rows("ref/"))
	return all
}

// requested is the number of tasks that clients have requested.
func requested(env *drivertest.Env) int {
	n := 0
	for _, data := range env.Memory.Rows("task") {
		if !strings.Contains(data, `"Entry":"`) {
			n++
		}
	}
	return n
}

// sweep interrupts run at every call of a port. The next process gets the
// messages again, and the client's request if it was lost. It has to leave the
// same objects and rows as an undisturbed run.
func sweep(t *testing.T, setup, run func(*rig) error) {
	t.Helper()
	peace := drivertest.NewEnv()
	r := newRig(t.Context(), peace)
	must(t, setup(r), run(r))
	want := stored(peace)
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error { return setup(newRig(ctx, env)) },
		Run:   func(ctx context.Context, env *drivertest.Env) error { return run(newRig(ctx, env)) },
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			r := newRig(ctx, env)
			if err := r.dispatcher.Resend(ctx, true); err != nil {
				return err
			}
			if err := env.Drain(ctx, r.dispatcher.Handle); err != nil {
				return err
			}
			if _, err := r.tick(); err != nil { // a task that died has not admitted the removal
				return err
			}
			if requested(env) < requested(peace) {
				return run(r) // it was not admitted
			}
			return nil
		},
		Verify: func(env *drivertest.Env, _ error) error {
			r := newRig(context.Background(), env)
			for i := range len(env.Memory.Rows("task")) {
				if err := r.ended(int64(i + 1)); err != nil && !strings.Contains(err.Error(), "unknown task") {
					return err
				}
			}
			if _, err := trees(env); err != nil {
				return err
			}
			if d := gocmp.Diff(want, stored(env)); d != "" {
				return errors.New(d)
			}
			return nil
		},
	})
}

// TestSweepCreate interrupts a creation. Few package files are linked before the indexes
// are made, and many while they are made.
func TestSweepCreate(t *testing.T) {
	t.Parallel()
	for _, beside := range []int{0, 1} {
		sweep(t,
			func(r *rig) error { return r.put("r", hello, common) },
			func(r *rig) error {
				r.publish.FilesBeside = beside
				return r.create(from("stable", "r"))
			})
	}
}

func TestSweepUpdate(t *testing.T) {
	t.Parallel()
	sweep(t,
		func(r *rig) error {
			return cmp.Or(r.put("r", hello, common), r.create(from("stable", "r")), r.put("r", newer, common))
		},
		func(r *rig) error { return r.update(at("stable")) })
}

// TestSweepReplace interrupts an update that replaces published files by other
// files. A second update moves the pool to another directory, too.
func TestSweepReplace(t *testing.T) {
	t.Parallel()
	other, on := hello, true
	other.content = "hello 1, built anew"
	args := at("stable")
	args.ForceOverwrite = true
	setup := func(r *rig) error {
		return cmp.Or(r.put("r", hello), r.create(from("stable", "r")), r.put("r", other))
	}
	sweep(t, setup, func(r *rig) error { return r.update(args) })
	args.Options.MultiDist = &on
	sweep(t, setup, func(r *rig) error { return r.update(args) })
}

// TestSweepDrop interrupts a drop whose files go after the answer, and one whose files
// go before it.
func TestSweepDrop(t *testing.T) {
	t.Parallel()
	for _, atOnce := range []int{0, 100} {
		sweep(t,
			func(r *rig) error {
				return cmp.Or(r.put("r", hello, common), r.put("s", hello), r.create(from("one", "r")), r.create(from("two", "s")))
			},
			func(r *rig) error {
				r.publish.DropAtOnce = atOnce
				return r.drop(at("one"))
			})
	}
}

// TestSweepCreateAfterDrop interrupts a creation that finds the files of a publication
// of its name, which was dropped and is not removed yet. Another pool is shared with a
// neighbour, and one file of it is another one now.
func TestSweepCreateAfterDrop(t *testing.T) {
	t.Parallel()
	anew := hello
	anew.content = "hello 1, built anew"
	for _, next := range []request{from("one", "s"), from("three", "s")} {
		skip, was := true, from("one", "r")
		for _, args := range []*request{&was, &next} { // fewer calls
			args.Options.SkipContents, args.Options.SkipBz2 = &skip, &skip
		}
		sweep(t,
			func(r *rig) error {
				err := cmp.Or(r.put("r", hello, common), r.put("s", anew), r.create(was))
				if err != nil {
					return err
				}
				return r.dropOnly(at("one"))
			},
			func(r *rig) error {
				spec, err := r.checkCreate(r.ctx, ":.", next)
				if err != nil {
					return err
				}
				if _, err = r.tasks.Admit(r.ctx, spec, false); err != nil {
					return err
				}
				if _, err := r.tick(); err != nil { // the removal comes after the creation
					return err
				}
				return nil
			})
	}
}

// pausing returns a world that calls before ahead of each of its calls.
func pausing(e *drivertest.Env, before func()) *drivertest.Env {
	paused := *e
	paused.Blobs, paused.Table = pausingBlobs{e.Blobs, before}, pausingTable{e.Table, before}
	return &paused
}

type pausingBlobs struct {
	driver.Blobs
	before func()
}

func (b pausingBlobs) Stat(ctx context.Context, key string) (driver.Info, error) {
	b.before()
	return b.Blobs.Stat(ctx, key)
}

func (b pausingBlobs) Open(ctx context.Context, key string, rng *driver.Range) (io.ReadCloser, driver.Info, error) {
	b.before()
	return b.Blobs.Open(ctx, key, rng)
}

func (b pausingBlobs) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	b.before()
	return b.Blobs.Put(ctx, key, r, opt)
}

func (b pausingBlobs) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	b.before()
	return b.Blobs.Copy(ctx, dst, src, opt)
}

func (b pausingBlobs) Delete(ctx context.Context, keys ...string) error {
	b.before()
	return b.Blobs.Delete(ctx, keys...)
}

type pausingTable struct {
	driver.Table
	before func()
}

func (t pausingTable) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	t.before()
	return t.Table.Get(ctx, key)
}

func (t pausingTable) Write(ctx context.Context, ops ...driver.Op) (string, error) {
	t.before()
	return t.Table.Write(ctx, ops...)
}

// TestOvertaken lets an attempt sleep, at any of its calls, for longer than its
// lease. Other attempts finish its task and publish again. Then the sleeper
// goes on. It must not undo any of that.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	for n := int32(1); ; n++ {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		must(t, r.put("r", hello, common), r.create(from("stable", "r")), r.put("r", newer, common))
		spec, err := r.checkUpdate(t.Context(), at("stable"))
		must(t, err)
		first, err := r.tasks.Admit(t.Context(), spec, false)
		must(t, err)
		var calls atomic.Int32
		var overtaking error
		slept := false
		others := func() error {
			slept = true
			env.Clock.Advance(time.Hour)
			m := driver.Message{Group: "g", ID: "again", Body: fmt.Sprint(first.ID)}
			if _, err := r.dispatcher.Handle(t.Context(), m); err != nil {
				return err
			}
			return cmp.Or(r.ended(first.ID), r.put("r", newer, common, arm, later, loader), r.update(at("stable")))
		}
		sleeper := newRig(t.Context(), pausing(env, func() {
			if calls.Add(1) == n {
				overtaking = others()
			}
		}))
		_, err = sleeper.dispatcher.Handle(t.Context(), driver.Message{Group: "g", ID: "first", Body: fmt.Sprint(first.ID)})
		must(t, overtaking)
		if !slept {
			must(t, err)
			t.Logf("%d places to sleep", n-1)
			return
		}
		must(t, env.Drain(t.Context(), r.dispatcher.Handle))
		found, err := trees(env)
		if err != nil {
			t.Fatalf("asleep at call %d: %v", n, err)
		}
		if got := fmt.Sprint(found["stable/main/debian-installer/binary-amd64/Packages"], found["stable/main/binary-amd64/Packages"]); got != "[loader=1] [common=1 hello=2 later=1]" {
			t.Fatalf("asleep at call %d: %s", n, got)
		}
	}
}

// failing is Blobs some of whose calls fail, as long as it is to.
type failing struct {
	driver.Blobs
	fails func(method, key string) bool
}

var errBroken = errors.New("broken")

func (f failing) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	if f.fails("put", key) {
		return driver.Info{}, errBroken
	}
	return f.Blobs.Put(ctx, key, r, opt)
}

func (f failing) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	if f.fails("put", dst) {
		return driver.Info{}, errBroken
	}
	return f.Blobs.Copy(ctx, dst, src, opt)
}

func (f failing) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if f.fails("delete", key) {
			return errBroken
		}
	}
	return f.Blobs.Delete(ctx, keys...)
}

// TestOwedIsDoneByNextTask has the storage fail for longer than a task tries,
// at places where the tree is not as the row says. The tasks succeed with a
// warning. Files of other publications stay, and the next task pays the debt.
func TestOwedIsDoneByNextTask(t *testing.T) {
	for name, tc := range map[string]struct {
		method, key string // of the calls that fail
		do          func(*rig) error
		next        func(*rig) error
		want        []string // packages of both distributions at the end
	}{
		"apply, then update": {"put", "public/dists/one/InRelease", updateOne, updateOne, []string{"hello=2", "hello=1"}},
		"clean, then update": {"delete", "public/pool/main/c/common/common_1_all.deb", updateOne, updateOne, []string{"hello=2", "hello=1"}},
		"apply, then drop":   {"put", "public/dists/one/InRelease", updateOne, dropOne, []string{"", "hello=1"}},
		"drop, then update":  {"delete", "public/dists/one/Release", dropOne, updateOne, []string{"hello=2", "hello=1"}},
		"drop, then drop":    {"delete", "public/dists/one/InRelease", dropOne, dropOne, []string{"", "hello=1"}},
		"drop, then create":  {"delete", "public/pool/main/c/common/common_1_all.deb", dropOne, createOne, []string{"hello=2", "hello=1"}},
		"drop, then nested":  {"delete", "public/dists/one/main/binary-amd64/Packages.gz", dropOne, createNested, []string{"", "hello=1"}},
		"drop, then force":   {"delete", "public/dists/one/Release", dropOne, forceOne, nil},
	} {
		t.Run(name, func(t *testing.T) {
			env := drivertest.NewEnv()
			broken := false
			env.Blobs = failing{env.Blobs, func(method, key string) bool {
				return broken && method == tc.method && key == tc.key
			}}
			r := newRig(t.Context(), env)
			must(t, r.put("a", hello, common), r.put("b", hello), r.create(from("one", "a")), r.create(from("two", "b")), r.put("a", newer))
			broken = true
			must(t, tc.do(r), r.owes("one", "broken"))
			if tc.want == nil { // it does not care whether files go
				must(t, tc.next(r))
				if views, err := r.publish.List(t.Context()); err != nil || len(views) != 1 {
					t.Fatalf("%v, %v", views, err)
				}
				return
			}
			broken = false
			must(t, tc.next(r))
			found, err := trees(env)
			must(t, err)
			var got []string
			for _, dist := range []string{"one", "two"} {
				got = append(got, strings.Join(found[dist+"/main/binary-amd64/Packages"], " "))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestUpdateOfADropThatIsOwedLeavesNothing has two commits in turn that cannot be paid: of
// an update, and of a drop. The next update removes the files of the first state, too.
func TestUpdateOfADropThatIsOwedLeavesNothing(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	method := ""
	env.Blobs = failing{env.Blobs, func(m, key string) bool { return m == method && key == "public/dists/one/InRelease" }}
	r := newRig(t.Context(), env)
	must(t, r.put("a", hello, common), r.create(from("one", "a")), r.put("a", newer))
	method = "put"
	must(t, r.update(at("one")), r.owes("one", "broken"))
	method = "delete"
	must(t, r.drop(at("one")), r.owes("one", "broken"))
	method = ""
	must(t, r.update(at("one")))
	for key := range env.Memory.Objects("public/pool/") {
		if path.Base(key) != "hello_2_amd64.deb" {
			t.Errorf("%s is left", key)
		}
	}
	must(t, r.drop(at("one")))
	gone(t, env)
}

// TestOldTreeKeepsFiles has an update give up its apply before apt can see it.
// The tree still names files that the new lists lack. These files stay, also
// when another publication loses them.
func TestOldTreeKeepsFiles(t *testing.T) {
	env := drivertest.NewEnv()
	broken := true
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		return broken && method == "put" && key == "public/dists/one/main/binary-amd64/Packages" && len(env.Memory.Rows("publish")) == 2
	}}
	r := newRig(t.Context(), env)
	must(t, r.put("a", hello), r.put("b", hello), r.create(from("one", "a")), r.create(from("two", "b")), r.put("a", newer), r.put("b", common))
	must(t, updateOne(r), r.owes("one", "broken"))
	must(t, r.update(at("two")))
	const file = "public/pool/main/h/hello/hello_1_amd64.deb"
	if env.Memory.Objects(file)[file] == "" {
		t.Error("a file that the tree names is gone")
	}
	broken = false
	must(t, updateOne(r))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "hello=2", "two/main/binary-amd64/Packages": "common=1"})
}

func updateOne(r *rig) error { return r.update(at("one")) }
func createOne(r *rig) error { return r.create(from("one", "a")) }

// createNested publishes in the directory that distribution one had.
func createNested(r *rig) error { return r.create(from("one/main", "a")) }

func dropOne(r *rig) error { return r.drop(at("one")) }
func forceOne(r *rig) error {
	return r.drop(request{Name: publish.Name{Prefix: ".", Distribution: "one"}, Force: true})
}

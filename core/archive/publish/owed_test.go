package publish_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	"aptless/core/archive/publish/files"
	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/formats/pgp"
)

// stable names the distribution of most tests.
var stable = publish.Name{Prefix: ".", Distribution: "stable"}

// TestOutageAfterCommitIsFinishedByTick breaks the apply for hours. The task
// succeeds with a warning, and the publication shows the apply as owed. The
// tick finishes it when the outage is over.
func TestOutageAfterCommitIsFinishedByTick(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	broken := false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		return broken && method == "put" && key == "public/dists/stable/Release"
	}}
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, common), r.create(from("stable", "r")), r.put("r", newer, common))
	broken = true
	must(t, r.update(at("stable")), r.owes("stable", "broken"))
	last, err := r.tasks.Get(t.Context(), 2)
	if must(t, err); !strings.Contains(string(last.Value), `"Warnings":["published, but not all files`) || last.Code != 200 {
		t.Errorf("the answer is %d %s", last.Code, last.Value)
	}
	v, err := r.publish.Show(t.Context(), stable)
	if must(t, err); v.Owed == nil || v.Owed.What != "apply" || !strings.Contains(v.Owed.Reason, "broken") || v.Owed.Since.IsZero() {
		t.Errorf("owed is %+v", v.Owed)
	}
	for range 3 { // hours go by
		env.Clock.Advance(time.Hour)
		if _, err := r.tick(); err != nil {
			t.Fatal(err)
		}
	}
	if v, err = r.publish.Show(t.Context(), stable); err != nil || v.Owed == nil || v.Owed.Tries < 2 {
		t.Errorf("owed is %+v after three hours, %v", v.Owed, err)
	}
	broken = false
	env.Clock.Advance(2 * time.Hour)
	if n, err := r.tick(); err != nil || n != 1 {
		t.Errorf("%d tasks, %v", n, err)
	}
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "common=1 hello=2"})
	if v, err = r.publish.Show(t.Context(), stable); err != nil || v.Owed != nil || len(due(env)) > 0 {
		t.Errorf("owed is %+v at the end, %v, %v", v.Owed, due(env), err)
	}
}

// TestDropIsFinishedByTick breaks the removal of the tree for hours.
func TestDropIsFinishedByTick(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		env := drivertest.NewEnv()
		broken := false
		env.Blobs = failing{env.Blobs, func(method, key string) bool {
			return broken && method == "delete" && strings.HasPrefix(key, "public/pool/")
		}}
		r := newRig(t.Context(), env)
		must(t, r.put("r", hello), r.create(from("stable", "r")))
		broken = true
		drop := at("stable")
		drop.Force = force
		must(t, r.drop(drop))
		if views, err := r.publish.List(t.Context()); err != nil || len(views) != 0 {
			t.Errorf("force %t: %v, %v", force, views, err)
		}
		env.Clock.Advance(time.Hour)
		_, err := r.tick()
		must(t, err)
		broken = false
		env.Clock.Advance(2 * time.Hour)
		_, err = r.tick()
		must(t, err)
		gone(t, env)
		for _, part := range []string{"removal", "staging", "publish", "ref/"} {
			if rows := env.Memory.Rows(part); len(rows) > 0 {
				t.Errorf("force %t: %s has %v", force, part, rows)
			}
		}
		if entries := due(env); len(entries) > 0 {
			t.Errorf("force %t: the calendar has %v", force, entries)
		}
		if left := env.Memory.Objects("private/publish/"); len(left) > 0 {
			t.Errorf("force %t: %d private objects are left", force, len(left))
		}
	}
}

// TestFilesOfAnUndoThatIsOwedAreInNobodysWay has an Undo fail for longer than
// it is tried. The failed update has left a package file. Before the tick pays
// the Undo, the path is wanted for another file: by the same publication, and
// by a neighbour.
func TestFilesOfAnUndoThatIsOwedAreInNobodysWay(t *testing.T) {
	t.Parallel()
	anew := later
	anew.content = "built anew"
	for name, next := range map[string]func(r *rig) error{
		"the same": func(r *rig) error {
			return cmp.Or(r.put("r", hello, anew), r.update(at("stable")))
		},
		"a neighbour": func(r *rig) error {
			return cmp.Or(r.put("s", anew), r.create(from("other", "s")))
		},
	} {
		env := drivertest.NewEnv()
		broken := false
		env.Blobs = failing{env.Blobs, func(method, key string) bool {
			return broken && method == "delete" && strings.HasPrefix(key, "public/")
		}}
		r := newRig(t.Context(), env)
		must(t, r.put("r", hello), r.create(from("stable", "r")), r.put("r", hello, later))
		broken, r.publish.Signer = true, outdated{}
		if err := r.update(at("stable")); err == nil {
			t.Fatal("published with a key that has expired")
		}
		if len(env.Memory.Rows("staging")) == 0 {
			t.Fatal("the Undo has ended")
		}
		broken, r.publish.Signer = false, frame{}
		if err := next(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		env.Clock.Advance(2 * time.Hour)
		_, err := r.tick()
		must(t, err)
		if rows := env.Memory.Rows("staging"); len(rows) > 0 {
			t.Errorf("%s: left are %v", name, rows)
		}
		if _, err := trees(env); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDropAnswersWhenSignedFilesAndRowAreGone drops a publication and stops before the
// task that removes its other files. Clients see none of it, and its source is free.
func TestDropAnswersWhenSignedFilesAndRowAreGone(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	args := from("stable", "r")
	args.Options.Aliases = &[]string{"alias"}
	must(t, r.put("r", hello, common), r.create(args), r.dropOnly(at("stable")))
	for key := range env.Memory.Objects("public/dists/") {
		if paths.OfRelease(path.Base(key)) && path.Dir(path.Dir(key)) == "public/dists" {
			t.Errorf("apt finds %s", key)
		}
	}
	if views, err := r.publish.List(t.Context()); err != nil || len(views) > 0 {
		t.Errorf("clients see %v, %v", views, err)
	}
	if rows := env.Memory.Rows("ref/"); len(rows) > 0 {
		t.Errorf("sources are not free: %v", rows)
	}
	if n := len(env.Memory.Objects("public/pool/")); n != 2 {
		t.Errorf("%d package files are left, want 2", n)
	}
	n, err := r.tick()
	if must(t, err); n != 1 {
		t.Errorf("%d tasks remove the rest", n)
	}
	gone(t, env)
}

// TestDropLeavesWhatIsPublishedAnew has an update wait ahead of the task that
// the tick has admitted to finish a drop. That task finds nothing to drop any
// more.
func TestDropLeavesWhatIsPublishedAnew(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	broken := false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		return broken && method == "delete" && key == "public/dists/stable/InRelease"
	}}
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	broken = true
	must(t, r.drop(at("stable")))
	must(t, r.put("r", newer))
	spec, err := r.checkUpdate(t.Context(), at("stable"))
	must(t, err)
	update, err := r.tasks.Admit(t.Context(), spec, false)
	must(t, err)
	env.Clock.Advance(2 * time.Hour)
	n, err := r.admitDue()
	if must(t, err); n != 1 {
		t.Fatalf("%d tasks are admitted to finish the drop", n)
	}
	broken = false
	must(t, env.Drain(t.Context(), r.dispatcher.Handle), r.ended(update.ID))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
	if entries := due(env); len(entries) > 0 {
		t.Errorf("the calendar has %v", entries)
	}
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// TestCreateAfterForcedDrop publishes anew while the files of a drop by force are
// still there.
func TestCreateAfterForcedDrop(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	broken := false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		return broken && method == "delete" && strings.HasPrefix(key, "public/dists/")
	}}
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, common), r.create(from("stable", "r")))
	broken = true
	drop := at("stable")
	drop.Force = true
	must(t, r.drop(drop))
	broken = false
	must(t, r.put("r", newer), r.create(from("stable", "r")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
	env.Clock.Advance(2 * time.Hour)
	_, err := r.tick()
	must(t, err)
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// TestFilesOfAForcedDropStayWhileItsReleaseDoes drops two publications of one pool by
// force. The InRelease of the first one cannot be removed. So the second drop leaves the
// package files that it names, and a publication that needs their paths removes it.
func TestFilesOfAForcedDropStayWhileItsReleaseDoes(t *testing.T) {
	t.Parallel()
	const release, file = "public/dists/one/InRelease", "public/pool/main/h/hello/hello_1_amd64.deb"
	other := hello
	other.content = "hello 1, built anew"
	for name, end := range map[string]func(r *rig) error{
		"tick": func(r *rig) error {
			r.env.Clock.Advance(2 * time.Hour)
			_, err := r.tick()
			return err
		},
		"another publication": func(r *rig) error {
			return errors.Join(r.put("r", other), r.create(from("three", "r")), r.drop(at("three")))
		},
	} {
		env := drivertest.NewEnv()
		broken := true
		env.Blobs = failing{env.Blobs, func(method, key string) bool { return broken && method == "delete" && key == release }}
		r := newRig(t.Context(), env)
		drop := at("one")
		drop.Force = true
		must(t, r.put("r", hello, common), r.create(from("one", "r")), r.create(from("two", "r")), r.drop(drop), r.drop(at("two")))
		there := env.Memory.Objects("public/")
		if there[release] == "" || there[file] != hello.content {
			t.Errorf("%s: InRelease and file are %q and %q", name, there[release], there[file])
		}
		broken = false
		must(t, end(r))
		if env.Memory.Objects(release)[release] != "" {
			t.Errorf("%s: InRelease is left", name)
		}
		env.Clock.Advance(2 * time.Hour)
		_, err := r.tick()
		must(t, err)
		gone(t, env)
	}
}

// TestFilesLeftToADroppedPublicationGo drops two publications of one pool. The first drop is
// by force, and its InRelease stays. So the second one leaves the package files to the
// removal of the first one. They go also if that one has removed its files already, and
// its manifest, and could not end. They go if the manifest was lost before.
func TestFilesLeftToADroppedPublicationGo(t *testing.T) {
	t.Parallel()
	const release = "public/dists/one/InRelease"
	drop := at("one")
	drop.Force = true
	for name, lost := range map[string]bool{"removal that does not end": false, "lost manifest": true} {
		env := drivertest.NewEnv()
		blobs, keeps, fails := env.Blobs, true, false
		env.Blobs = failing{blobs, func(method, key string) bool {
			if method != "delete" || path.Base(key) != "manifest.json" {
				return keeps && method == "delete" && key == release
			}
			if fails { // it has its effect, and no answer
				must(t, blobs.Delete(t.Context(), key))
			}
			return fails
		}}
		r := newRig(t.Context(), env)
		must(t, r.put("r", hello, common), r.create(from("one", "r")))
		if lost {
			for key := range env.Memory.Objects("private/publish/") {
				must(t, blobs.Delete(t.Context(), key))
			}
		}
		must(t, r.create(from("two", "r")), r.drop(drop))
		if !lost {
			keeps, fails = false, true
			env.Clock.Advance(2 * time.Hour)
			_, err := r.tick()
			must(t, err)
			fails = false
		}
		must(t, r.drop(at("two")))
		keeps = false
		env.Clock.Advance(4 * time.Hour)
		_, err := r.tick()
		must(t, err)
		if rows := env.Memory.Rows("removal"); len(rows) > 0 {
			t.Errorf("%s: %v", name, rows)
		}
		gone(t, env)
	}
}

// TestLostListEndsARemoval drops a publication by force whose manifest and list are lost.
// Its package files are not known, and stay. A publication of the same files takes them over.
func TestLostListEndsARemoval(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	drop := at("one")
	drop.Force = true
	must(t, r.put("r", hello), r.create(from("one", "r")))
	for _, prefix := range []string{"private/publish/", "private/chunks/"} {
		for key := range env.Memory.Objects(prefix) {
			must(t, env.Blobs.Delete(t.Context(), key))
		}
	}
	must(t, r.drop(drop))
	env.Clock.Advance(2 * time.Hour)
	_, err := r.tick()
	must(t, err)
	if rows := env.Memory.Rows("removal"); len(rows) > 0 {
		t.Errorf("the removal does not end: %v", rows)
	}
	must(t, r.put("s", hello), r.create(from("one", "s")), r.drop(at("one")))
	gone(t, env)
}

// outdated signs Release.gpg and then finds that its key has expired.
type outdated struct{ frame }

func (outdated) Clearsign(context.Context, io.Writer, []byte, time.Time) error { return pgp.ErrExpired }

// everything is all objects and rows of publications.
func everything(env *drivertest.Env) map[string]string {
	all := env.Memory.Objects("public/")
	for key := range env.Memory.Objects("private/publish/") {
		all[key] = "there"
	}
	for key, data := range due(env) {
		all[key] = data
	}
	for _, part := range []string{"pool/", "inventory", "ref/", "staging"} {
		for key, data := range env.Memory.Rows(part) {
			all[key] = data
		}
	}
	return all
}

// TestFailedPublicationLeavesNothing has creations and updates refused after
// they have staged everything, and interrupted at each call before. The public
// tree, the private files and the rows stay as before.
func TestFailedPublicationLeavesNothing(t *testing.T) {
	t.Parallel()
	skip := true
	small := func(args request) request {
		args.Options.SkipContents, args.Options.SkipBz2 = &skip, &skip
		return args
	}
	other := hello
	other.content = "hello 1, built anew"
	force := at("stable")
	force.ForceOverwrite = true
	first := func(r *rig) error {
		if err := r.put("r", hello, common); err != nil {
			return err
		}
		return r.create(small(from("stable", "r")))
	}
	for name, tc := range map[string]struct {
		setup, run func(*rig) error
	}{
		"create": {func(r *rig) error { return r.put("r", hello, common, source) }, func(r *rig) error { return r.create(small(under(from("stable", "r"), "alias"))) }},
		"update": {func(r *rig) error { return errors.Join(first(r), r.put("r", newer, later)) }, func(r *rig) error { return r.update(under(at("stable"), "alias")) }},
		"force":  {func(r *rig) error { return errors.Join(first(r), r.put("r", other, later)) }, func(r *rig) error { return r.update(force) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := func(ctx context.Context, env *drivertest.Env) *rig {
				r := newRig(ctx, env)
				r.publish.Signer = outdated{}
				return r
			}
			peace := drivertest.NewEnv()
			must(t, tc.setup(newRig(t.Context(), peace)))
			want := everything(peace)
			drivertest.Sweep(t, drivertest.Journey{
				Setup: func(ctx context.Context, env *drivertest.Env) error { return tc.setup(newRig(ctx, env)) },
				Run: func(ctx context.Context, env *drivertest.Env) error {
					if err := tc.run(start(ctx, env)); err == nil || !strings.Contains(err.Error(), "clearsign") {
						return fmt.Errorf("published with a key that has expired: %w", err)
					}
					return nil
				},
				Recover: func(ctx context.Context, env *drivertest.Env) error {
					r := start(ctx, env)
					return errors.Join(r.dispatcher.Resend(ctx, true), env.Drain(ctx, r.dispatcher.Handle))
				},
				Verify: func(env *drivertest.Env, _ error) error {
					if d := gocmp.Diff(want, everything(env)); d != "" {
						return errors.New(d)
					}
					return nil
				},
			})
		})
	}
}

// TestConflictLeavesNothing refuses a publication whose last package conflicts:
// the others are not left, and their names are free.
func TestConflictLeavesNothing(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	first := pack{"aaa", "1", "amd64", "aaa 1, first build"}
	bad := hello
	bad.content = "another hello"
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	before := everything(env)
	must(t, r.put("r", first, bad))
	if err := r.update(at("stable")); err == nil || !strings.Contains(err.Error(), "file already exists and is different") {
		t.Fatalf("update: %v", err)
	}
	if d := gocmp.Diff(before, everything(env)); d != "" {
		t.Error(d)
	}
	first.content = "aaa 1, second build"
	must(t, r.put("r", hello, first), r.update(at("stable")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "aaa=1 hello=1"})
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// stall holds the first deletion of a package file until the test releases it.
type stall struct {
	driver.Blobs
	armed       atomic.Bool
	held, letGo chan struct{}
}

func (s *stall) Delete(ctx context.Context, keys ...string) error {
	if strings.Contains(strings.Join(keys, " "), "/pool/main/c/common/") && s.armed.CompareAndSwap(true, false) {
		close(s.held)
		<-s.letGo
	}
	return s.Blobs.Delete(ctx, keys...)
}

// unsigning calls a function before the first deletion of an InRelease.
type unsigning struct {
	driver.Blobs
	before func()
}

func (u *unsigning) Delete(ctx context.Context, keys ...string) error {
	if f := u.before; f != nil && strings.HasSuffix(keys[0], "/InRelease") {
		u.before = nil
		f()
	}
	return u.Blobs.Delete(ctx, keys...)
}

// TestStalledRemovalOfSignaturesLeavesThoseMadeSince has an attempt stall that is about
// to remove the signatures of a publication which is no longer signed. By the time it
// goes on, the publication is signed again.
func TestStalledRemovalOfSignaturesLeavesThoseMadeSince(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r, sleeper := newRig(t.Context(), env), newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("stable", "r")), r.put("r", newer))
	unsigned := at("stable")
	unsigned.SkipSigning = true
	spec, err := r.checkUpdate(t.Context(), unsigned)
	must(t, err)
	admitted, err := r.tasks.Admit(t.Context(), spec, false)
	must(t, err)
	m := driver.Message{Group: admitted.Group, ID: "first", Body: fmt.Sprint(admitted.ID), Receipt: "1"}
	stalled := false
	sleeper.publish.Blobs = &unsigning{env.Blobs, func() {
		stalled = true
		env.Clock.Advance(time.Hour)
		_, err := r.dispatcher.Handle(t.Context(), m)
		must(t, err, r.ended(admitted.ID))
		if _, there := env.Memory.Objects("public/dists/stable/")["public/dists/stable/InRelease"]; there {
			t.Error("the second attempt has left the signature")
		}
		must(t, r.put("r", newer, common), r.update(at("stable")))
	}}
	_, err = sleeper.dispatcher.Handle(t.Context(), m)
	must(t, err, env.Drain(t.Context(), r.dispatcher.Handle))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "common=1 hello=2"})
	objects := env.Memory.Objects("public/dists/stable/")
	if inRelease := objects["public/dists/stable/InRelease"]; !stalled || !strings.HasSuffix(inRelease, objects["public/dists/stable/Release"]) || inRelease == "" {
		t.Errorf("stalled %v; InRelease is %q", stalled, inRelease)
	}
	if _, there := objects["public/dists/stable/Release.gpg"]; !there {
		t.Error("Release.gpg is gone")
	}
}

// TestStalledDeleteRemovesNothingPublishedSince lets an attempt stall in the
// deletion of a package file, for longer than its lease. Others finish its task
// and publish the package again before it goes on.
func TestStalledDeleteRemovesNothingPublishedSince(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	sleeper := newRig(t.Context(), env)
	st := &stall{Blobs: env.Blobs, held: make(chan struct{}), letGo: make(chan struct{})}
	sleeper.publish.Blobs = st
	must(t, r.put("r", hello, common), r.create(from("stable", "r")), r.put("r", hello))
	spec, err := r.checkUpdate(t.Context(), at("stable"))
	must(t, err)
	admitted, err := r.tasks.Admit(t.Context(), spec, false)
	must(t, err)
	m := driver.Message{Group: admitted.Group, ID: "first", Body: fmt.Sprint(admitted.ID), Receipt: "1"}
	st.armed.Store(true)
	first := make(chan error, 1)
	go func() {
		_, err := sleeper.dispatcher.Handle(t.Context(), m)
		first <- err
	}()
	<-st.held
	out, err := r.dispatcher.Handle(t.Context(), m)
	if now, _ := r.tasks.Get(t.Context(), admitted.ID); err != nil || out.Retry == 0 || now.State != task.Running {
		t.Errorf("beside a live attempt: %+v, %v, state %d", out, err, now.State)
	}
	env.Clock.Advance(time.Hour)
	_, err = r.dispatcher.Handle(t.Context(), m)
	must(t, err, r.ended(admitted.ID), r.put("r", hello, common), r.update(at("stable")))
	close(st.letGo)
	must(t, <-first, env.Drain(t.Context(), r.dispatcher.Handle))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "common=1 hello=1"})
}

// TestClockAheadIsRefused publishes with a clock that is a year ahead, and then
// with one that is right: no task waits for a year.
func TestClockAheadIsRefused(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	ahead := 365 * 24 * time.Hour
	r.publish.Now = func() time.Time { return env.Clock.Now().Add(ahead) }
	slept := time.Duration(0)
	r.publish.Sleep = func(_ context.Context, d time.Duration) error {
		slept += d
		env.Clock.Advance(d)
		return nil
	}
	must(t, r.put("r", hello), r.create(from("stable", "r")), r.put("r", newer))
	before := everything(env)
	ahead = 0
	if err := r.update(at("stable")); err == nil || !strings.Contains(err.Error(), "lies ahead of the clock: correct the clock, or update with ResetDate") {
		t.Errorf("update: %v", err)
	}
	if d := gocmp.Diff(before, everything(env)); d != "" {
		t.Error(d)
	}
	reset := at("stable")
	reset.ResetDate = true
	must(t, r.update(reset), r.update(at("stable")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
	if slept > 10*time.Second {
		t.Errorf("slept %v under locks", slept)
	}
}

// repair repairs a publication, or all, and returns the report.
func (r *rig) repair(t *testing.T, args publish.RepairArgs) files.Report {
	t.Helper()
	var spec task.Spec
	var err error
	if args.Distribution == "" {
		spec = task.Spec{Kind: "test.repair", Name: "all", Locks: []lock.Want{{Resource: "repair"}}, Args: args}
	} else {
		spec, err = r.publish.CheckRepair(t.Context(), args)
	}
	must(t, r.run(spec, err))
	last, err := r.tasks.Get(t.Context(), r.lastTask())
	must(t, err)
	var report files.Report
	must(t, json.Unmarshal(last.Value, &report))
	return report
}

// forget removes a path from the inventory of the root prefix.
func (r *rig) forget(name string) error {
	row, err := r.env.Table.Get(r.ctx, driver.Key{Part: "inventory", Sort: ":./pool"})
	if err != nil {
		return err
	}
	var was map[string]any
	if err := json.Unmarshal(row.Data, &was); err != nil {
		return err
	}
	delete(was["Recent"].(map[string]any), name)
	if row.Data, err = json.Marshal(was); err != nil {
		return err
	}
	return r.env.Table.Put(r.ctx, row)
}

// TestRepairPutsBackWhatIsLost deletes the whole public tree, and parts of it.
func TestRepairPutsBackWhatIsLost(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, common, source, loader), r.create(under(from("stable", "r"), "alias")))
	before := env.Memory.Objects("public/")
	if got := r.repair(t, publish.RepairArgs{Name: stable}); got.Missing.Number+got.WrongSize.Number+got.NoRow.Number+got.PutBack.Number > 0 || got.Checked < 30 {
		t.Errorf("of a whole tree: %+v", got)
	}
	for key := range before {
		must(t, env.Blobs.Delete(t.Context(), key))
	}
	dry := r.repair(t, publish.RepairArgs{Name: stable, DryRun: true})
	if left := env.Memory.Objects("public/"); len(left) > 0 || dry.Missing.Number < len(before) || dry.PutBack.Number > 0 {
		t.Errorf("a dry run has put back %d objects: %+v", len(left), dry)
	}
	done := r.repair(t, publish.RepairArgs{})
	if done.Lost.Number > 0 || done.PutBack.Number != dry.Missing.Number {
		t.Errorf("%+v", done)
	}
	if d := gocmp.Diff(before, env.Memory.Objects("public/")); d != "" {
		t.Error(d)
	}
	has(t, env, nil)

	const file = "public/pool/main/h/hello/hello_1_amd64.deb"
	_, err := env.Blobs.Put(t.Context(), file, strings.NewReader("cut"), driver.PutOptions{})
	must(t, err)
	_, err = env.Blobs.Put(t.Context(), "public/dists/stable/main/binary-amd64/Packages", strings.NewReader("x"), driver.PutOptions{})
	must(t, err)
	must(t, r.forget("pool/main/c/common/common_1_all.deb"))
	must(t, env.Blobs.Delete(t.Context(), poolKey(hashed("", loader.content).SHA256), "public/pool/main/l/loader/loader_1_amd64.udeb"))
	done = r.repair(t, publish.RepairArgs{Name: stable})
	if done.WrongSize.Number != 2 || done.NoRow.Number != 1 || done.Lost.Number != 1 || !strings.HasSuffix(done.Lost.Names[0], "loader_1_amd64.udeb") {
		t.Errorf("%+v", done)
	}
	if got := env.Memory.Objects(file)[file]; got != hello.content {
		t.Errorf("%s is %q", file, got)
	}
}

// TestLostManifestIsDamage shows and updates a publication whose manifest is gone.
func TestLostManifestIsDamage(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	for key := range env.Memory.Objects("private/publish/") {
		must(t, env.Blobs.Delete(t.Context(), key))
	}
	err := r.update(at("stable"))
	if err == nil || !strings.Contains(err.Error(), "is lost: drop the publication with force") {
		t.Errorf("update: %v", err)
	}
	spec, err := r.checkDrop(t.Context(), at("stable"))
	must(t, err)
	_, err = r.publish.Plan(t.Context(), spec)
	refused(t, "plan", err, 500, "the manifest private/publish/5532e4fb33f54855f969085e6d8aa340/1-1/manifest.json is lost: drop the publication with force and publish it again")
}

// TestOldCalendarIsTakenOver has a row of the calendar of earlier releases.
func TestOldCalendarIsTakenOver(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	args := from("stable", "r")
	week := 7 * 24 * time.Hour
	args.Options.ValidFor = &week
	must(t, r.put("r", hello), r.create(args))
	row, err := env.Table.Get(t.Context(), driver.Key{Part: "calendar", Sort: "expiry/:./stable"})
	must(t, err)
	_, err = env.Table.Write(t.Context(), driver.Op{Do: driver.OpDelete, Key: row.Key, If: row.Version})
	must(t, err)
	old := fmt.Sprintf(`{"Storage":"","Prefix":".","Distribution":"stable","Due":%q}`, env.Clock.Now().Add(84*time.Hour).UTC().Format(time.RFC3339))
	must(t, env.Table.Put(t.Context(), driver.Row{Key: driver.Key{Part: "expiry", Sort: ":./stable"}, Data: []byte(old)}))
	env.Clock.Advance(4 * 24 * time.Hour)
	if n, err := r.tick(); err != nil || n != 1 || len(env.Memory.Rows("expiry")) > 0 {
		t.Errorf("%d tasks, %v, %v", n, err, env.Memory.Rows("expiry"))
	}
}

// TestStagingIsCut publishes in deliveries that are over after each index and a
// few packages of Contents.
func TestStagingIsCut(t *testing.T) {
	t.Parallel()
	peace, env := drivertest.NewEnv(), drivertest.NewEnv()
	var packs []pack
	for i := range 20 {
		packs = append(packs, pack{fmt.Sprintf("package-%02d", i), "1", "amd64", fmt.Sprint(i)}, pack{fmt.Sprintf("package-%02d", i), "1", "arm64", fmt.Sprint("arm", i)})
	}
	undisturbed, r := newRig(t.Context(), peace), newRig(t.Context(), env)
	r.dispatcher.Slice = time.Second
	paths := r.publish.Paths
	r.publish.Paths = func(ctx context.Context, key string) (index.Paths, error) {
		env.Clock.Advance(300 * time.Millisecond)
		return paths(ctx, key)
	}
	run := func(r *rig) {
		t.Helper()
		must(t, r.put("r", packs...), r.create(from("stable", "r")), r.put("r", packs[3:]...), r.update(at("stable")))
	}
	run(undisturbed)
	run(r)
	if d := gocmp.Diff(stored(peace), stored(env)); d != "" {
		t.Error(d)
	}
	first, err := r.tasks.Get(t.Context(), 1)
	if must(t, err); first.Attempt < 5 {
		t.Errorf("%d attempts", first.Attempt)
	}
	has(t, env, nil)
}

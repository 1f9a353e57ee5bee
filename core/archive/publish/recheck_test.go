package publish_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
)

// standing holds the first Put, Copy or Delete of a key until the test lets it go. The calls that
// the same attempt makes beside it stand still, too. The held call has been sent: it takes
// effect although its caller has given up.
type standing struct {
	driver.Blobs
	key         string
	held, letGo chan struct{}

	mu            sync.Mutex // one call at a time
	once, deletes bool
}

// stand returns the context of a call of a key.
func (s *standing) stand(ctx context.Context, key string) context.Context {
	if key != s.key || s.once {
		return ctx
	}
	s.once = true
	close(s.held)
	<-s.letGo
	return context.WithoutCancel(ctx)
}

func (s *standing) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Blobs.Put(s.stand(ctx, key), key, r, opt)
}

func (s *standing) Delete(ctx context.Context, keys ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(keys, s.key) {
		ctx, s.deletes = s.stand(ctx, s.key), true
	}
	return s.Blobs.Delete(ctx, keys...)
}

func (s *standing) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Blobs.Copy(s.stand(ctx, dst), dst, src, opt)
}

// rechecks has a rig note attempts that have not ended properly, as the program does.
func (r *rig) rechecks() *rig {
	r.dispatcher.Unsettled = r.publish.Unsettled
	return r
}

// recheck lets the time pass after which calls of overtaken attempts have ended, and runs
// the tasks that are due.
func (r *rig) recheck(t *testing.T) {
	t.Helper()
	r.env.Clock.Advance(time.Hour)
	must(t, r.tasks.Due(t.Context(), map[string]task.Planner{publish.RecheckKind: r.publish.PlanRecheck}), r.env.Drain(t.Context(), r.dispatcher.Handle), r.ended(r.lastTask()))
	for key := range r.dueRechecks() {
		t.Errorf("%s is left", key)
	}
}

// dueRechecks are the rechecks in the calendar.
func (r *rig) dueRechecks() map[string]string {
	entries := due(r.env)
	maps.DeleteFunc(entries, func(key, _ string) bool { return !strings.HasPrefix(key, "calendar/recheck/") })
	return entries
}

// overtaken admits a task whose first attempt stands still before it puts a key. Another
// attempt ends the task. wake lets the first one go on.
func (r *rig) overtaken(t *testing.T, key string, spec task.Spec, err error) (wake func()) {
	t.Helper()
	st := &standing{Blobs: r.env.Blobs, key: key, held: make(chan struct{}), letGo: make(chan struct{})}
	sleeper := newRig(t.Context(), r.env).rechecks()
	sleeper.publish.Blobs, sleeper.publish.DropAtOnce = st, r.publish.DropAtOnce
	must(t, err)
	admitted, err := r.tasks.Admit(t.Context(), spec, false)
	must(t, err)
	m := driver.Message{Group: admitted.Group, ID: "first", Body: fmt.Sprint(admitted.ID), Receipt: "1"}
	first := make(chan error, 1)
	go func() {
		_, err := sleeper.dispatcher.Handle(t.Context(), m)
		first <- err
	}()
	<-st.held
	r.env.Clock.Advance(time.Hour)
	_, err = r.dispatcher.Handle(t.Context(), m)
	must(t, err, r.ended(admitted.ID))
	return func() {
		t.Helper()
		close(st.letGo)
		must(t, <-first)
		if _, ok := r.env.Memory.Objects("public/")[key]; !ok && !st.deletes {
			t.Fatalf("%s was not put late", key)
		}
	}
}

// TestLateObjectsOfADroppedPublicationGo has an attempt stand still before it puts a file
// of the tree, until the publication has been dropped. It puts the file then, since there
// is none. A recheck removes it. Other files of the directory stay: those of an operator,
// and those of a distribution inside of it.
func TestLateObjectsOfADroppedPublicationGo(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"stable/InRelease", "stable/Release.gpg", "latest/InRelease"} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env).rechecks()
		args := under(from("stable", "r"), "latest")
		must(t, r.put("r", hello), r.put("q", newer), r.create(from("stable/updates", "q")))
		spec, err := r.checkCreate(t.Context(), ":.", args)
		wake := r.overtaken(t, "public/dists/"+file, spec, err)
		must(t, r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
		wake()
		_, err = env.Blobs.Put(t.Context(), "public/dists/stable/README", strings.NewReader("by hand"), driver.PutOptions{})
		must(t, err)
		r.recheck(t)
		must(t, env.Blobs.Delete(t.Context(), "public/dists/stable/README"))
		has(t, env, map[string]string{"stable/updates/main/binary-amd64/Packages": "hello=2"})
		must(t, r.drop(at("stable/updates")), env.Drain(t.Context(), r.dispatcher.Handle))
		gone(t, env)
	}
}

// TestLateObjectsOfALivePublicationGo has an attempt stand still before it puts an index
// under another name of the distribution, until the name has been given up. A recheck
// removes it, and an index by hash that is in no manifest. It puts back an index by hash
// that a late deletion has removed. The file of an operator stays.
func TestLateObjectsOfALivePublicationGo(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env).rechecks()
	const late = "public/dists/latest/main/binary-amd64/Packages.gz"
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	spec, err := r.checkUpdate(t.Context(), under(at("stable"), "latest"))
	wake := r.overtaken(t, late, spec, err)
	must(t, r.update(under(at("stable"))))
	wake()
	before := env.Memory.Objects("public/")
	var deleted string
	for key := range before {
		if strings.HasPrefix(key, "public/dists/stable/main/binary-amd64/by-hash/SHA256/") && before[key] == before["public/dists/stable/main/binary-amd64/Packages"] {
			deleted = key
		}
	}
	must(t, env.Blobs.Delete(t.Context(), deleted))
	stray := deleted[:len(deleted)-64] + strings.Repeat("0", 64)
	for _, key := range []string{stray, "public/dists/stable/README"} {
		_, err := env.Blobs.Put(t.Context(), key, strings.NewReader("bytes"), driver.PutOptions{})
		must(t, err)
	}
	r.recheck(t)
	must(t, env.Blobs.Delete(t.Context(), "public/dists/stable/README"))
	maps.DeleteFunc(before, func(key, _ string) bool { return strings.HasPrefix(key, "public/dists/latest/") })
	if d := gocmp.Diff(before, env.Memory.Objects("public/")); d != "" {
		t.Error(d)
	}
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
}

// TestRecheckWaitsForWhatIsOwed has a recheck come due while the apply of a publication is
// owed. It is done after that.
func TestRecheckWaitsForWhatIsOwed(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	broken := false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		return broken && method == "put" && key == "public/dists/stable/Release"
	}}
	r := newRig(t.Context(), env).rechecks()
	must(t, r.put("r", hello), r.create(from("stable", "r")), r.put("r", newer))
	broken = true
	must(t, r.update(at("stable")))
	planners := map[string]task.Planner{publish.RecheckKind: r.publish.PlanRecheck}
	for range 3 {
		env.Clock.Advance(2 * time.Hour)
		must(t, r.tasks.Due(t.Context(), planners), env.Drain(t.Context(), r.dispatcher.Handle))
		if due := r.dueRechecks(); len(due) != 1 {
			t.Fatalf("rechecks while the apply is owed: %v", due)
		}
	}
	broken = false
	for range 2 {
		env.Clock.Advance(2 * time.Hour)
		must(t, r.tasks.Due(t.Context(), planners), env.Drain(t.Context(), r.dispatcher.Handle))
	}
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
	if due := r.dueRechecks(); len(due) != 0 {
		t.Errorf("rechecks at the end: %v", due)
	}
}

// TestSourceThatChangesBetweenAttemptsLeavesNothing has the first attempt at an update link
// a package file and end. Then the source has another package instead, as after an import.
func TestSourceThatChangesBetweenAttemptsLeavesNothing(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	staged, mended := false, false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		breaks := staged && !mended && method == "put"
		staged = staged || strings.HasPrefix(key, "public/") && strings.HasSuffix(key, "newer_2_amd64.deb")
		return breaks
	}}
	r := newRig(t.Context(), env).rechecks()
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	must(t, r.put("r", hello, pack{"newer", "2", "amd64", "newer"}))
	spec, err := r.checkUpdate(t.Context(), at("stable"))
	must(t, err)
	admitted, err := r.tasks.Admit(t.Context(), spec, false)
	must(t, err)
	m := driver.Message{Group: admitted.Group, ID: "first", Body: fmt.Sprint(admitted.ID), Receipt: "1"}
	if _, err := r.dispatcher.Handle(t.Context(), m); err == nil || !staged || !strings.Contains(pooled(env), "newer") {
		t.Fatalf("the first attempt: %v; files %s", err, pooled(env))
	}
	mended = true
	must(t, r.put("r", hello, later))
	env.Clock.Advance(time.Hour)
	_, err = r.dispatcher.Handle(t.Context(), m)
	must(t, err, r.ended(admitted.ID))
	if got := pooled(env); strings.Contains(got, "newer") || strings.Count(got, " ") != 1 {
		t.Errorf("the tree has the package files %s", got)
	}
	r.recheck(t)
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// TestChangeThatIsTakenBackLeavesNothing has the first attempt at an update stage a change
// and fail. The change is taken back before the second one, which finds that nothing has
// changed. Nothing of the first attempt is left, and no recheck waits for it.
func TestChangeThatIsTakenBackLeavesNothing(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	staged, mended := false, false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		staged = staged || strings.HasPrefix(key, "public/") && strings.HasSuffix(key, "newer_2_amd64.deb")
		return staged && !mended && method == "put"
	}}
	r := newRig(t.Context(), env).rechecks()
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	before := stored(env)
	must(t, r.put("r", hello, pack{"newer", "2", "amd64", "newer"}))
	spec, err := r.checkUpdate(t.Context(), at("stable"))
	must(t, err)
	admitted, err := r.tasks.Admit(t.Context(), spec, false)
	must(t, err)
	m := driver.Message{Group: admitted.Group, ID: "first", Body: fmt.Sprint(admitted.ID), Receipt: "1"}
	if _, err := r.dispatcher.Handle(t.Context(), m); err == nil || !staged {
		t.Fatalf("the first attempt: %v", err)
	}
	mended = true
	must(t, r.put("r", hello))
	env.Clock.Advance(time.Hour)
	_, err = r.dispatcher.Handle(t.Context(), m)
	must(t, err, r.ended(admitted.ID))
	r.recheck(t)
	if d := gocmp.Diff(before, stored(env)); d != "" {
		t.Error(d)
	}
	if left := env.Memory.Rows("staging"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestLateDeletionMeetsNoReader has an attempt at a drop stand still before it deletes a
// file, and another one end the drop. The publication comes back with equal files. It waits
// until the late deletion has had its effect, so no reader misses a file.
func TestLateDeletionMeetsNoReader(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env).rechecks()
	r.publish.DropAtOnce = 10
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	var all []string
	for key := range env.Memory.Objects("public/") {
		if !strings.Contains(key, "/by-hash/") || strings.Contains(key, "/by-hash/SHA256/") {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	for _, key := range all {
		spec, err := r.checkDrop(t.Context(), at("stable"))
		wake := r.overtaken(t, key, spec, err)
		spec, err = r.checkCreate(t.Context(), ":.", from("stable", "r"))
		must(t, err)
		again, err := r.tasks.Admit(t.Context(), spec, false)
		must(t, err)
		m := driver.Message{Group: again.Group, ID: "again", Body: fmt.Sprint(again.ID), Receipt: "1"}
		for range 3 {
			out, err := r.dispatcher.Handle(t.Context(), m)
			if must(t, err); out.Retry == 0 {
				t.Fatalf("%s: the publication does not wait", key)
			}
			env.Clock.Advance(min(out.Retry, time.Minute))
			if _, ok := env.Memory.Objects("public/dists/")["public/dists/stable/InRelease"]; ok {
				t.Fatalf("%s: readers see the publication", key)
			}
		}
		wake()
		env.Clock.Advance(time.Hour)
		_, err = r.dispatcher.Handle(t.Context(), m)
		must(t, err, env.Drain(t.Context(), r.dispatcher.Handle), r.ended(again.ID))
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
		for _, key := range all {
			if _, ok := env.Memory.Objects("public/")[key]; !ok {
				t.Errorf("%s is missing", key)
			}
		}
		r.recheck(t)
		if left := env.Memory.Rows("deletions"); len(left) > 0 {
			t.Errorf("%s: rows are left: %v", key, left)
		}
	}
}

// TestPublicationWaitsForAFailedDeletion has a deletion fail, whose caller goes on. The
// publication comes back with equal files: its attempt waits for two minutes, in which such
// a call ends.
func TestPublicationWaitsForAFailedDeletion(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	fails := true
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		failed := fails && method == "delete" && key == "public/dists/stable/InRelease"
		fails = fails && !failed
		return failed
	}}
	r := newRig(t.Context(), env).rechecks()
	must(t, r.put("r", hello), r.create(from("stable", "r")), r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
	if fails {
		t.Fatal("no deletion has failed")
	}
	before := env.Clock.Now()
	must(t, r.create(from("stable", "r")), env.Drain(t.Context(), r.dispatcher.Handle), r.ended(r.lastTask()))
	if took := env.Clock.Now().Sub(before); took < 2*time.Minute || took > 10*time.Minute {
		t.Errorf("the publication took %v", took)
	}
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	r.recheck(t)
	if left := env.Memory.Rows("deletions"); len(left) > 0 {
		t.Errorf("rows are left: %v", left)
	}
}

// TestOtherPublicationsDoNotWait has an attempt at a drop die before it deletes its files.
// A publication beside it with other files is made at once.
func TestOtherPublicationsDoNotWait(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env).rechecks()
	r.publish.DropAtOnce = 10
	must(t, r.put("r", hello), r.put("q", newer), r.create(from("stable", "r")))
	spec, err := r.checkDrop(t.Context(), at("stable"))
	wake := r.overtaken(t, "public/pool/main/h/hello/hello_1_amd64.deb", spec, err)
	before := env.Clock.Now()
	must(t, r.create(from("other", "q")))
	if took := env.Clock.Now().Sub(before); took > time.Minute {
		t.Errorf("the publication took %v", took)
	}
	wake()
	has(t, env, map[string]string{"other/main/binary-amd64/Packages": "hello=2"})
}

// TestLatePackageFilesOfADroppedPublicationGo has an attempt stand still before it links a
// package file, until the publication has been dropped. It links the file then, since there
// is none. A recheck removes it. The files of operators stay, also those with the names of
// packages.
func TestLatePackageFilesOfADroppedPublicationGo(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env).rechecks()
	must(t, r.put("r", hello, kernel), r.create(from("stable", "r")))
	files := env.Memory.Objects("public/pool/")
	must(t, r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
	for _, late := range slices.Sorted(maps.Keys(files)) {
		spec, err := r.checkCreate(t.Context(), ":.", from("stable", "r"))
		wake := r.overtaken(t, late, spec, err)
		must(t, r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
		wake()
		foreign := []string{path.Dir(late) + "/README", path.Dir(late) + "/hello_9_amd64.deb", "public/pool/main/z/zoo/zoo_1_amd64.deb"}
		for _, key := range foreign {
			_, err := env.Blobs.Put(t.Context(), key, strings.NewReader("by hand"), driver.PutOptions{})
			must(t, err)
		}
		r.recheck(t)
		for _, key := range foreign {
			if env.Memory.Objects("public/")[key] != "by hand" {
				t.Errorf("%s: %s is gone", late, key)
			}
		}
		must(t, env.Blobs.Delete(t.Context(), foreign...))
		for key := range env.Memory.Objects("public/") { // a collection removes private objects
			t.Errorf("%s: %s is left", late, key)
		}
		if left := env.Memory.Rows("late"); len(left) > 0 {
			t.Errorf("%s: rows are left: %v", late, left)
		}
	}
}

// TestLateDeletionsOfPackageFilesAreMended has an attempt at an update be overtaken.
// Both package files are gone when the recheck comes. It puts back that of the publication,
// and not that of the state before.
func TestLateDeletionsOfPackageFilesAreMended(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env).rechecks()
	must(t, r.put("r", hello), r.create(from("stable", "r")), r.put("r", hello, newer))
	spec, err := r.checkUpdate(t.Context(), at("stable"))
	const late = "public/pool/main/h/hello/hello_2_amd64.deb"
	wake := r.overtaken(t, late, spec, err)
	wake()
	before := env.Memory.Objects("public/")
	must(t, env.Blobs.Delete(t.Context(), late, "public/pool/main/h/hello/hello_1_amd64.deb"))
	r.recheck(t)
	if d := gocmp.Diff(before, env.Memory.Objects("public/")); d != "" {
		t.Error(d)
	}
}

// TestRecheckGoesOnInSlices has a recheck of a directory with thousands of files end its
// slice after each batch.
func TestRecheckGoesOnInSlices(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env).rechecks()
	must(t, r.put("r", hello))
	spec, err := r.checkCreate(t.Context(), ":.", from("stable", "r"))
	const late = "public/pool/main/h/hello/hello_1_amd64.deb"
	wake := r.overtaken(t, late, spec, err)
	must(t, r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
	wake()
	for i := range 2500 {
		_, err := env.Blobs.Put(t.Context(), fmt.Sprintf("public/pool/main/a/all/%04d", i), strings.NewReader("by hand"), driver.PutOptions{})
		must(t, err)
	}
	r.dispatcher.Slice = time.Nanosecond
	r.publish.Blobs = ticking{env.Blobs, env.Clock.Advance}
	r.recheck(t)
	task, err := r.tasks.Get(t.Context(), r.lastTask())
	must(t, err)
	if n := len(env.Memory.Objects("public/")); n != 2500 || task.Attempt != 3 {
		t.Errorf("%d objects are left after %d attempts", n, task.Attempt)
	}
}

// ticking is a store whose listings take a millisecond for each object.
type ticking struct {
	driver.Blobs
	advance func(time.Duration)
}

func (s ticking) List(ctx context.Context, prefix, after string) iter.Seq2[driver.Info, error] {
	return func(yield func(driver.Info, error) bool) {
		for info, err := range s.Blobs.List(ctx, prefix, after) {
			if s.advance(time.Millisecond); !yield(info, err) {
				return
			}
		}
	}
}

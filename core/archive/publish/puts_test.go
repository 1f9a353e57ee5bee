package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
)

// admitted admits a task, and returns its message.
func (r *rig) admitted(t *testing.T, spec task.Spec, err error) driver.Message {
	t.Helper()
	must(t, err)
	admitted, err := r.tasks.Admit(t.Context(), spec, false)
	must(t, err)
	return driver.Message{Group: admitted.Group, ID: "late", Body: fmt.Sprint(admitted.ID), Receipt: "1"}
}

// waits requires that the task of a message waits, and that no object changes meanwhile.
func (r *rig) waits(t *testing.T, m driver.Message) {
	t.Helper()
	before := r.env.Memory.Objects("public/")
	for range 3 {
		out, err := r.dispatcher.Handle(t.Context(), m)
		if must(t, err); out.Retry == 0 {
			t.Fatal("the task does not wait")
		}
		r.env.Clock.Advance(min(out.Retry, time.Minute))
	}
	same(t, before, r.env.Memory.Objects("public/"))
}

// goesOn lets the time pass after which late calls have ended, and ends the task of a message.
func (r *rig) goesOn(t *testing.T, m driver.Message) {
	t.Helper()
	id := r.lastTask()
	r.env.Clock.Advance(time.Hour)
	_, err := r.dispatcher.Handle(t.Context(), m)
	must(t, err, r.env.Drain(t.Context(), r.dispatcher.Handle), r.ended(id))
}

// same requires that two sets of objects are equal.
func same(t *testing.T, want, got map[string]string) {
	t.Helper()
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("%s is missing, or is another one", key)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s is there", key)
		}
	}
}

// TestLateReleaseIsOfAWholeTree has an attempt at a creation stand still before it puts a
// Release file, until the publication has been dropped. It puts the file then, since there is
// none, and apt sees the publication again: all other files are there. A publication in its
// place waits. So does one that needs the path of a package file. Others do not.
func TestLateReleaseIsOfAWholeTree(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"Release", "Release.gpg", "InRelease"} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env).rechecks()
		r.publish.DropAtOnce = 10
		other := hello
		other.content = "hello 1, built anew"
		must(t, r.put("r", hello), r.put("q", newer), r.put("p", other))
		spec, err := r.checkCreate(t.Context(), ":.", from("stable", "r"))
		wake := r.overtaken(t, "public/dists/stable/"+file, spec, err)
		whole := env.Memory.Objects("public/")
		must(t, r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
		for _, name := range []string{"Release", "Release.gpg", "InRelease"} {
			if _, ok := env.Memory.Objects("public/")["public/dists/stable/"+name]; ok {
				t.Fatalf("%s: apt sees the dropped publication by %s", file, name)
			}
			if name != file {
				delete(whole, "public/dists/stable/"+name)
			}
		}
		must(t, r.create(from("beside", "q")), r.drop(at("beside")), env.Drain(t.Context(), r.dispatcher.Handle))
		spec, err = r.checkCreate(t.Context(), ":.", from("conflict", "p"))
		r.waits(t, r.admitted(t, spec, err))
		_, err = r.tasks.Cancel(t.Context(), r.lastTask())
		must(t, err, env.Drain(t.Context(), r.dispatcher.Handle))
		wake()
		same(t, whole, env.Memory.Objects("public/"))
		spec, err = r.checkCreate(t.Context(), ":.", from("stable", "q"))
		m := r.admitted(t, spec, err)
		r.waits(t, m)
		r.goesOn(t, m)
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
		r.recheck(t)
		must(t, r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
		gone(t, env)
	}
}

// TestNamesAreGivenUpAfterLateCalls has an attempt at a creation stand still before it puts
// the InRelease of an alias. An update that gives the alias up, or the signatures, waits.
// Another update does not.
func TestNamesAreGivenUpAfterLateCalls(t *testing.T) {
	t.Parallel()
	unsigned := under(at("stable"), "latest")
	unsigned.SkipSigning = true
	for name, args := range map[string]request{"latest": under(at("stable")), "stable": unsigned} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env).rechecks()
		must(t, r.put("r", hello))
		spec, err := r.checkCreate(t.Context(), ":.", under(from("stable", "r"), "latest"))
		wake := r.overtaken(t, "public/dists/"+name+"/Release.gpg", spec, err)
		must(t, env.Blobs.Delete(t.Context(), "public/dists/"+name+"/Release.gpg")) // the call has an effect so
		must(t, r.put("r", hello, newer), r.update(at("stable")))
		spec, err = r.checkUpdate(t.Context(), args)
		m := r.admitted(t, spec, err)
		r.waits(t, m)
		wake()
		r.goesOn(t, m)
		r.recheck(t)
		if _, ok := env.Memory.Objects("public/")["public/dists/"+name+"/Release.gpg"]; ok {
			t.Errorf("%s: Release.gpg is left", name)
		}
		must(t, r.drop(at("stable")), env.Drain(t.Context(), r.dispatcher.Handle))
		gone(t, env)
	}
}

// TestOnlyLateReleasesDelayARemoval has attempts be overtaken that put no Release file late:
// one that has staged, and one of a drop. The files go at once, as on one machine after any
// attempt. A publication in the place of the dropped one does not wait.
func TestOnlyLateReleasesDelayARemoval(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"public/pool/main/h/hello/hello_1_amd64.deb", "public/dists/stable/InRelease", "drop"} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env).rechecks()
		r.publish.DropAtOnce, r.publish.Alone = 10, strings.HasSuffix(key, "InRelease")
		must(t, r.put("r", hello))
		var wake func()
		if key == "drop" {
			must(t, r.create(from("stable", "r")))
			spec, err := r.checkDrop(t.Context(), at("stable"))
			wake = r.overtaken(t, "public/pool/main/h/hello/hello_1_amd64.deb", spec, err)
		} else {
			spec, err := r.checkCreate(t.Context(), ":.", from("stable", "r"))
			wake = r.overtaken(t, key, spec, err)
			must(t, r.drop(at("stable")))
		}
		for left := range env.Memory.Objects("public/") {
			t.Errorf("%s: %s is left", key, left)
		}
		if key == "drop" { // a publication waits for the late deletion
			wake()
			continue
		}
		before := env.Clock.Now()
		must(t, r.create(from("stable", "r")))
		if took := env.Clock.Now().Sub(before); took > time.Minute {
			t.Errorf("%s: the publication took %v", key, took)
		}
		wake()
	}
}

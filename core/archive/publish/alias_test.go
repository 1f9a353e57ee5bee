package publish_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
)

// under returns the request with other names of the distribution.
func under(args request, names ...string) request {
	if names == nil {
		names = []string{}
	}
	args.Options.Aliases = &names
	return args
}

// below returns the keys of the objects of a tree.
func below(env *drivertest.Env, tree string) []string {
	var keys []string
	for key := range env.Memory.Objects("public/dists/" + tree + "/") {
		keys = append(keys, key)
	}
	return keys
}

// TestAliases publishes a distribution under other names, which come and go.
func TestAliases(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	release := func(name string) string {
		key := "public/dists/" + name + "/Release"
		return env.Memory.Objects(key)[key]
	}
	must(t, r.put("r", hello, source, kernel), r.create(under(from("trixie", "r"), "testing", "stable/updates")))
	for _, name := range []string{"trixie", "testing", "stable/updates"} {
		has(t, env, map[string]string{name + "/main/binary-amd64/Packages": "hello=1", name + "/main/source/Sources": "hello=1"})
		if text := release(name); !strings.Contains(text, "\nSuite: "+name+"\nCodename: trixie\n") || !strings.HasPrefix(text, "Origin: . trixie\n") ||
			strings.Contains(text, "installer") != (name == "trixie") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	if v, err := r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "trixie"}); err != nil || !slices.Equal(v.Aliases, []string{"stable/updates", "testing"}) {
		t.Errorf("%+v, %v", v, err)
	}
	// An update that does not speak of them keeps them.
	index := "public/dists/testing/main/binary-amd64/"
	old := hashed("", env.Memory.Objects(index + "Packages")[index+"Packages"])
	must(t, r.put("r", newer), r.update(at("trixie")))
	if env.Memory.Objects(index + "by-hash/SHA512/")[index+"by-hash/SHA512/"+old.SHA512] == "" {
		t.Error("readers of the last Release do not find its index")
	}
	has(t, env, map[string]string{"trixie/main/binary-amd64/Packages": "hello=2", "testing/main/binary-amd64/Packages": "hello=2"})
	// One goes, with all that it had by hash, and one comes, though no list has changed.
	must(t, r.update(under(at("trixie"), "stable/updates", "next")))
	has(t, env, map[string]string{"next/main/binary-amd64/Packages": "hello=2", "stable/updates/main/binary-amd64/Packages": "hello=2"})
	if keys := below(env, "testing"); len(keys) > 0 {
		t.Errorf("left: %q", keys)
	}
	// Its name is free for another distribution, whose files stay.
	must(t, r.put("s", hello), r.create(from("testing", "s")), r.put("r", newer, common), r.update(at("trixie")))
	env.Clock.Advance(30 * 24 * time.Hour)
	for range 4 {
		must(t, r.update(at("trixie")))
	}
	has(t, env, map[string]string{"testing/main/binary-amd64/Packages": "hello=1", "next/main/binary-amd64/Packages": "common=1 hello=2"})
	// Without signatures, and without files by hash.
	off := false
	plain := at("trixie")
	plain.SkipSigning, plain.Options.ByHash = true, &off
	must(t, r.put("r", newer, arm), r.update(plain))
	has(t, env, nil)
	if strings.Contains(fmt.Sprint(below(env, "next")), "InRelease") {
		t.Error("an InRelease is left")
	}
	must(t, r.update(func() request { a := at("trixie"); on := true; a.Options.ByHash = &on; return a }()))
	has(t, env, nil)
	must(t, r.drop(at("testing")), r.drop(at("trixie")))
	gone(t, env)
}

// TestAliasRefusals asks for names that cannot be had; nothing changes.
func TestAliasRefusals(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(under(from("trixie", "r"), "testing")), r.create(from("sid", "r")))
	before := stored(env)
	team := under(from("trixie", "r"), "sid") // another prefix has names of its own
	team.Prefix = "team"
	must(t, r.create(team), r.drop(request{Name: publish.Name{Prefix: "team", Distribution: "trixie"}}))
	for want, err := range map[string]error{
		"./testing is a name of ./trixie":                                   r.create(from("testing", "r")),
		"./testing is a name of ./trixie ":                                  r.update(under(at("sid"), "testing")),
		"./sid is a name of ./sid":                                          r.update(under(at("trixie"), "testing", "sid")),
		"the directories of ./testing/main and ./testing are in each other": r.create(from("testing/main", "r")),
		"the directories of ./trixie and ./trixie/main are in each other":   r.update(under(at("trixie"), "trixie/main")),
		"the directories of ./sid/main and ./sid are in each other":         r.update(under(at("trixie"), "sid/main")),
		"duplicate alias sid":                                               r.update(under(at("sid"), "sid")),
		"duplicate alias a":                                                 r.update(under(at("sid"), "a", "a")),
		"invalid alias ..":                                                  r.create(under(from("new", "r"), "..")),
		"9 aliases, at most 8 are possible":                                 r.update(under(at("sid"), "1", "2", "3", "4", "5", "6", "7", "8", "9")),
	} {
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if after := stored(env); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, was %v", after, before)
	}
	has(t, env, nil)
}

// TestAliasTakenOnce admits tasks that want the same name before any has run:
// one gets it.
func TestAliasTakenOnce(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("a", "r")), r.create(from("b", "r")))
	var ids []int64
	admit := func(spec task.Spec, err error) {
		t.Helper()
		must(t, err)
		admitted, err := r.tasks.Admit(t.Context(), spec, false)
		must(t, err)
		ids = append(ids, admitted.ID)
	}
	admit(r.checkUpdate(t.Context(), under(at("a"), "stable")))
	admit(r.checkUpdate(t.Context(), under(at("b"), "stable")))
	admit(r.checkCreate(t.Context(), ":.", from("stable", "r")))
	must(t, env.Drain(t.Context(), r.dispatcher.Handle))
	succeeded := 0
	for _, id := range ids {
		if err := r.ended(id); err == nil {
			succeeded++
		} else if !strings.Contains(err.Error(), "./stable is a name of ./") {
			t.Error(err)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d have the name", succeeded)
	}
	has(t, env, nil)
}

// TestAliasIsTakenUntilApplied breaks the removals of an update that takes a name
// away: the name is not free before the next task has removed the rest.
func TestAliasIsTakenUntilApplied(t *testing.T) {
	env := drivertest.NewEnv()
	broken := false
	env.Blobs = failing{env.Blobs, func(method, key string) bool {
		return broken && method == "delete" && strings.HasPrefix(key, "public/dists/stable/main/binary-amd64/by-hash/")
	}}
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(under(from("trixie", "r"), "stable")))
	broken = true
	must(t, r.update(under(at("trixie"))), r.owes("trixie", "broken"))
	if err := r.create(from("stable", "r")); err == nil || !strings.Contains(err.Error(), "./stable is a name of ./trixie") {
		t.Errorf("created: %v", err)
	}
	broken = false
	must(t, r.update(at("trixie")))
	if keys := below(env, "stable"); len(keys) > 0 {
		t.Errorf("left: %q", keys)
	}
	must(t, r.create(from("stable", "r")), r.put("r", newer), r.update(at("trixie")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1", "trixie/main/binary-amd64/Packages": "hello=2"})
}

// TestSweepAliases interrupts an update that takes one name away and adds another,
// and a drop.
func TestSweepAliases(t *testing.T) {
	t.Parallel()
	then := func(r *rig) error {
		return cmp.Or(r.put("r", hello), r.create(under(from("trixie", "r"), "stable")), r.put("r", newer))
	}
	sweep(t, then, func(r *rig) error { return r.update(under(at("trixie"), "next")) })
	sweep(t, then, func(r *rig) error { return r.drop(at("trixie")) })
}

package publish_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver/drivertest"
)

// to is at with other snapshots: component, name, component, name.
func to(dist string, pairs ...string) request {
	args := at(dist)
	for pair := range slices.Chunk(pairs, 2) {
		args.Sources = append(args.Sources, publish.NamedSource{Component: pair[0], Name: pair[1]})
	}
	return args
}

// staged is at of an update that publishes the staged sources.
func staged(dist string) request {
	args := at(dist)
	args.Staged = true
	return args
}

// stage changes the staged sources of stable.
func (r *rig) stage(change publish.Change, component string, pairs ...string) error {
	args := publish.StageArgs{Name: publish.Name{Prefix: ".", Distribution: "stable"}, Change: change, Component: component, Sources: to("", pairs...).Sources}
	spec, err := r.publish.CheckStage(r.ctx, args)
	return r.run(spec, err)
}

// describe replaces a source's fields.
func (r *rig) describe(name string, change func(*sourcepkg.Source)) error {
	row, err := r.env.Table.Get(r.ctx, shelfKey(name))
	if err != nil {
		return err
	}
	var src sourcepkg.Source
	if err := json.Unmarshal(row.Data, &src); err != nil {
		return err
	}
	change(&src)
	row.Data, err = json.Marshal(src)
	return cmp.Or(err, r.env.Table.Put(r.ctx, row))
}

// referred checks which sources are referred to.
func referred(t *testing.T, env *drivertest.Env, want ...string) {
	t.Helper()
	if d := gocmp.Diff(want, slices.Sorted(maps.Keys(env.Memory.Rows("ref/")))); d != "" {
		t.Error(d)
	}
}

// TestSwitch has a publication of snapshots publish others.
func TestSwitch(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("snap-1", hello, common), r.put("snap-2", newer), r.put("snap-3", later), r.create(from("stable", "snap-1")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "common=1 hello=1"})
	referred(t, env, "ref/snapshot/uuid-snap-1/publish/:./stable")

	spec, err := r.checkUpdate(t.Context(), to("stable", "main", "snap-2"))
	must(t, err, r.run(spec, err))
	if d := gocmp.Diff([]string{"U.>>stable", "Suuid-snap-2", "P."}, spec.Resources); d != "" || spec.Name != "Update published snapshot repository ./stable" {
		t.Errorf("%s %s", spec.Name, d)
	}
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
	referred(t, env, "ref/snapshot/uuid-snap-2/publish/:./stable")

	_, err = r.checkUpdate(t.Context(), to("stable", "extra", "snap-3"))
	refused(t, "a component that is not there", err, 404, "component extra is not in published repository, which has main: add it by POST of /sources and of /update, or name all components")
	must(t, r.update(to("stable", "main", "snap-2", "extra", "snap-3")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2", "stable/extra/binary-amd64/Packages": "later=1"})
	referred(t, env, "ref/snapshot/uuid-snap-2/publish/:./stable", "ref/snapshot/uuid-snap-3/publish/:./stable")
	must(t, r.update(at("stable")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2", "stable/extra/binary-amd64/Packages": "later=1"})

	_, err = r.checkUpdate(t.Context(), to("stable", "", "snap-1"))
	refused(t, "no component", err, 400, "unable to update: the component of snapshot snap-1 is not given")
	_, err = r.checkUpdate(t.Context(), to("stable", "main", "snap-9"))
	refused(t, "no snapshot", err, 404, "get shelf/snap-9: not found")
	must(t, r.put("r", hello), r.create(from("local", "r")))
	_, err = r.checkUpdate(t.Context(), to("local", "main", "snap-1"))
	refused(t, "local", err, 400, "snapshots shouldn't be given when updating local repo")
	must(t, r.drop(at("local")), r.drop(at("stable")))
	gone(t, env)
}

// TestOnlyComponent switches the component of a publication that has no other.
func TestOnlyComponent(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("snap-1", hello), r.put("snap-2", newer), r.create(from("stable", "snap-1")), r.update(to("stable", "", "snap-2")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=2"})
}

// TestStaging stages changes of the sources, publishes them, and fails to.
func TestStaging(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	pending := func(want string) {
		t.Helper()
		list, err := r.publish.Staged(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "stable"})
		got, _ := json.Marshal(list)
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	const none = "unable to show: No source changes exist"
	must(t, r.put("a", hello), r.put("b", common), r.put("c", later), r.create(from("stable", "a")))
	pending(none)
	must(t, r.stage(publish.Add, "", "extra", "b"))
	pending(`[{"Component":"extra","Name":"b"},{"Component":"main","Name":"a"}]`)
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"add":    {r.stage(publish.Add, "", "extra", "c"), "unable to create: Component 'extra' already exists"},
		"set":    {r.stage(publish.Set, "none", "none", "c"), "unable to update: Component 'none' does not exist"},
		"remove": {r.stage(publish.Remove, "none"), "unable to delete: Component 'none' does not exist"},
	} {
		if tc.err == nil || !strings.HasSuffix(tc.err.Error(), ": "+tc.want) {
			t.Errorf("%s: %v, want %s", name, tc.err, tc.want)
		}
	}
	must(t, r.update(staged("stable")))
	pending(none)
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1", "stable/extra/binary-amd64/Packages": "common=1"})
	referred(t, env, "ref/repo/uuid-a/publish/:./stable", "ref/repo/uuid-b/publish/:./stable")

	must(t, r.stage(publish.Set, "extra", "more", "c"), r.stage(publish.Remove, "main"))
	pending(`[{"Component":"more","Name":"c"}]`)
	must(t, r.update(at("stable")))
	found, err := trees(env)
	must(t, err)
	if d := gocmp.Diff(map[string][]string{"stable/more/binary-amd64/Packages": {"later=1"}}, found); d != "" {
		t.Error(d)
	}
	referred(t, env, "ref/repo/uuid-c/publish/:./stable")

	must(t, r.stage(publish.Replace, "", "main", "none"))
	if err := r.update(staged("stable")); err == nil || !strings.Contains(err.Error(), "unable to update: unable to update: ") {
		t.Errorf("update to a source that does not exist: %v", err)
	}
	pending(`[{"Component":"main","Name":"none"}]`)
	must(t, r.stage(publish.Discard, ""), r.stage(publish.Discard, ""))
	pending(none)
	must(t, r.stage(publish.Replace, ""))
	pending(`[]`)
	must(t, r.update(staged("stable")))
	if found, err := trees(env); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
	referred(t, env)
}

// TestStagedMeanwhile stages other sources while an update that does not know
// of them waits.
func TestStagedMeanwhile(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("a", hello), r.put("b", common), r.create(from("stable", "a")))
	stage, err := r.publish.CheckStage(t.Context(), publish.StageArgs{Name: publish.Name{Prefix: ".", Distribution: "stable"}, Change: publish.Add, Sources: to("", "extra", "b").Sources})
	must(t, err)
	first, err := r.tasks.Admit(t.Context(), stage, false)
	must(t, err)
	spec, err := r.checkUpdate(t.Context(), at("stable"))
	must(t, err, r.run(spec, err), r.ended(first.ID))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1", "stable/extra/binary-amd64/Packages": "common=1"})
}

// TestInherit creates publications whose requests leave open fields that their
// sources have.
func TestInherit(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	args := from("", "snap-1")
	args.Sources[0].Component = ""
	two := args
	two.Sources = append(slices.Clone(args.Sources), publish.NamedSource{Name: "snap-2"})
	must(t, r.put("snap-1", hello), r.put("snap-2", later), r.describe("snap-1", func(s *sourcepkg.Source) {
		s.Title, s.Origin, s.NotAutomatic = "[snap-1]: the first", "Debian", "yes"
		s.Distributions, s.Components = []string{"trixie", "trixie"}, []string{"contrib", "main"}
	}), r.create(args))
	v, err := r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "trixie"})
	must(t, err)
	if v.Origin != "Debian" || v.NotAutomatic != "yes" || v.ButAutomaticUpgrades != "" || v.Sources[0].Component != "main" {
		t.Errorf("%+v", v)
	}
	if err := r.create(args); err == nil || !strings.HasSuffix(err.Error(), "./trixie (origin: Debian, notautomatic: yes) [amd64] publishes {main: [snap-1]: the first}") {
		t.Errorf("second creation: %v", err)
	}
	_, err = r.checkCreate(t.Context(), ":.", two)
	refused(t, "component", err, 500, "unable to publish: unable to figure out component name for [snap-1]: the first")
	must(t, r.describe("snap-2", func(s *sourcepkg.Source) { s.Components, s.Distributions = []string{"extra"}, []string{"sid"} }))
	two.Sources[0].Component = "main"
	two.Sources[1].Component = ""
	_, err = r.checkCreate(t.Context(), ":.", two)
	refused(t, "distribution", err, 500, "unable to publish: unable to guess distribution name, please specify explicitly")
	two.Distribution, two.Sources[1].Component = "both", ""
	must(t, r.create(two))
	if v, err = r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "both"}); err != nil || v.Origin != "" || len(v.Sources) != 2 || v.Sources[0].Component != "extra" {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestNested refuses publications whose directories are in each other.
func TestNested(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	with := func(dist string, components ...string) request {
		args := from(dist, "r")
		args.Sources = nil
		for _, c := range components {
			args.Sources = append(args.Sources, publish.NamedSource{Component: c, Name: "r"})
		}
		return args
	}
	must(t, r.put("r", hello), r.create(with("a", "main", "updates/main")), r.create(with("a/security", "main")))
	for name, tc := range map[string]struct {
		args request
		want string
	}{
		"inside":    {with("a/main", "x"), "the directories of ./a/main and ./a are in each other"},
		"below":     {with("a/main/x", "x"), "the directories of ./a/main/x and ./a are in each other"},
		"above":     {with("a/updates", "x"), "the directories of ./a/updates and ./a are in each other"},
		"Release":   {with("a/Release", "x"), "the directories of ./a/Release and ./a are in each other"},
		"component": {with("b", "Release"), "invalid component name Release"},
		"installer": {with("b", "main", "main/debian-installer"), "component main/debian-installer is in a directory of component main"},
	} {
		if err := r.create(tc.args); err == nil || !strings.HasSuffix(err.Error(), "unable to publish: "+tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	args := publish.StageArgs{Name: publish.Name{Prefix: ".", Distribution: "a"}, Change: publish.Add, Sources: to("", "security", "r").Sources}
	spec, err := r.publish.CheckStage(r.ctx, args)
	must(t, r.run(spec, err))
	if err := r.update(staged("a")); err == nil || !strings.HasSuffix(err.Error(), "unable to update: the directories of ./a and ./a/security are in each other") {
		t.Errorf("update: %v", err)
	}
}

func TestSweepSwitch(t *testing.T) {
	t.Parallel()
	sweep(t,
		func(r *rig) error {
			return cmp.Or(r.put("snap-1", hello, common), r.put("snap-2", newer, common), r.create(from("stable", "snap-1")))
		},
		func(r *rig) error { return r.update(to("stable", "main", "snap-2")) })
}

func TestSweepStaged(t *testing.T) {
	t.Parallel()
	sweep(t,
		func(r *rig) error {
			return cmp.Or(r.put("a", hello, common), r.put("b", newer), r.create(from("stable", "a")), r.stage(publish.Replace, "", "extra", "b"))
		},
		func(r *rig) error { return r.update(staged("stable")) })
}

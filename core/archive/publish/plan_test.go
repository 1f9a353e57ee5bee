package publish_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
)

// TestPlan compares plans with the changes that the tasks then make. It holds
// that making a plan changes nothing.
func TestPlan(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	plan := func(spec task.Spec, err error) publish.Plan {
		t.Helper()
		must(t, err)
		rows, objects := env.Memory.Rows(""), env.Memory.Objects("")
		p, err := r.publish.Plan(t.Context(), spec)
		if must(t, err); !maps.Equal(rows, env.Memory.Rows("")) || !maps.Equal(objects, env.Memory.Objects("")) {
			t.Error("a plan has changed something")
		}
		before := env.Memory.Objects("public/pool/")
		must(t, r.run(spec, nil))
		var bytes, removedBytes int64
		for key, data := range env.Memory.Objects("public/pool/") {
			if _, ok := before[key]; !ok {
				bytes += int64(len(data))
			}
			delete(before, key)
		}
		for _, data := range before {
			removedBytes += int64(len(data))
		}
		if p.Bytes != bytes || p.RemovedBytes != removedBytes {
			t.Errorf("planned +%d -%d bytes, done +%d -%d", p.Bytes, p.RemovedBytes, bytes, removedBytes)
		}
		return p
	}
	same := func(got, want publish.Plan) {
		t.Helper()
		got.Bytes, got.RemovedBytes = 0, 0
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	must(t, r.put("r", hello, common, arm), r.put("x", later))
	args := from("stable", "r")
	args.Architectures = []string{"amd64"}
	same(plan(r.checkCreate(t.Context(), ":.", args)), publish.Plan{Objects: 2 + 5 + 1 + 3, Components: []publish.ComponentPlan{
		{Component: "main", Source: "r", Added: []string{"common_1_all", "hello_1_amd64"}, AddedNumber: 2, Removed: []string{}}}})
	same(plan(r.checkUpdate(t.Context(), at("stable"))), publish.Plan{Generation: 1, Objects: 3, Components: []publish.ComponentPlan{
		{Component: "main", Source: "r", Added: []string{}, Removed: []string{}}}})
	must(t, r.put("r", newer, common), r.stage(publish.Add, "", "extra", "x"))
	same(plan(r.checkUpdate(t.Context(), at("stable"))), publish.Plan{Generation: 1, Objects: 2 + 10 + 1 + 3, RemovedObjects: 1, Components: []publish.ComponentPlan{
		{Component: "extra", Source: "x", Added: []string{"later_1_amd64"}, AddedNumber: 1, Removed: []string{}},
		{Component: "main", Source: "r", Added: []string{"hello_2_amd64"}, AddedNumber: 1, Removed: []string{"hello_1_amd64"}, RemovedNumber: 1}}})
	on, moved := true, at("stable")
	moved.Options.MultiDist = &on
	if p := plan(r.checkUpdate(t.Context(), moved)); p.Objects != 3+10+1+3 || p.RemovedObjects != 3 || p.Components[0].AddedNumber != 0 {
		t.Errorf("%+v", p)
	}
	// Two other names: all files of both components, at most the paths of all of
	// them, and three Release files each.
	must(t, r.update(under(at("stable"), "other")))
	if p := plan(r.checkUpdate(t.Context(), under(at("stable"), "a", "b"))); p.Objects != 3*3+2*10+3 || p.RemovedObjects != 11+3 {
		t.Errorf("%+v", p)
	}
	// A component goes: its files under all three names, and its package file.
	must(t, r.stage(publish.Remove, "extra"))
	if p := plan(r.checkUpdate(t.Context(), at("stable"))); p.RemovedObjects != 3*5+1 {
		t.Errorf("%+v", p)
	}
	must(t, r.stage(publish.Add, "", "extra", "x"), r.update(under(at("stable"))))
	back := at("stable")
	back.Generation = 1
	if p := plan(r.checkRollback(t.Context(), back)); p.Components[0].Source != "" || p.Components[1].Added[0] != "hello_1_amd64" {
		t.Errorf("%+v", p)
	}
	if p := plan(r.checkDrop(t.Context(), at("stable"))); p.Objects != 0 || p.RemovedObjects != 2+6+3 || p.Components[0].RemovedNumber != 2 {
		t.Errorf("%+v", p)
	}
	gone(t, env)

	must(t, r.create(args))
	spec, err := r.checkCreate(t.Context(), ":.", args)
	must(t, err)
	_, err = r.publish.Plan(t.Context(), spec)
	refused(t, "twice", err, 400, "prefix/distribution already used by another published repo: ./stable [amd64] publishes {main: [r]}")
	must(t, r.stage(publish.Replace, "", "main", "none"))
	spec, err = r.checkUpdate(t.Context(), at("stable"))
	must(t, err)
	if _, err = r.publish.Plan(t.Context(), spec); err == nil || !strings.HasPrefix(err.Error(), "unable to update: unable to update: ") {
		t.Errorf("%v", err)
	}
}

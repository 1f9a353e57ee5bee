package publish_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver/drivertest"
)

// pooled returns the names of the package files in the tree.
func pooled(env *drivertest.Env) string {
	var names []string
	for key := range env.Memory.Objects("public/pool/") {
		names = append(names, key[strings.LastIndexByte(key, '/')+1:])
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestLeftoversGoWithTheNextCleanup holds that package files that updates with
// SkipCleanup have left go with the next update without it. They go also if
// they were left several lists ago. They stay if they are published again.
func TestLeftoversGoWithTheNextCleanup(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	skip := at("stable")
	skip.SkipCleanup = true
	must(t, r.put("r", hello, common, later), r.create(from("stable", "r")))
	all := pooled(env)
	must(t, r.put("r", hello, later), r.update(skip))
	must(t, r.put("r", hello), r.update(skip), r.update(skip))
	if got := pooled(env); got != all || strings.Count(all, " ") != 2 {
		t.Errorf("with SkipCleanup there are %s of %s", got, all)
	}
	must(t, r.put("r", hello, later), r.update(skip))
	must(t, r.update(at("stable")))
	if got := pooled(env); strings.Count(got, " ") != 1 || strings.Contains(got, "common") {
		t.Errorf("after the clean-up there are %s of %s", got, all)
	}
	// Nothing is left to be done.
	must(t, r.update(at("stable")), r.put("r", hello), r.update(at("stable")))
	if got := pooled(env); strings.Count(got, " ") != 0 {
		t.Errorf("in the end there are %s", got)
	}
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// TestLeftoversGoWithThePublication holds that a drop removes the files that
// updates with SkipCleanup have left. A drop with SkipCleanup removes all files
// of a directory that no other publication has.
func TestLeftoversGoWithThePublication(t *testing.T) {
	for _, skipDrop := range []bool{false, true} {
		t.Run(fmt.Sprint("SkipCleanup=", skipDrop), func(t *testing.T) {
			env := drivertest.NewEnv()
			r := newRig(t.Context(), env)
			skip := at("stable")
			skip.SkipCleanup = true
			must(t, r.put("r", hello, common), r.create(from("stable", "r")), r.put("r", hello), r.update(skip))
			last := at("stable")
			last.SkipCleanup = skipDrop
			must(t, r.drop(last))
			gone(t, env)
		})
	}
}

// TestLeftoversAreBounded holds that a row with many updates with SkipCleanup stays
// small, and that all that they have left goes in the end.
func TestLeftoversAreBounded(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	skip := at("stable")
	skip.SkipCleanup = true
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	for i := range 70 {
		must(t, r.put("r", pack{fmt.Sprintf("name%02d", i), "1", "amd64", fmt.Sprint("content ", i)}), r.update(skip))
	}
	var p publish.Publication
	must(t, json.Unmarshal([]byte(env.Memory.Rows("publish")["publish/:./stable"]), &p))
	if len(p.Left) != 60 {
		t.Errorf("%d leftovers", len(p.Left))
	}
	must(t, r.update(at("stable")))
	if got := pooled(env); strings.Count(got, " ") != 0 {
		t.Errorf("left are %s", got)
	}
}

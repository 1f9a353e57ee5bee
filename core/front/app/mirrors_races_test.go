package app_test

import (
	"testing"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestMirrorRaces drops, updates, renames and edits a mirror while snapshots are made of
// it, merged and published, in many orders of their calls. No reference dangles, and
// every refusal has a reason.
func TestMirrorRaces(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 20
	}
	w, ready := apptest.NewMirroring(t), drivertest.NewEnv()
	if err := w.Begin(t.Context(), ready); err != nil {
		t.Fatal(err)
	}
	p, err := w.Start(t.Context(), ready)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range [][2]string{{"/api/mirrors/m/snapshots", `{"Name":"s1"}`}, {"/api/snapshots", `{"Name":"s2"}`}, {"/api/tasks-clear", ""}} {
		if err := p.Step("POST", s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	w.Env = nil // updates run at the same time and fetch independently
	races(t, seeds, ready, w.Signer, [][3]string{
		{"DELETE", "/api/mirrors/m", ""}, {"DELETE", "/api/mirrors/m?force=1", ""}, {"DELETE", "/api/snapshots/s1?force=1", ""},
		{"DELETE", "/api/snapshots/s1", ""}, {"DELETE", "/api/snapshots/m?force=1", ""},
		{"POST", "/api/mirrors/m/snapshots", `{"Name":"s1"}`}, {"POST", "/api/mirrors/m/snapshots", `{"Name":"s3"}`},
		{"POST", "/api/mirrors/n/snapshots", `{"Name":"s3"}`},
		{"PUT", "/api/mirrors/m", `{}`}, {"PUT", "/api/mirrors/m", `{"Name":"n"}`}, {"POST", "/api/mirrors/m", `{"Filter":"fresh"}`},
		{"POST", "/api/mirrors", apptest.CreateMirror},
		{"POST", "/api/snapshots/m/merge", `{"Sources":["s1","s2"]}`}, {"POST", "/api/snapshots/m/merge", `{"Sources":["s3"]}`},
		{"POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"snap","Architectures":["amd64"],"Sources":[{"Name":"s1"}]}`},
		{"POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"snap","Architectures":["amd64"],"Sources":[{"Name":"s3"}]}`},
		{"DELETE", "/api/publish/:./snap", ""},
	}, []string{"published", "used", "taken", "gone"}, func(c *app.Config) { c.Upstream = w.Server })
}

package publish_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/publish"
	sourcepkg "aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// TestUpdateOfNothingWritesNothing holds that an update without a change writes and
// removes no object, and no row but those of its task. It reads no list and no manifest.
func TestUpdateOfNothingWritesNothing(t *testing.T) {
	t.Parallel()
	for name, signing := range map[string]publish.Signing{"signed": {}, "by a key": {Keys: ""}, "unsigned": {SkipSigning: true}} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		args := from("stable", "r")
		args.Signing = signing
		must(t, r.put("r", hello, common), r.create(args))
		before, rows := env.Memory.Objects(""), env.Memory.Rows("publish")
		maps.Copy(rows, env.Memory.Rows("calendar"))
		calls := len(env.Faults.Calls())
		args = at("stable")
		args.Signing, args.ForceOverwrite = signing, true
		must(t, r.update(args))
		after := env.Memory.Rows("publish")
		maps.Copy(after, env.Memory.Rows("calendar"))
		if !maps.Equal(rows, after) || !maps.Equal(before, env.Memory.Objects("")) {
			t.Errorf("%s: something is written", name)
		}
		var got []string
		for _, call := range env.Faults.Calls()[calls:] {
			if strings.HasPrefix(call, "Blobs.") {
				got = append(got, strings.Fields(call)[0])
			}
		}
		if s := strings.Join(got, " "); s != "Blobs.Stat Blobs.Stat Blobs.List" {
			t.Errorf("%s: %s", name, s)
		}
		last, err := r.tasks.Get(t.Context(), r.lastTask())
		if must(t, err); last.Code != 200 || !strings.Contains(string(last.Value), `"Distribution":"stable"`) || !strings.Contains(last.Output, "Nothing has changed") {
			t.Errorf("%s: the answer is %d %s %q", name, last.Code, last.Value, last.Output)
		}
	}
}

// TestAnyChangeIsPublished has, for each thing on which a publication depends, an update
// after a change of it.
func TestAnyChangeIsPublished(t *testing.T) {
	t.Parallel()
	label, off, day := "other", false, 24*time.Hour
	put := func(r *rig, key, text string) error {
		_, err := r.env.Blobs.Put(r.ctx, key, strings.NewReader(text), driver.PutOptions{})
		return err
	}
	for name, change := range map[string]func(r *rig, args *request) error{
		"a package": func(r *rig, _ *request) error { return r.put("r", newer) },
		"the source": func(r *rig, _ *request) error {
			return r.describe("r", func(s *sourcepkg.Source) { s.Name = "renamed" })
		},
		"a label":          func(_ *rig, args *request) error { args.Options.Label = &label; return nil },
		"by hash":          func(_ *rig, args *request) error { args.Options.ByHash = &off; return nil },
		"an alias":         func(_ *rig, args *request) error { args.Options.Aliases = &[]string{"alias"}; return nil },
		"validity":         func(_ *rig, args *request) error { args.Options.ValidFor = &day; return nil },
		"no signature":     func(_ *rig, args *request) error { args.SkipSigning = true; return nil },
		"the date":         func(_ *rig, args *request) error { args.ResetDate = true; return nil },
		"staged sources":   func(r *rig, args *request) error { args.Staged = true; return r.stage(publish.Add, "", "extra", "r") },
		"compressions":     func(r *rig, _ *request) error { r.publish.Compressions = []string{"xz"}; return nil },
		"no paths":         func(r *rig, _ *request) error { r.publish.Paths = nil; return nil },
		"address":          func(r *rig, _ *request) error { r.publish.Snapshots = "https://example.org/snapshots"; return nil },
		"a source date":    func(r *rig, _ *request) error { r.publish.SourceDate = time.Unix(1e9, 0).UTC(); return nil },
		"a skeleton file":  func(r *rig, _ *request) error { return put(r, "private/skel/dists/stable/main/i18n/x", "1") },
		"a lost InRelease": func(r *rig, _ *request) error { return r.env.Blobs.Delete(r.ctx, "public/dists/stable/InRelease") },
	} {
		env := drivertest.NewEnv()
		r := newRig(t.Context(), env)
		must(t, r.put("r", hello, common), r.create(from("stable", "r")))
		args := at("stable")
		must(t, change(r, &args), r.update(args))
		list, err := r.publish.Revisions(t.Context(), stable)
		if must(t, err); list[0].Generation != 2 {
			t.Errorf("%s is not published", name)
		}
		if _, err := trees(env); err != nil && name != "compressions" { // trees reads no .xz
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReleaseThatIsDueIsSignedByAnUpdate holds that an update of a publication which
// expires signs it anew in the second half of its life.
func TestReleaseThatIsDueIsSignedByAnUpdate(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	args, day := from("stable", "r"), 24*time.Hour
	args.Options.ValidFor = &day
	must(t, r.put("r", hello), r.create(args))
	for i, want := range []int64{1, 2} {
		env.Clock.Advance(7 * time.Hour)
		must(t, r.update(at("stable")))
		if list, err := r.publish.Revisions(t.Context(), stable); err != nil || list[0].Generation != want {
			t.Errorf("after %d hours: %v, %v", 7*(i+1), list, err)
		}
	}
}

// TestRefreshKeepsAppStream signs a publication of a mirror's snapshot anew, and rolls it
// back. The files beside its indexes stay.
func TestRefreshKeepsAppStream(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	const text = "translations"
	f := hashed("", text)
	_, err := env.Blobs.Put(t.Context(), poolKey(f.SHA256), strings.NewReader(text), driver.PutOptions{})
	args, day := from("stable", "snap"), 24*time.Hour
	args.Options.ValidFor = &day
	must(t, err, r.put("snap", hello), r.describe("snap", func(s *sourcepkg.Source) {
		s.Files = map[string]string{"main/i18n/Translation-en.xz": f.SHA256}
	}), r.create(args))
	env.Clock.Advance(13 * time.Hour)
	if n, err := r.tick(); err != nil || n != 1 {
		t.Fatalf("%d tasks, %v", n, err)
	}
	check := func(when string) {
		t.Helper()
		objects := env.Memory.Objects("public/dists/stable/")
		if objects["public/dists/stable/main/i18n/Translation-en.xz"] != text || !strings.Contains(objects["public/dists/stable/Release"], "main/i18n/Translation-en.xz") {
			t.Errorf("%s: the file is lost", when)
		}
	}
	check("after a refresh")
	must(t, r.rollback(1))
	check("after a rollback")
}

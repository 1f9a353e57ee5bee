package publish_test

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/publish"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// TestDatedAlias reads the files that were published at a time under a name
// that was given up.
func TestDatedAlias(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(under(from("trixie", "r"), "stable")))
	id := env.Clock.Now().Add(time.Hour).Format("20060102T150405Z")
	env.Clock.Advance(2 * time.Hour)
	must(t, r.put("r", newer), r.update(under(at("trixie"), "testing")))
	object := func(name string) string {
		t.Helper()
		key, err := r.publish.AsOf(t.Context(), id, name)
		must(t, err)
		return env.Memory.Objects(key)[key]
	}
	release := object("dists/stable/Release")
	index := object("dists/stable/main/binary-amd64/Packages")
	sum := hashed("", index).SHA256
	if !strings.Contains(release, "\nSuite: stable\nCodename: trixie\n") || !strings.Contains(release, " "+sum+" ") || !strings.Contains(index, "\nVersion: 1\n") {
		t.Errorf("%s\n%s", release, index)
	}
	if object("dists/stable/main/binary-amd64/by-hash/SHA256/"+sum) != index {
		t.Error("by hash it is another")
	}
	for _, name := range []string{"dists/testing/Release", "dists/stable/trixie/Release", "dists/Release"} {
		if key, err := r.publish.AsOf(t.Context(), id, name); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s: %s, %v", name, key, err)
		}
	}
}

// TestDateAheadOfTheClockIsRead publishes twice within a second. The date of the second
// Release lies ahead of the clock, and clients read it by that date. No later Release gets
// it.
func TestDateAheadOfTheClockIsRead(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	now := env.Clock.Now()
	r.publish.Now = func() time.Time { return now }
	must(t, r.put("r", hello), r.create(from("d", "r")), r.put("r", newer), r.update(at("d")))
	ahead := now.Add(time.Second).Format("20060102T150405Z")
	key, err := r.publish.AsOf(t.Context(), ahead, "dists/d/main/binary-amd64/Packages")
	if must(t, err); !strings.Contains(env.Memory.Objects(key)[key], "\nVersion: 2\n") {
		t.Errorf("at %s: %s", ahead, key)
	}
	after := now.Add(2 * time.Second).Format("20060102T150405Z")
	if key, err := r.publish.AsOf(t.Context(), after, "dists/d/main/binary-amd64/Packages"); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("at %s: %s, %v", after, key, err)
	}
}

// TestDated reads, as apt does with --snapshot, the files that were published
// at a time.
func TestDated(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	r.publish.Snapshots = "https://deb.example.org/snapshots"
	const form = "20060102T150405Z"
	read := func(id, name string) (string, error) {
		key, err := r.publish.AsOf(t.Context(), id, name)
		if err != nil {
			return "", err
		}
		data, ok := env.Memory.Objects(key)[key]
		if !ok {
			t.Errorf("%s at %s is %s, which is not there", name, id, key)
		}
		return data, nil
	}
	args := from("a/b", "r")
	args.Prefix = "team/x"
	must(t, r.put("r", hello, source), r.create(args))
	env.Clock.Advance(time.Hour)
	first := env.Clock.Now().Format(form)
	env.Clock.Advance(time.Hour)
	update := at("a/b")
	update.Prefix = "team/x"
	must(t, r.put("r", newer), r.update(update), r.put("s", hello), r.create(from("a", "s")))
	env.Clock.Advance(time.Hour)
	second := env.Clock.Now().Format(form)

	for id, want := range map[string]pack{first: hello, second: newer} {
		inRelease, err := read(id, "team/x/dists/a/b/InRelease")
		must(t, err)
		release, err := read(id, "team/x/dists/a/b/Release")
		if must(t, err); !strings.HasSuffix(inRelease, release) || !strings.Contains(release, "\nSnapshots: https://deb.example.org/snapshots/@SNAPSHOTID@/team/x/\n") {
			t.Errorf("at %s:\n%s", id, inRelease)
		}
		index, err := read(id, "team/x/dists/a/b/main/binary-amd64/Packages")
		must(t, err)
		sum := hashed("", index)
		if !strings.Contains(release, " "+sum.SHA256+" ") || !strings.Contains(index, "\nVersion: "+want.version+"\n") {
			t.Errorf("at %s:\n%s\n%s", id, release, index)
		}
		if byHash, err := read(id, "team/x/dists/a/b/main/binary-amd64/by-hash/MD5Sum/"+sum.MD5); err != nil || byHash != index {
			t.Errorf("by hash at %s: %v", id, err)
		}
		file := "team/x/pool/main/h/hello/hello_" + want.version + "_amd64.deb"
		if data, err := read(id, file); err != nil || data != want.content {
			t.Errorf("%s at %s: %q, %v", file, id, data, err)
		}
	}
	if data, err := read(first, "team/x/pool/main/h/hello/hello_1_source.dsc"); err != nil || data != source.content {
		t.Errorf("source: %q, %v", data, err)
	}
	for name, tc := range map[string][2]string{
		"before":        {"20200101T000000Z", "team/x/dists/a/b/InRelease"},
		"future":        {env.Clock.Now().Add(time.Minute).Format(form), "team/x/dists/a/b/InRelease"},
		"no time":       {"yesterday", "team/x/dists/a/b/InRelease"},
		"prefix":        {second, "dists/a/b/InRelease"},
		"not listed":    {second, "team/x/dists/a/b/main/binary-i386/Packages"},
		"newer":         {first, "team/x/pool/main/h/hello/hello_2_amd64.deb"},
		"older":         {second, "team/x/pool/main/h/hello/hello_1_amd64.deb"},
		"elsewhere":     {second, "team/x/pool/main/x/hello/hello_2_amd64.deb"},
		"private":       {second, "team/x/dists/a/b/manifest.json"},
		"other by-hash": {second, path.Join("team/x/dists/a/b/main/binary-amd64/by-hash/SHA256", strings.Repeat("0", 64))},
	} {
		if data, err := read(tc[0], tc[1]); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%s: %.40q, %v", name, data, err)
		}
	}
	before := len(env.Faults.Calls())
	_, err := read(second, "team/x/dists/a/b/InRelease")
	must(t, err)
	for _, call := range env.Faults.Calls()[before:] {
		if strings.HasPrefix(call, "Table.Scan") {
			t.Errorf("%s for a file of one distribution", call)
		}
	}
	must(t, r.drop(request{Name: publish.Name{Prefix: "team/x", Distribution: "a/b"}}))
	if _, err := read(second, "team/x/dists/a/b/InRelease"); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("after the drop: %v", err)
	}
}

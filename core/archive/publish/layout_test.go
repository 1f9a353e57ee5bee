package publish_test

import (
	"cmp"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
)

// A source package of two files, and another one of the same version.
var (
	twofold = pack{"twofold", "1", "source", "twofold dsc+twofold tarball"}
	another = pack{"twofold", "1", "source", "another dsc+another tarball"}
)

// byHash is from with the layout hash.
func byHash(dist, source string) request {
	args := from(dist, source)
	args.PoolLayout = paths.HashLayout
	return args
}

// copied returns the package files that are in the public tree, without their
// directories.
func copied(env *drivertest.Env) string {
	var names []string
	for key := range env.Memory.Objects("public/pool/") {
		names = append(names, path.Base(key))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// TestLayouts has publications of both layouts in one prefix: create, update,
// roll back and drop.
func TestLayouts(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	rebuilt := hello
	rebuilt.content = "hello 1, built anew"
	must(t, r.put("a", hello, common, loader, kernel, twofold), r.put("b", rebuilt, common, another))
	first := byHash("one", "a")
	first.Options.Aliases = &[]string{"latest"}
	must(t, r.create(first))
	const sources = "twofold_1.tar.xz twofold_1_source.dsc"
	if got := copied(env); got != sources {
		t.Errorf("copied: %s", got)
	}
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "common=1 hello=1",
		"one/main/debian-installer/binary-amd64/Packages": "loader=1", "one/main/source/Sources": "twofold=1"})
	index := env.Memory.Objects("public/dists/one/")["public/dists/one/main/binary-amd64/Packages"]
	sum := hashed("", hello.content).SHA256
	if want := "\nFilename: pool/sha256/" + sum[:2] + "/" + sum + "/hello_1_amd64.deb\n"; !strings.Contains(index, want) {
		t.Errorf("%s is missing in\n%s", want, index)
	}
	index = env.Memory.Objects("public/dists/one/")["public/dists/one/main/source/Sources"]
	if want := "\nDirectory: pool/source/" + hashed("", "twofold dsc").SHA256 + "\n"; !strings.Contains(index, want) {
		t.Errorf("%s is missing in\n%s", want, index)
	}

	// Other files of the same names conflict neither with files of the layout nor
	// with copies.
	must(t, r.create(byHash("two", "b")), r.create(from("three", "b")))
	if got := copied(env); got != "common_1_all.deb hello_1_amd64.deb "+strings.Repeat("twofold_1.tar.xz ", 3)+strings.TrimSpace(strings.Repeat("twofold_1_source.dsc ", 3)) {
		t.Errorf("copied: %s", got)
	}
	all := "common=1 hello=1"
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": all, "two/main/binary-amd64/Packages": all, "three/main/binary-amd64/Packages": all})

	env.Clock.Advance(time.Hour)
	must(t, r.put("a", newer, common), r.update(at("one")))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "common=1 hello=2", "latest/main/binary-amd64/Packages": "common=1 hello=2", "one/main/source/Sources": "", "two/main/source/Sources": "twofold=1"})
	back := at("one")
	back.Generation = 1
	spec, err := r.checkRollback(t.Context(), back)
	must(t, r.run(spec, err))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": all, "one/main/source/Sources": "twofold=1"})
	must(t, r.put("b", hello), r.update(at("two")), r.drop(at("three")))
	has(t, env, map[string]string{"two/main/binary-amd64/Packages": "hello=1", "two/main/source/Sources": ""})
	if got := copied(env); got != sources {
		t.Errorf("copied at the end: %s", got)
	}
	must(t, r.drop(at("one")), r.drop(at("two")))
	gone(t, env)
}

// TestHashSources has source packages in the directory that all components and
// distributions share: they go with the last that has them.
func TestHashSources(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	on := true
	args := byHash("one", "snap1")
	args.Sources = append(args.Sources, publish.NamedSource{Component: "extra", Name: "snap2"})
	args.Options.MultiDist = &on
	must(t, r.put("snap1", twofold), r.put("snap2", hello, twofold), r.put("snap3", hello), r.put("r", twofold), r.create(args), r.create(byHash("two", "r")))
	if got := copied(env); got != "twofold_1.tar.xz twofold_1_source.dsc" {
		t.Errorf("copied: %s", got)
	}
	spec, err := r.checkUpdate(t.Context(), at("one"))
	must(t, err)
	if !slices.Contains(spec.Resources, "P.") {
		t.Errorf("an update takes %v", spec.Resources)
	}
	for _, component := range []string{"main", "extra"} {
		change := at("one")
		change.Sources = []publish.NamedSource{{Component: component, Name: "snap3"}}
		must(t, r.update(change))
		has(t, env, map[string]string{"two/main/source/Sources": "twofold=1"})
	}
	must(t, r.put("r", another), r.update(at("two")))
	has(t, env, map[string]string{"two/main/source/Sources": "twofold=1"})
	if got := copied(env); got != "twofold_1.tar.xz twofold_1_source.dsc" {
		t.Errorf("copied: %s", got)
	}
	args.Distribution = "three"
	must(t, r.create(args))
	for _, component := range []string{"main", "extra"} { // the other component has it still
		change := at("three")
		change.Sources = []publish.NamedSource{{Component: component, Name: "snap3"}}
		must(t, r.update(change))
		has(t, env, map[string]string{"two/main/source/Sources": "twofold=1"})
	}
	must(t, r.drop(at("one")), r.drop(at("two")), r.drop(at("three")))
	gone(t, env)
}

// TestHashMoves holds that publications of the layout hash add nothing to the
// pool and ask nothing of it.
func TestHashMoves(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, common, loader), r.create(byHash("stable", "r")), r.put("r", newer, common), r.update(at("stable")), r.drop(at("stable")))
	for _, call := range env.Faults.Calls() {
		if strings.Contains(call, "Copy private/pool/") || strings.Contains(call, "public/pool/") {
			t.Error(call)
		}
	}
	gone(t, env)
}

// TestLayoutChecks refuses an unknown layout, and a layout other than the
// publication's.
func TestLayoutChecks(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	r.publish.Storages = []string{"filesystem:www"}
	must(t, r.put("r", hello), r.create(byHash("hashed", "r")), r.create(from("plain", "r")))
	args := byHash("new", "r")
	args.PoolLayout = "sha256"
	_, err := r.checkCreate(t.Context(), ":.", args)
	refused(t, "unknown", err, 400, `unable to publish: unknown PoolLayout "sha256", it is debian or hash`)
	args = byHash("new", "r")
	args.Storage = "filesystem:www"
	_, err = r.checkCreate(t.Context(), ":.", args)
	refused(t, "storage", err, 400, "unable to publish: PoolLayout hash is of the default storage only, the files are not in filesystem:www")
	for dist, layouts := range map[string][2]paths.Layout{
		"hashed": {paths.HashLayout, paths.DebianLayout}, "plain": {paths.DebianLayout, paths.HashLayout},
	} {
		change := at(dist)
		change.PoolLayout = layouts[0]
		must(t, r.update(change))
		change.PoolLayout = layouts[1]
		_, err := r.checkUpdate(t.Context(), change)
		refused(t, dist, err, 400, "unable to update: PoolLayout of ./"+dist+" is "+string(layouts[0])+" from its creation on")
		v, err := r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: dist})
		must(t, err)
		data, err := json.Marshal(v)
		must(t, err)
		if shown := strings.Contains(string(data), `"Path":"./hashed","PoolLayout":"hash","Prefix":"."`); shown != (dist == "hashed") || !shown && strings.Contains(string(data), "PoolLayout") {
			t.Errorf("%s", data)
		}
	}
	has(t, env, map[string]string{"hashed/main/binary-amd64/Packages": "hello=1", "plain/main/binary-amd64/Packages": "hello=1"})

	on := true
	for _, tc := range []struct {
		dist, component string
		multi           *bool
		layout          paths.Layout
		refused         bool
	}{
		{"x1", "sha256", nil, "", true}, {"x2", "sha256/a", nil, "debian", true}, {"sha256", "main", &on, "", true}, {"pool/sha256", "main", nil, "", true},
		{"x/pool", "sha256", nil, "hash", true}, {"x3", "sha256", nil, "hash", false}, {"x4", "sha256", &on, "", false}, {"sha256", "main", nil, "", false},
		{"x5", "sha256x", nil, "", false}, {"x6", "source", nil, "", false},
	} {
		args := from(tc.dist, "r")
		args.Sources[0].Component, args.Options.MultiDist, args.PoolLayout = tc.component, tc.multi, tc.layout
		err := r.create(args)
		if tc.refused != (err != nil && strings.HasSuffix(err.Error(), "would be in pool/sha256, where files are by their digest")) || !tc.refused && err != nil {
			t.Errorf("%+v: %v", tc, err)
		}
	}
	has(t, env, nil)
}

// TestHashPlan plans nothing for files that are not copied.
func TestHashPlan(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	args := byHash("stable", "r")
	args.Architectures = []string{"amd64"}
	must(t, r.put("r", hello, common), r.create(byHash("other", "r")))
	spec, err := r.checkCreate(t.Context(), ":.", args)
	must(t, err)
	plan, err := r.publish.Plan(t.Context(), spec)
	must(t, err)
	want := publish.Plan{Objects: 5 + 1 + 3, Components: []publish.ComponentPlan{ // indexes, Contents, Release and its signatures
		{Component: "main", Source: "r", Added: []string{"common_1_all", "hello_1_amd64"}, AddedNumber: 2, Removed: []string{}}}}
	if d := gocmp.Diff(want, plan); d != "" {
		t.Error(d)
	}
	must(t, r.put("r", hello, twofold))
	args.Architectures = []string{"amd64", "source"}
	spec, err = r.checkCreate(t.Context(), ":.", args)
	must(t, err)
	if plan, err = r.publish.Plan(t.Context(), spec); err != nil || plan.Bytes != int64(len(twofold.content)-1) {
		t.Errorf("%+v, %v", plan, err)
	}
	must(t, r.create(args))
	spec, err = r.checkDrop(t.Context(), at("stable"))
	must(t, err)
	if plan, err = r.publish.Plan(t.Context(), spec); err != nil || plan.RemovedBytes != int64(len(twofold.content)-1) {
		t.Errorf("%+v, %v", plan, err)
	}
}

// TestHashDated finds files of a former time: packages by digest, sources where
// the indexes of that time have them.
func TestHashDated(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	args := byHash("stable", "r")
	args.Prefix = "team/x"
	must(t, r.put("r", hello, twofold), r.create(args))
	env.Clock.Advance(time.Hour)
	first := env.Clock.Now().Format("20060102T150405Z")
	env.Clock.Advance(time.Hour)
	update := at("stable")
	update.Prefix = "team/x"
	must(t, r.put("r", newer), r.update(update))
	in := "team/x/pool/source/" + hashed("", "twofold dsc").SHA256
	sum := hashed("", hello.content).SHA256
	for name, want := range map[string]string{
		in + "/twofold_1_source.dsc": "twofold dsc", in + "/twofold_1.tar.xz": "twofold tarball", in + "/twofold_2.tar.xz": "",
		"team/x/pool/source/" + sum + "/twofold_1.tar.xz":                     "",
		"team/x/pool/sha256/" + sum[:2] + "/" + sum + "/hello_1_amd64.deb":    hello.content,
		"team/x/pool/sha256/" + sum[:2] + "/" + sum + "/twofold_1_source.dsc": "",
	} {
		key, err := r.publish.AsOf(t.Context(), first, name)
		if want == "" {
			if err == nil {
				t.Errorf("%s is %s", name, key)
			}
			continue
		}
		if must(t, err); env.Memory.Objects(key)[key] != want {
			t.Errorf("%s is %s", name, key)
		}
	}
}

// TestSweepHash interrupts publications of the layout hash beside one of the
// layout debian.
func TestSweepHash(t *testing.T) {
	t.Parallel()
	skip := true
	small := func(args request) request {
		args.Options.SkipContents, args.Options.SkipBz2 = &skip, &skip
		return args
	}
	setup := func(r *rig) error {
		return cmp.Or(r.put("r", hello, twofold), r.put("s", hello, twofold), r.create(small(from("plain", "s"))))
	}
	create := func(r *rig) error { return r.create(small(byHash("stable", "r"))) }
	then := func(r *rig) error { return cmp.Or(setup(r), create(r), r.put("r", newer, another)) }
	sweep(t, setup, create)
	sweep(t, then, func(r *rig) error { return r.update(at("stable")) })
	sweep(t, then, func(r *rig) error { return r.drop(at("stable")) })
}

// digestPaths are paths, and the digests that they have.
func digestPaths() map[string]string {
	sum := hashed("", "x").SHA256
	dir := "pool/sha256/" + sum[:2] + "/" + sum
	return map[string]string{
		dir + "/x_1_all.deb": sum, "/" + dir + "/x+%3a~y.deb": sum, "/team/x/" + dir + "/x": sum, "/snapshots/20260101T000000Z/" + dir + "/x": sum,
		dir: "", dir + "/": "", dir + "/.": "", dir + "/..": "", dir + "/a/b": "", "x" + dir + "/x": "", "/teampool/sha256/" + sum[:2] + "/" + sum + "/x": "",
		"pool/sha256/00/" + sum + "/x": "", "pool/sha256/" + sum + "/x": "", "pool/sha256/" + sum[:2] + "/" + sum[:62] + "/x": "",
		strings.ToUpper(dir) + "/x": "", "pool/sha256/" + sum[:2] + "/" + strings.ToUpper(sum) + "/x": "", "pool/sha256/../" + sum + "/x": "",
		"pool/source/" + sum[:2] + "/" + sum + "/x": "", dir + "/\x00": "", "": "", "/": "", "pool/sha256//" + sum + "/x": "",
	}
}

func TestDigest(t *testing.T) {
	for name, want := range digestPaths() {
		if got, ok := paths.Digest(name); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %s, %t", name, got, ok)
		}
	}
}

// FuzzDigest takes digests out of paths. The result is a digest, and the path
// leads nowhere else.
func FuzzDigest(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(digestPaths())) {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		sha256, ok := paths.Digest(name)
		if !ok {
			return
		}
		if len(sha256) != 64 || strings.Trim(sha256, "0123456789abcdef") != "" || driver.CheckKey(path.Base(name)) != nil ||
			!strings.HasSuffix("/"+path.Dir(name), "/pool/sha256/"+sha256[:2]+"/"+sha256) {
			t.Errorf("%q has %q", name, sha256)
		}
	})
}

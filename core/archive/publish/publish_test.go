package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aptless/core/archive/publish"
	"aptless/core/archive/publish/paths"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
)

var (
	hello  = pack{"hello", "1", "amd64", "hello 1"}
	common = pack{"common", "1", "all", "common 1"}
	newer  = pack{"hello", "2", "amd64", "hello 2"}
	source = pack{"hello", "1", "source", "hello source"}
	loader = pack{"loader", "1", "udeb amd64", "loader 1"}
	later  = pack{"later", "1", "amd64", "later 1"}
	arm    = pack{"hello", "1", "arm64", "hello arm"}
)

// TestLife publishes, updates and drops, and checks each time all that is public.
func TestLife(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello, common, source), r.create(from("stable", "r")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "common=1 hello=1", "stable/main/source/Sources": "hello=1"})
	env.Clock.Advance(time.Hour)
	must(t, r.put("r", common, source, newer, loader, arm), r.update(at("stable")))
	has(t, env, map[string]string{
		"stable/main/binary-amd64/Packages": "common=1 hello=2", "stable/main/debian-installer/binary-amd64/Packages": "loader=1"})
	if found, _ := trees(env); found["stable/main/binary-arm64/Packages"] != nil {
		t.Error("the architectures are not those of the creation")
	}
	must(t, r.put("r"), r.update(at("stable")))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "", "stable/main/source/Sources": ""})
	if found, _ := trees(env); found["stable/main/debian-installer/binary-amd64/Packages"] != nil {
		t.Error("an index of udebs is left without udebs")
	}
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// gone checks that nothing of publications is left.
func gone(t *testing.T, env *drivertest.Env) {
	t.Helper()
	for key := range env.Memory.Objects("public/") {
		t.Errorf("%s is left", key)
	}
	for key := range env.Memory.Objects("private/publish/") {
		t.Errorf("%s is left", key)
	}
	for _, part := range []string{"publish", "pool/", "inventory", "staging", "ref/", "lock", "expiry"} {
		for key := range env.Memory.Rows(part) {
			t.Errorf("row %s is left", key)
		}
	}
}

// TestNeighbourOfOtherArchitecturesKeepsNoFile has two distributions of one repository. One
// publishes an architecture that the other does not. Its files go with the one.
func TestNeighbourOfOtherArchitecturesKeepsNoFile(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	arm := hello
	arm.name, arm.arch, arm.content = "arm", "arm64", "arm64 only"
	wide, narrow := from("one", "r"), from("two", "r")
	wide.Architectures, narrow.Architectures = []string{"amd64", "arm64"}, []string{"amd64"}
	must(t, r.put("r", hello, common, arm), r.create(wide), r.create(narrow))
	has(t, env, map[string]string{"one/main/binary-arm64/Packages": "arm=1 common=1", "two/main/binary-amd64/Packages": "common=1 hello=1"})
	must(t, r.drop(at("one")))
	for key := range env.Memory.Objects("public/pool/") {
		if strings.Contains(key, "arm") {
			t.Errorf("%s is left", key)
		}
	}
	has(t, env, map[string]string{"two/main/binary-amd64/Packages": "common=1 hello=1"})
	must(t, r.drop(at("two")))
	gone(t, env)
}

// TestSharedPool has two distributions of a prefix share files: one goes when
// the last of them no longer has it.
func TestSharedPool(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("a", hello, common), r.put("b", hello), r.create(from("one", "a")), r.create(from("two", "b")))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "common=1 hello=1", "two/main/binary-amd64/Packages": "hello=1"})
	must(t, r.put("a", common), r.update(at("one")))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "common=1", "two/main/binary-amd64/Packages": "hello=1"})
	must(t, r.put("b", newer), r.update(at("two")))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "common=1", "two/main/binary-amd64/Packages": "hello=2"})
	must(t, r.drop(at("one")))
	has(t, env, map[string]string{"two/main/binary-amd64/Packages": "hello=2"})
	must(t, r.drop(at("two")))
	gone(t, env)
}

// TestDifferentFile publishes another file under a path that is taken.
func TestDifferentFile(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	other := hello
	other.content = "hello 1, built anew"
	must(t, r.put("a", hello), r.put("b", other), r.create(from("one", "a")))
	before := env.Memory.Objects("public/pool/")
	err := r.create(from("two", "b"))
	const want = "unable to publish: unable to process packages: error linking file to /aptless/public/pool/main/h/hello/hello_1_amd64.deb: file already exists and is different: hello_1_amd64 and hello_1_amd64 of ./one have the same path in the pool: "
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v, want %s", err, want)
	}
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "hello=1"})
	if d := cmp.Diff(before, env.Memory.Objects("public/pool/")); d != "" {
		t.Error(d)
	}
	multi, on := from("two", "b"), true
	multi.Options.MultiDist = &on
	must(t, r.create(multi), r.drop(at("two")))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "hello=1"})

	must(t, r.put("a", other))
	if err := r.update(at("one")); err == nil || !strings.Contains(err.Error(), "unable to update: unable to process packages: ") {
		t.Errorf("update: %v", err)
	}
	force := at("one")
	force.ForceOverwrite = true
	must(t, r.update(force))
	has(t, env, map[string]string{"one/main/binary-amd64/Packages": "hello=1"})
}

// TestMultiDist turns a pool directory of its own on and off.
func TestMultiDist(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	on, off := true, false
	args := from("stable", "r")
	must(t, r.put("r", hello, common), r.create(args), r.create(from("other", "r")))
	for _, tc := range []struct {
		multi *bool
		files string
	}{
		{&on, "public/pool/main/c/common/common_1_all.deb public/pool/stable/main/c/common/common_1_all.deb"},
		{nil, "public/pool/main/c/common/common_1_all.deb public/pool/stable/main/c/common/common_1_all.deb"},
		{&off, "public/pool/main/c/common/common_1_all.deb"},
	} {
		change := at("stable")
		change.Options.MultiDist = tc.multi
		must(t, r.update(change))
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "common=1 hello=1", "other/main/binary-amd64/Packages": "common=1 hello=1"})
		var files []string
		for _, key := range slices.Sorted(maps.Keys(env.Memory.Objects("public/pool/"))) {
			if strings.Contains(key, "common") {
				files = append(files, key)
			}
		}
		if got := strings.Join(files, " "); got != tc.files {
			t.Errorf("files %s, want %s", got, tc.files)
		}
	}
}

// TestUnsigned stops signing and begins again.
func TestUnsigned(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	skip := at("stable")
	skip.SkipSigning = true
	for _, tc := range []struct {
		args  request
		files string
	}{{skip, "Contents-amd64.gz Release"}, {at("stable"), "Contents-amd64.gz InRelease Release Release.gpg"}} {
		must(t, r.update(tc.args))
		has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
		var files []string
		for _, key := range slices.Sorted(maps.Keys(env.Memory.Objects("public/dists/stable/"))) {
			if name := strings.TrimPrefix(key, "public/dists/stable/"); !strings.Contains(name, "/") {
				files = append(files, name)
			}
		}
		if got := strings.Join(files, " "); got != tc.files {
			t.Errorf("files %s, want %s", got, tc.files)
		}
	}
}

// slow signs as frame does, and lets time pass.
type slow struct {
	frame
	takes func()
}

func (s slow) DetachSign(ctx context.Context, w io.Writer, data []byte, at time.Time) error {
	s.takes()
	return s.frame.DetachSign(ctx, w, data, at)
}

// TestTimeGrows holds that the times which apt compares grow by a second with each of
// many quick updates. A date leads the clock by 5 s at most, and no update sleeps before.
func TestTimeGrows(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	takes := 10500 * time.Millisecond
	r.publish.Signer = slow{takes: func() {
		env.Clock.Advance(takes)
		takes = 0
	}}
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	begun := env.Clock.Now()
	var last, modified time.Time
	for i := range 12 {
		var rec publish.Publication
		must(t, json.Unmarshal([]byte(env.Memory.Rows("publish")["publish/:./stable"]), &rec))
		info, err := env.Memory.Blobs.Stat(t.Context(), "public/dists/stable/InRelease")
		must(t, err)
		if rec.Date.Sub(last) < time.Second || info.ModTime.Truncate(time.Second).Sub(modified) < time.Second {
			t.Errorf("Date %v after %v, InRelease of %v after %v", rec.Date, last, info.ModTime, modified)
		}
		if env.Clock.Now().Add(5 * time.Second).Before(rec.Date) {
			t.Errorf("Date %v at %v", rec.Date, env.Clock.Now())
		}
		if slept := env.Clock.Now().Sub(begun); i < 5 && slept > 0 {
			t.Errorf("update %d: slept %v", i, slept)
		}
		last, modified = rec.Date, info.ModTime.Truncate(time.Second)
		must(t, r.relabel("stable"))
	}
}

// TestRetired keeps the by-hash objects of former publications for as many
// generations and days as clients may need them.
func TestRetired(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	first := "public/dists/stable/main/binary-amd64/by-hash/SHA256/" +
		hashed("", env.Memory.Objects("public/dists/stable/")["public/dists/stable/main/binary-amd64/Packages"]).SHA256
	for i, there := range []bool{true, true, true, true, false} {
		if i == 4 {
			env.Clock.Advance(7*24*time.Hour + 5*time.Second) // by which dates may lead the clock
		}
		must(t, r.put("r", pack{"hello", fmt.Sprint(i + 2), "amd64", fmt.Sprint(i)}), r.update(at("stable")))
		if _, ok := env.Memory.Objects(first)[first]; ok != there {
			t.Errorf("after %d more publications the first index is there: %v", i+1, ok)
		}
	}
	must(t, r.drop(at("stable")))
	gone(t, env)
}

// TestSlices publishes in deliveries that are over after a few files each.
func TestSlices(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	copied := map[string]int{}
	r.dispatcher.Slice = 30 * time.Second
	r.publish.PoolKey = func(sha256 string) string {
		env.Clock.Advance(10 * time.Second)
		return poolKey(sha256)
	}
	var packs []pack
	for i := range 40 {
		packs = append(packs, pack{fmt.Sprintf("package-%02d", i), "1", "amd64", fmt.Sprint(i)})
	}
	must(t, r.put("r", packs...), r.create(from("stable", "r")))
	if found, err := trees(env); err != nil || len(found["stable/main/binary-amd64/Packages"]) != len(packs) {
		t.Errorf("%v, %v", found, err)
	}
	for _, call := range env.Faults.Calls() {
		if name, ok := strings.CutPrefix(call, "Blobs.Copy private/pool/"); ok {
			copied[name]++
		}
	}
	if len(copied) != len(packs) {
		t.Errorf("%d files copied, want %d", len(copied), len(packs))
	}
	for name, n := range copied {
		if n != 1 {
			t.Errorf("%s copied %d times", name, n)
		}
	}
	task, err := r.tasks.Get(t.Context(), 1)
	must(t, err)
	if task.Attempt < 2 || !strings.Contains(string(task.Detail), `"TotalNumberOfPackages":40,"RemainingNumberOfPackages":0`) {
		t.Errorf("%d attempts, detail %s", task.Attempt, task.Detail)
	}
}

// TestChecks has requests refused before they become tasks.
func TestChecks(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", hello), r.create(from("stable", "r")))
	long := strings.Repeat("x", 300)
	with := func(change func(*request)) request {
		args := from("new", "r")
		change(&args)
		return args
	}
	for name, tc := range map[string]struct {
		kind string
		args request
		code int
		want string
	}{
		"no sources":   {"local", at("new"), 400, "unable to publish: sources are empty"},
		"kind":         {"mirror", from("new", "r"), 400, "unknown SourceKind"},
		"prefix":       {"local", with(func(a *request) { a.Prefix = "a/dists/b" }), 500, "unable to publish: invalid prefix a/dists/b"},
		"pages":        {"local", with(func(a *request) { a.Prefix = "-/d" }), 500, "unable to publish: invalid prefix -/d"},
		"long prefix":  {"local", with(func(a *request) { a.Prefix = long }), 500, "unable to publish: invalid prefix " + long[:200]},
		"storage":      {"local", with(func(a *request) { a.Storage = "s3:x" }), 500, "unable to publish: published S3 storage x not configured"},
		"distribution": {"local", with(func(a *request) { a.Distribution = "" }), 500, "unable to publish: unable to guess distribution name, please specify explicitly"},
		"long name":    {"local", with(func(a *request) { a.Distribution = long }), 400, "unable to publish: invalid distribution name " + long},
		"blank":        {"local", with(func(a *request) { a.Sources[0].Component = "a b" }), 500, "unable to publish: invalid component name a b"},
		"architecture": {"local", with(func(a *request) { a.Architectures = []string{"a/b"} }), 500, "unable to publish: invalid architecture a/b"},
		"architectures": {"local", with(func(a *request) { a.Architectures = make([]string, 101) }), 400,
			"unable to publish: 101 architectures, at most 100 can be published"},
		"twice": {"local", with(func(a *request) { a.Sources = append(a.Sources, a.Sources[0]) }), 500,
			"unable to publish: duplicate component name: main"},
	} {
		tc.args.Kind = publish.SourceKind(tc.kind)
		_, err := r.checkCreate(t.Context(), ":.", tc.args)
		refused(t, name, err, tc.code, tc.want)
	}
	_, err := r.checkUpdate(t.Context(), at("none"))
	refused(t, "update", err, 404, "unable to update: published repo with storage:prefix/distribution ./none not found")
	_, err = r.checkDrop(t.Context(), at("none"))
	refused(t, "drop", err, 404, "unable to drop: published repo with storage:prefix/distribution ./none not found")
	_, err = r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: ".", Distribution: "none"})
	if !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("show: %v", err)
	}

	err = r.create(from("stable", "r"))
	if want := "prefix/distribution already used by another published repo: ./stable [amd64] publishes {main: [r]}"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("second creation: %v", err)
	}
	spec, err := r.checkUpdate(t.Context(), at("stable"))
	must(t, err)
	if d := cmp.Diff([]string{"U.>>stable", "Luuid-r", "P."}, spec.Resources); d != "" || spec.Name != "Update published local repository ./stable" {
		t.Errorf("%s %s", spec.Name, d)
	}
}

func refused(t *testing.T, name string, err error, code int, want string) {
	t.Helper()
	var failure *task.Error
	if !errors.As(err, &failure) || failure.Code != code || failure.Error() != want {
		t.Errorf("%s: %v, want %d %s", name, err, code, want)
	}
}

// TestPackagesOfTooManyArchitecturesNeedAList publishes a repository whose packages name more
// architectures than a publication can have. With a list of its own it is published.
func TestPackagesOfTooManyArchitecturesNeedAList(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	var packs []pack
	for i := range 101 {
		packs = append(packs, pack{"hello", "1", fmt.Sprint("arch", i), fmt.Sprint("hello ", i)})
	}
	must(t, r.put("r", packs...))
	err := r.create(from("stable", "r"))
	if want := "the packages have 101 architectures, at most 100 can be published: please supply explicit list"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	args := from("stable", "r")
	args.Architectures = []string{"arch7"}
	must(t, r.create(args))
	has(t, env, map[string]string{"stable/main/binary-arch7/Packages": "hello=1"})
}

// TestView compares a publication as clients see it, key by key.
func TestView(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	origin, args := "O", from("a/b", "r")
	args.Prefix, args.Options.Origin = "./team//x/", &origin
	must(t, r.put("r", hello, source), r.create(args))
	v, err := r.publish.Show(t.Context(), publish.Name{Storage: "", Prefix: "team/x", Distribution: "a/b"})
	must(t, err)
	got, err := json.Marshal(v)
	must(t, err)
	want := `{"AcquireByHash":true,"Architectures":["amd64","source"],"ButAutomaticUpgrades":"","Codename":"","Distribution":"a/b","Label":"",` +
		`"MultiDist":false,"NotAutomatic":"","Origin":"O","Path":"team/x/a/b","Prefix":"team/x","SignedBy":"","SkipContents":false,` +
		`"SourceKind":"local","Sources":[{"Component":"main","Name":"r"}],"Storage":"","Suite":"","Version":""}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
	if all, err := r.publish.List(t.Context()); err != nil || len(all) != 1 || cmp.Diff(v, all[0]) != "" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestSegments(t *testing.T) {
	for segment, want := range map[string][2]string{
		"team_a": {"", "team/a"}, "team__a": {"", "team_a"}, "a___b": {"", "a_/b"}, ".._foo": {"", "foo"}, ":.": {"", "."}, ":": {"", "."}, "": {"", "."},
		".": {"", "."}, "ppa": {"", "ppa"}, "s3:eu:": {"s3:eu", "."}, "s3:eu:.": {"s3:eu", "."}, "s3:eu:debian_prod": {"s3:eu", "debian/prod"},
		"filesystem:www:": {"filesystem:www", "."}, "s3:eu": {"s3", "eu"}, "$a`b": {"", "ab"}, "a_": {"", "a"},
	} {
		if storage, prefix := paths.ParsePrefix(paths.Unescape(segment)); storage != want[0] || prefix != want[1] {
			t.Errorf("%q is %q and %q, want %q", segment, storage, prefix, want)
		}
	}
}

// TestSkipBz2 publishes indexes as .bz2 unless it is told not to.
func TestSkipBz2(t *testing.T) {
	const name = "main/binary-amd64/Packages.bz2"
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	must(t, r.put("r", pack{"alpha", "1", "amd64", "one"}), r.create(from("stable", "r")))
	yes, no := true, false
	for i, tc := range []struct {
		skip *bool
		want bool
	}{{nil, true}, {&yes, false}, {nil, false}, {&no, true}} {
		args := at("stable")
		args.Options.SkipBz2 = tc.skip
		must(t, r.put("r", pack{"alpha", fmt.Sprint(2 + i/2), "amd64", fmt.Sprint(i / 2)}), r.update(args))
		if _, err := trees(env); err != nil {
			t.Error(err)
		}
		objects := env.Memory.Objects("public/dists/stable/")
		if _, ok := objects["public/dists/stable/"+name]; ok != tc.want || strings.Contains(objects["public/dists/stable/Release"], name) != tc.want {
			t.Errorf("update %d: %s is there: %v", i, name, ok)
		}
	}
}

// FuzzSegments decodes segments. A decoded prefix names no place outside, or is
// refused as a key.
func FuzzSegments(f *testing.F) {
	for _, segment := range []string{"", ":.", "team_a", "team__a", "s3:eu:x", ".$.", "..", "_._", "a:_b_:c", "`", "a\x00"} {
		f.Add(segment)
	}
	f.Fuzz(func(t *testing.T, segment string) {
		storage, prefix := paths.ParsePrefix(paths.Unescape(segment))
		if prefix == "" || strings.Contains(prefix, ":") || strings.ContainsAny(storage+prefix, "$`") {
			t.Errorf("%q is %q and %q", segment, storage, prefix)
		}
		key := path.Join("public", prefix, "dists")
		if driver.CheckKey("public/"+prefix) == nil && !strings.HasPrefix(key, "public/") {
			t.Errorf("%q leads to %s", segment, key)
		}
	})
}

// TestUpdateRequests counts the requests of publications that change little.
func TestUpdateRequests(t *testing.T) {
	t.Parallel()
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	var packs []pack
	for i := range 1000 {
		packs = append(packs, pack{fmt.Sprintf("package-%04d", i), "1", "amd64", fmt.Sprint(i)})
	}
	must(t, r.put("r", packs...), r.create(from("stable", "r")))
	for _, tc := range []struct {
		name  string
		more  []pack
		limit int
	}{{"nothing", nil, 50}, {"one package", []pack{{"new", "1", "amd64", "new"}}, 120}} {
		packs = append(packs, tc.more...)
		must(t, r.put("r", packs...))
		before := len(env.Faults.Calls())
		must(t, r.update(at("stable")))
		calls := env.Faults.Calls()[before:]
		t.Logf("%s changed: %d calls", tc.name, len(calls))
		if len(calls) > tc.limit {
			t.Errorf("%s changed: %d calls, limit %d:\n%s", tc.name, len(calls), tc.limit, strings.Join(calls, "\n"))
		}
	}
}

// TestRelock changes the locks that an update needs between its admission and
// its turn.
func TestRelock(t *testing.T) {
	env := drivertest.NewEnv()
	r := newRig(t.Context(), env)
	on, off := true, false
	args := from("stable", "r")
	args.Options.MultiDist = &on
	must(t, r.put("r", hello), r.create(args))
	first, second := at("stable"), at("stable")
	first.Options.MultiDist = &off
	var ids []int64
	for _, args := range []request{first, second} {
		spec, err := r.checkUpdate(t.Context(), args)
		must(t, err)
		admitted, err := r.tasks.Admit(t.Context(), spec, false)
		must(t, err)
		ids = append(ids, admitted.ID)
	}
	must(t, env.Drain(context.Background(), r.dispatcher.Handle), r.ended(ids[0]), r.ended(ids[1]))
	has(t, env, map[string]string{"stable/main/binary-amd64/Packages": "hello=1"})
	last, err := r.tasks.Get(t.Context(), ids[1])
	must(t, err)
	if d := cmp.Diff([]string{"U.>>stable", "Luuid-r", "P."}, last.Resources); d != "" {
		t.Error(d)
	}
}

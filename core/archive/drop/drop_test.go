package drop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/drop"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// box is a process with a published repository r.
type box struct {
	*apptest.Process
	t *testing.T
}

// ready makes a repository that publishes files of the drop box to two publications.
func ready(p *apptest.Process) error {
	return errors.Join(p.Step("POST", "/api/repos", `{"Name":"r"}`), p.Upload("d", map[string][]byte{"aa_1_amd64.deb": apptest.Deb("aa", "1", "amd64")}),
		p.Step("POST", "/api/repos/r/file/d", ""),
		p.Step("POST", "/api/publish/:.", `{"SourceKind":"local","Distribution":"stable","Sources":[{"Name":"r"}]}`),
		p.Step("POST", "/api/publish/:x", `{"SourceKind":"local","Distribution":"other","Sources":[{"Name":"r"}]}`),
		p.Step("PUT", "/api/repos/r/drop", `{"Publish":["./stable","x/other"]}`))
}

func newBox(t *testing.T) *box {
	t.Helper()
	p, err := apptest.Start(t.Context(), drivertest.NewEnv(), apptest.Signer(t))
	if err == nil {
		err = ready(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &box{p, t}
}

// put puts a file into the drop box and tells of it.
func put(p *apptest.Process, name string, data []byte) error {
	if _, err := p.Drivers.Blobs.Put(p.Ctx, drop.Prefix+name, bytes.NewReader(data), driver.PutOptions{}); err != nil {
		return err
	}
	return told(p, name)
}

// told tells of a file and runs the tasks.
func told(p *apptest.Process, name string) error {
	if err := p.Dropped(p.Ctx, drop.Prefix+name, "account", "192.0.2.1"); err != nil {
		return err
	}
	return p.Drain()
}

func (b *box) put(name string, data []byte) {
	b.t.Helper()
	if err := put(b.Process, name, data); err != nil {
		b.t.Fatal(err)
	}
}

// objects returns the names of the objects of the drop box, with the texts of refusals.
func (b *box) objects() string {
	var list []string
	for key, data := range b.Env.Memory.Objects("drop/") {
		if strings.HasSuffix(key, ".error.txt") {
			key += ": " + strings.TrimSpace(data)
		}
		list = append(list, strings.TrimPrefix(key, "drop/"))
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// reminders returns the number of places of the drop box in the calendar.
func (b *box) reminders() (n int) {
	for key := range b.Env.Memory.Rows("calendar") {
		if strings.HasPrefix(key, "calendar/drop/") {
			n++
		}
	}
	return n
}

// has checks the packages of the repository and of both publications, and that no claim
// and no upload is left.
func (b *box) has(names ...string) {
	b.t.Helper()
	if err := has(b.Process, names...); err != nil {
		b.t.Error(err)
	}
	if left := b.Env.Memory.Rows("drop"); len(left) > 0 {
		b.t.Errorf("claims are left: %v", left)
	}
	for key := range b.Env.Memory.Rows("upload") {
		b.t.Errorf("an upload is left: %s", key)
	}
}

func has(p *apptest.Process, names ...string) error {
	data, err := p.Do("GET", "/api/repos/r/packages", "", nil)
	if err != nil {
		return err
	}
	for _, path := range []string{"/dists/stable/main", "/x/dists/other/main"} {
		index, err := p.Do("GET", path+"/binary-amd64/Packages", "", nil)
		if err != nil {
			return err
		}
		sources, _ := p.Do("GET", path+"/source/Sources", "", nil) // there is none without a source package
		all := string(index) + string(sources)
		if n := strings.Count("\n"+all, "\nPackage: "); n != len(names)+1 || strings.Count(string(data), `"P`) != n {
			return fmt.Errorf("%s has %d packages, want %v: repository %s", path, n, names, data)
		}
		for _, name := range names {
			if !strings.Contains(all, "Package: "+name+"\n") {
				return fmt.Errorf("%s is not in %s", name, path)
			}
		}
	}
	return nil
}

// TestPackageIsImportedAndPublished: the drop box is empty then, repeated and foreign
// events change nothing, and a record says how the task came.
func TestPackageIsImportedAndPublished(t *testing.T) {
	b := newBox(t)
	b.put("r/bb_1_amd64.deb", apptest.Deb("bb", "1", "amd64"))
	b.has("bb")
	for _, name := range []string{"r/bb_1_amd64.deb", "r/", "r", "", "none/x.deb"} {
		if err := told(b.Process, name); err != nil {
			t.Error(err)
		}
	}
	if err := b.Dropped(t.Context(), "private/pool/xx", "", ""); err != nil {
		t.Error(err)
	}
	b.has("bb")
	if got := b.objects(); got != "" {
		t.Errorf("left: %s", got)
	}
	if _, err := apptest.VerifyTree(b.Env.Memory.Objects("public/"), "stable"); err != nil {
		t.Error(err)
	}
	b.Env.Clock.Advance(time.Minute)
	data, err := b.Do("GET", "/api/audit?event=task.admitted", "", nil)
	if err != nil || !strings.Contains(string(data), `"Path":"drop/drop/r/bb_1_amd64.deb"`) || !strings.Contains(string(data), `"From":"192.0.2.1"`) {
		t.Errorf("%s, %v", data, err)
	}
}

// upload returns a source package and a package with their .changes.
func upload() map[string][]byte {
	files := debtest.Source(debtest.SourceSpec{})
	spec := debtest.Spec{Version: "1.0-1", Architecture: "amd64"}
	files[debtest.FileName(spec)] = debtest.Deb(spec)
	files["hello_1.0-1_amd64.changes"] = debtest.Changes(debtest.ChangesSpec{Version: "1.0-1", Architecture: "source amd64"}, files)
	return files
}

// TestFilesOfAChangesArriveInAnyOrder: in a folder nothing is imported before the last of
// them, and then all of them together.
func TestFilesOfAChangesArriveInAnyOrder(t *testing.T) {
	files := upload()
	names := slices.Sorted(maps.Keys(files))
	for first := range names {
		b := newBox(t)
		order := slices.Concat(names[first:], names[:first])
		for i, name := range order {
			b.has()
			b.put("r/hello/"+name, files[name])
			if i < len(order)-1 && strings.Count(b.objects(), "\n") != i {
				t.Errorf("%v: after %s there is %s", order, name, b.objects())
			}
		}
		data, err := b.Do("GET", "/api/repos/r/packages", "", nil)
		if err != nil || strings.Count(string(data), `"P`) != 3 || b.objects() != "" {
			t.Errorf("%v: %s, %v; left %s", order, data, err, b.objects())
		}
		if left := b.reminders(); left > 0 {
			t.Errorf("%v: %d reminders are left", order, left)
		}
	}
}

// TestSourcePackageWaitsForItsFiles, without a .changes.
func TestSourcePackageWaitsForItsFiles(t *testing.T) {
	b := newBox(t)
	files := debtest.Source(debtest.SourceSpec{})
	names := slices.Sorted(maps.Keys(files))
	for i, name := range names {
		b.put("r/"+name, files[name])
		data, err := b.Do("GET", "/api/repos/r/packages", "", nil)
		if there := strings.Contains(string(data), "Psource hello"); err != nil || there != (i == len(names)-1) {
			t.Errorf("after %s: %s, %v", name, data, err)
		}
	}
}

// TestBadFilesArePutAside with the reason, and good ones beside them are imported.
func TestBadFilesArePutAside(t *testing.T) {
	b := newBox(t)
	for name, data := range map[string][]byte{"good_1_amd64.deb": apptest.Deb("good", "1", "amd64"), "bad_1_amd64.deb": []byte("no package")} {
		if _, err := b.Drivers.Blobs.Put(t.Context(), drop.Prefix+"r/"+name, bytes.NewReader(data), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := told(b.Process, "r/bad_1_amd64.deb"); err != nil {
		t.Fatal(err)
	}
	b.has("good")
	if got := b.objects(); !strings.HasPrefix(got, "failed/r/bad_1_amd64.deb\nfailed/r/bad_1_amd64.deb.error.txt: Unable to read file") {
		t.Error(got)
	}
	b.put("r/alone_1_amd64.deb", []byte("no package")) // the whole task fails
	b.put("unknown/x_1_amd64.deb", apptest.Deb("x", "1", "amd64"))
	got := b.objects()
	for _, want := range []string{"failed/r/alone_1_amd64.deb\n", "failed/r/alone_1_amd64.deb.error.txt: nothing is imported", "failed/unknown/x_1_amd64.deb\n", "error.txt: local repo with name unknown not found"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	b.has("good")
	files := upload()
	files["hello_1.0-1_amd64.changes"] = bytes.Replace(files["hello_1.0-1_amd64.changes"], []byte("Checksums-Sha256:\n "), []byte("Checksums-Sha256:\n 0"), 1)
	for name, data := range files {
		b.put("r/wrong/"+name, data)
	}
	b.has("good")
}

// TestOldFilesArePutAside: a file whose .changes does not come is refused after a day, by
// the tick.
func TestOldFilesArePutAside(t *testing.T) {
	b := newBox(t)
	b.put("r/folder/bb_1_amd64.deb", apptest.Deb("bb", "1", "amd64"))
	b.put("r/x.orig.tar.gz", []byte("x"))
	for range 2 {
		if got := b.objects(); got != "drop/r/folder/bb_1_amd64.deb\ndrop/r/x.orig.tar.gz" {
			t.Fatal(got)
		}
		if err := errors.Join(b.Tick(t.Context()), b.Drain()); err != nil {
			t.Fatal(err)
		}
	}
	b.Env.Clock.Advance(25 * time.Hour)
	if err := errors.Join(b.Tick(t.Context()), b.Drain()); err != nil {
		t.Fatal(err)
	}
	got := b.objects()
	if !strings.Contains(got, "failed/r/folder/bb_1_amd64.deb.error.txt: no complete .changes or .dsc names it within 24 hours") || !strings.Contains(got, "failed/r/x.orig.tar.gz\n") || strings.Contains(got, "drop/") {
		t.Error(got)
	}
	if left := b.reminders(); left > 0 {
		t.Errorf("%d reminders are left", left)
	}
	b.has()
}

// TestRulesForUploadersAreNotPassed: the drop box does not know the signer.
func TestRulesForUploadersAreNotPassed(t *testing.T) {
	b := newBox(t)
	if err := b.Step("PUT", "/api/repos/r/uploaders", `{"groups":{},"rules":[]}`); err != nil {
		t.Fatal(err)
	}
	b.put("r/hello/hello_1.0-1_amd64.changes", upload()["hello_1.0-1_amd64.changes"])
	if got := b.objects(); !strings.Contains(got, "error.txt: the repository has rules for uploaders") {
		t.Error(got)
	}
}

// TestLargeFilesArePutAside: the limit of uploads holds.
func TestLargeFilesArePutAside(t *testing.T) {
	p, err := apptest.Start(t.Context(), drivertest.NewEnv(), apptest.Signer(t), func(c *app.Config) { c.MaxUpload = 100_000 })
	if err == nil {
		err = ready(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &box{p, t}
	b.put("r/bb_1_amd64.deb", make([]byte, 100_001))
	if got := b.objects(); !strings.Contains(got, "error.txt: 100001 bytes are more than the 100000 that are taken of a file") {
		t.Error(got)
	}
}

// TestNewerFileStays: a file that was put again while its former bytes were imported is
// imported, too.
func TestNewerFileStays(t *testing.T) {
	b := newBox(t)
	key := drop.Prefix + "r/bb_1_amd64.deb"
	write := func(version string) {
		if _, err := b.Drivers.Blobs.Put(t.Context(), key, bytes.NewReader(apptest.Deb("bb", version, "amd64")), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := b.Dropped(t.Context(), key, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	if _, err := b.Env.Memory.Queue.Step(t.Context(), b.Dispatcher.Handle); err != nil { // the take
		t.Fatal(err)
	}
	write("2")
	if err := b.Drain(); err != nil {
		t.Fatal(err)
	}
	data, err := b.Do("GET", "/api/repos/r/packages", "", nil)
	if err != nil || !strings.Contains(string(data), " bb 1 ") || !strings.Contains(string(data), " bb 2 ") || b.objects() != "" {
		t.Errorf("%s, %v; left %s", data, err, b.objects())
	}
}

// TestClaimOfAnEndedTaskHoldsNoFile: a claim that was written after the end of its import
// is removed, and the same file is taken again.
func TestClaimOfAnEndedTaskHoldsNoFile(t *testing.T) {
	b := newBox(t)
	const name = "r/bb_1_amd64.deb"
	b.put(name, apptest.Deb("bb", "1", "amd64"))
	key := drop.Prefix + name
	info, err := b.Drivers.Blobs.Put(t.Context(), key, bytes.NewReader(apptest.Deb("bb", "1", "amd64")), driver.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range []int{1, 1000} { // ended, and forgotten
		claim := driver.Row{Key: driver.Key{Part: "drop", Sort: name}, Data: fmt.Appendf(nil, `{"ETag":%q,"Task":%d}`, info.ETag, task)}
		if err := b.Drivers.Table.Put(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		b.put(name, apptest.Deb("bb", "1", "amd64"))
		b.has("bb")
		if left := b.objects(); left != "" {
			t.Errorf("left: %s", left)
		}
	}
}

// TestDropSurvivesEveryFault breaks each storage call of an import once. The package is
// published in the end, and the drop box is empty.
func TestDropSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	with := func(ctx context.Context, env *drivertest.Env, do func(*apptest.Process) error) error {
		p, err := apptest.Start(ctx, env, signer)
		if err != nil {
			return err
		}
		return do(p)
	}
	send := func(p *apptest.Process) error { return put(p, "r/bb_1_amd64.deb", apptest.Deb("bb", "1", "amd64")) }
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error { return with(ctx, env, ready) },
		Run:   func(ctx context.Context, env *drivertest.Env) error { return with(ctx, env, send) },
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			return with(ctx, env, func(p *apptest.Process) error {
				// EventBridge repeats an event that a function did not take.
				if err := p.Resume(); err != nil {
					return err
				}
				if has(p, "bb") == nil {
					return told(p, "r/bb_1_amd64.deb")
				}
				return send(p)
			})
		},
		Verify: func(env *drivertest.Env, _ error) error {
			return with(context.Background(), env, func(p *apptest.Process) error {
				if left := env.Memory.Objects("drop/"); len(left) > 0 {
					return fmt.Errorf("left: %v", slices.Collect(maps.Keys(left)))
				}
				if left := env.Memory.Rows("drop"); len(left) > 0 {
					return fmt.Errorf("claims are left: %v", left)
				}
				return errors.Join(has(p, "bb"), p.Ended())
			})
		},
	})
}

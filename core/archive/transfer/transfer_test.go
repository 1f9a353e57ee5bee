package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/archive/transfer"
	"aptless/core/archive/transfer/transfertest"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// export makes an export and returns it with its objects.
func export(t *testing.T, p *apptest.Process) (transfer.Export, []transfer.Object) {
	t.Helper()
	var e transfer.Export
	p.Must(t, "POST", "/api/exports", "", &e)
	_, body := p.Ask(t, "GET", "/api/exports/"+e.ID+"/objects/all", "")
	objects, err := transfer.Decode(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return e, objects
}

// TestExportKeepsItsPackages: the repository is dropped and the storage cleaned up. All
// parts of the export stay readable until the export is removed.
func TestExportKeepsItsPackages(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		p.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		e, objects := export(t, p)
		if len(objects) != 1 || objects[0].Repo == nil || !e.Moment {
			t.Fatalf("%+v of %+v", objects, e)
		}
		list := objects[0].Repo.List
		parts := []string{
			fmt.Sprintf("/api/exports/%s/lists/%d-%v", e.ID, list.Epoch, list.Root),
			"/api/exports/" + e.ID + "/files/" + sha256Of(apptest.Deb("aa", "1", "amd64")),
		}
		read := func() (found int) {
			for _, part := range parts {
				if status, body := p.Ask(t, "GET", part, ""); status == 200 && body != "" {
					found++
				}
			}
			return found
		}
		p.Must(t, "DELETE", "/api/repos/r", "", nil)
		p.Must(t, "POST", "/api/db/cleanup", "", nil)
		if got := read(); got != 2 {
			t.Errorf("%d parts are readable after a cleanup", got)
		}
		p.Must(t, "DELETE", "/api/exports/"+e.ID, "", nil)
		p.Must(t, "POST", "/api/db/cleanup", "", nil)
		if got := read(); got != 0 {
			t.Errorf("%d parts are readable after the end of the export", got)
		}
	})
}

// TestWaitingPublicationKeepsItsPackages: it was imported, and the repository is gone
// from its list. The publication can still be made after a cleanup.
func TestWaitingPublicationKeepsItsPackages(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		files, err := transfertest.Files("m", apptest.Deb("aa", "1", "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		p.MustUpload(t, "d", files)
		p.Must(t, "POST", "/api/import/d", "", nil)
		p.Must(t, "DELETE", "/api/files/d", "", nil)
		p.Must(t, "DELETE", "/api/snapshots/m-1?force=1", "", nil)
		p.Must(t, "DELETE", "/api/repos/m/packages", `{"PackageRefs":["`+apptest.DebKey("aa")+`"]}`, nil)
		p.Must(t, "POST", "/api/db/cleanup", "", nil)
		p.Must(t, "POST", "/api/publish/m/local/restore", "", nil)
		if _, index := p.Ask(t, "GET", "/m/dists/local/main/binary-amd64/Packages", ""); !strings.Contains(index, "Package: aa\n") {
			t.Errorf("published: %q", index)
		}
		p.Refused(t, "POST", "/api/publish/m/local/restore", "", 404, "no publication m/local was imported that is not published yet")
	})
}

// TestSkeletonNamesStayInside: a skeleton file stays in the folder of its component. Names
// that lead out of it are refused, and so are components that the publication has not.
func TestSkeletonNamesStayInside(t *testing.T) {
	line := func(component, name string) string {
		return fmt.Sprintf(`{"Publication":{"Prefix":"p","Distribution":"d","Components":{"main":{"UUID":"u","Name":"n"}},"Skeleton":{%q:{%q:%q}}}}`, component, name, strings.Repeat("0", 64))
	}
	if objects, err := transfer.Decode(strings.NewReader(line("main", "i18n/x"))); err != nil || transfer.VersionOf(objects) != 2 {
		t.Errorf("%+v: %v", objects, err)
	}
	for _, name := range [][2]string{{"main", "../x"}, {"main", "a/../../x"}, {"main", "/etc/x"}, {"main", "a//x"}, {"main", "."}, {"main", ""}, {"main", "a/"}, {"main", `a\\x`}, {"main", "a\\u0000"}, {"other", "x"}, {"..", "x"}} {
		if objects, err := transfer.Decode(strings.NewReader(line(name[0], name[1]))); !errors.Is(err, transfer.ErrFormat) {
			t.Errorf("%q: %+v, %v", name, objects, err)
		}
	}
	bad := strings.Replace(line("main", "x"), strings.Repeat("0", 64), "../../../signing-key.asc", 1)
	if _, err := transfer.Decode(strings.NewReader(bad)); !errors.Is(err, transfer.ErrFormat) {
		t.Errorf("a digest that is none: %v", err)
	}
}

// TestExportDuringPublishes: sources and publications change all the time, during 100
// publishes. Every publication of an export has its sources.
func TestExportDuringPublishes(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		p.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		var wait sync.WaitGroup
		var failed error
		wait.Go(func() {
			for n := range 100 {
				name := fmt.Sprint("s", n)
				for _, call := range [][3]string{{"POST", "/api/repos/r/snapshots", `{"Name":"` + name + `"}`},
					{"POST", "/api/publish/p", `{"SourceKind":"snapshot","Distribution":"` + name + `","Sources":[{"Name":"` + name + `"}]}`},
					{"DELETE", "/api/publish/p/" + name, ""}, {"DELETE", "/api/snapshots/" + name, ""}} {
					_, err := p.Do(call[0], call[1], "application/json", []byte(call[2]))
					failed = errors.Join(failed, err)
				}
			}
		})
		for range 10 {
			e, objects := export(t, p)
			there := map[string]bool{}
			for _, o := range objects {
				if o.Snapshot != nil {
					there[o.Snapshot.UUID] = true
				}
			}
			for _, o := range objects {
				if o.Publication != nil && !there[o.Publication.Components["main"].UUID] {
					t.Errorf("publication %s of export %s has no source", o.Name(), e.ID)
				}
			}
		}
		wait.Wait()
		if failed != nil {
			t.Error(failed)
		}
	})
}

// TestOldExportsGo: a client ended without removing its export. A later export does.
func TestOldExportsGo(t *testing.T) {
	var later atomic.Int64
	m := drivertest.NewMemory(time.Now)
	p := apptest.New(t, apptest.On(m), func(c *app.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 1) })
	old, _ := export(t, p)
	path := "/api/exports/" + old.ID + "/objects/all"
	p.Want(t, "GET", path, "", 200, "")
	later.Store(int64(80 * time.Hour))
	export(t, p)
	p.Refused(t, "GET", path, "", 404, "no such part of export "+old.ID)
	if left := m.Objects("private/exports/"); len(left) != 1 {
		t.Errorf("%d objects of exports are left", len(left))
	}
}

// TestLateObjectsOfAnExportGo has an attempt that was overtaken put its objects late. The
// export stays that of the attempt which wrote the row. A collection removes the others
// when they are a day old, also those of an export that was removed.
func TestLateObjectsOfAnExportGo(t *testing.T) {
	var later atomic.Int64
	m := drivertest.NewMemory(time.Now)
	p := apptest.New(t, apptest.On(m), func(c *app.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 1) })
	p.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
	e, _ := export(t, p)
	dropped, _ := export(t, p)
	p.Want(t, "DELETE", "/api/exports/"+dropped.ID, "", 200, "")
	keep := "private/exports/" + e.ID + "-1"
	for _, key := range []string{"private/exports/" + e.ID + "-7", "private/exports/" + dropped.ID + "-1"} {
		if _, err := m.Blobs.Put(t.Context(), key, strings.NewReader("of another moment"), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{time.Hour, 3}, {25 * time.Hour, 1}} {
		later.Store(int64(c.after))
		p.Want(t, "POST", "/api/db/cleanup", "", 200, "")
		if left := m.Objects("private/exports/"); len(left) != c.want || left[keep] == "" {
			t.Errorf("after %v, %d objects of exports are left", c.after, len(left))
		}
	}
	_, body := p.Ask(t, "GET", "/api/exports/"+e.ID+"/objects/all", "")
	if sha256Of([]byte(body)) != e.SHA256 {
		t.Errorf("the export is %q", body)
	}
}

// beside calls a function before the first copy to a key.
type beside struct {
	driver.Blobs
	key  string
	once sync.Once
	do   func()
}

func (b *beside) Copy(ctx context.Context, key, from string, opt driver.PutOptions) (driver.Info, error) {
	if key == b.key {
		b.once.Do(b.do)
	}
	return b.Blobs.Copy(ctx, key, from, opt)
}

// TestImportKeepsWhatChangesMeanwhile has a client edit a repository while an import of a
// later state puts its packages into the pool. The import was planned before the edit. It
// leaves the repository alone, unless it overwrites, and its report says so.
func TestImportKeepsWhatChangesMeanwhile(t *testing.T) {
	for query, want := range map[string]string{"": "kept", "?overwrite=1": "updated"} {
		m := drivertest.NewMemory(time.Now)
		drivers := apptest.On(m)
		fresh := apptest.Deb("bb", "1", "amd64")
		hook := &beside{Blobs: m.Blobs, key: "private/pool/" + sha256Of(fresh)[:2] + "/" + sha256Of(fresh)}
		drivers.Blobs = hook
		p := apptest.New(t, drivers)
		p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 8) })
		for i, debs := range [][][]byte{{apptest.Deb("aa", "1", "amd64")}, {apptest.Deb("aa", "1", "amd64"), fresh}} {
			files, err := transfertest.Files("m", debs...)
			if err != nil {
				t.Fatal(err)
			}
			p.MustUpload(t, fmt.Sprint("in", i), files)
		}
		edits := 0
		hook.do = func() {
			edits++
			p.Want(t, "PUT", "/api/repos/m", `{"Comment":"edited"}`, 200, "")
		}
		p.Must(t, "POST", "/api/import/in0", "", nil)
		var report transfer.Report
		p.Must(t, "POST", "/api/import/in1"+query, "", &report)
		var r struct{ Comment string }
		p.Must(t, "GET", "/api/repos/m", "", &r)
		if got := report.Objects[transfer.OfRepo]; edits != 1 || len(got) != 1 || got[want] != 1 || (r.Comment == "edited") != (want == "kept") || len(report.Kept) != got["kept"] {
			t.Errorf("after %d edits, %q leaves the comment %q, and reports %+v", edits, query, r.Comment, report)
		}
	}
}

// TestObjectsOfOtherFormsAreRefused, in the manifest too.
func TestObjectsOfOtherFormsAreRefused(t *testing.T) {
	for _, text := range []string{"{}", `{"Repo":{"Name":"r"}}`, `{"Repo":{"Name":"r","UUID":"1"},"Snapshot":{"Name":"s","UUID":"2"}}`, "no JSON",
		`{"Repo":{"Name":"r","UUID":"1"}}` + "\n" + `{"Repo":{"Name":"q","UUID":"1"}}`, `{"Snapshot":{"Name":"s","UUID":"2","AppStreamFiles":{"a":"../x"}}}`} {
		if _, err := transfer.Decode(strings.NewReader(text)); !errors.Is(err, transfer.ErrFormat) {
			t.Errorf("%s: %v", text, err)
		}
	}
	m := transfer.Manifest{Format: transfer.Format, Version: transfer.Version, Objects: strings.Repeat("0", 64)}
	for _, change := range []func(*transfer.Manifest){func(m *transfer.Manifest) { m.Version = transfer.Version + 1 }, func(m *transfer.Manifest) { m.Version = 0 },
		func(m *transfer.Manifest) { m.Format = "tar" }, func(m *transfer.Manifest) { m.Objects = "" }} {
		wrong := m
		change(&wrong)
		data, err := json.Marshal(wrong)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transfer.ParseManifest(data); !errors.Is(err, transfer.ErrFormat) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// TestImportOverAMirrorRemovesItsSecrets: a mirror has credentials, and a transfer has an
// earlier state of it. After the import, and after a drop, no secret is stored.
func TestImportOverAMirrorRemovesItsSecrets(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		p.Archive(t)
		var made struct{ UUID string }
		p.Must(t, "POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"https://archive.example.org/debian/","Distribution":"stable","IgnoreSignatures":true,"Credentials":{"User":"u","Password":"p"}}`, &made)
		var e transfer.Export
		p.Must(t, "POST", "/api/exports", "", &e)
		_, objects := p.Ask(t, "GET", "/api/exports/"+e.ID+"/objects/all", "")
		p.Must(t, "POST", "/api/mirrors/m", `{"Name":"m","Filter":"aa"}`, nil)
		p.MustUpload(t, "in", map[string][]byte{transfer.ObjectsName: []byte(objects)})
		p.Must(t, "POST", "/api/import/in?overwrite=1", "", nil)
		if row, err := p.Drivers.Table.Get(t.Context(), driver.Key{Part: "mirror-secret", Sort: made.UUID}); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("secrets are stored: %s, %v", row.Data, err)
		}
		p.Must(t, "POST", "/api/mirrors/m", `{"Name":"m","Credentials":{"User":"u","Password":"again"}}`, nil)
		p.Must(t, "DELETE", "/api/mirrors/m", "", nil)
		if row, err := p.Drivers.Table.Get(t.Context(), driver.Key{Part: "mirror-secret", Sort: made.UUID}); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("secrets of a dropped mirror are stored: %s, %v", row.Data, err)
		}
	})
}

// TestImportedSnapshotRefersToASourceThatIsNotHere: a snapshot is imported without its
// repository. When another import brings the repository, it is not dropped without force.
func TestImportedSnapshotRefersToASourceThatIsNotHere(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		files, err := transfertest.Files("m", apptest.Deb("aa", "1", "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(files[transfer.ObjectsName], []byte("\n")) // the repository, its snapshot, publications
		for n, object := range [][]byte{lines[1], lines[0]} {
			files[transfer.ObjectsName] = object
			dir := fmt.Sprint("d", n)
			p.MustUpload(t, dir, files)
			p.Must(t, "POST", "/api/import/"+dir, "", nil)
		}
		if status, answer := p.Ask(t, "DELETE", "/api/repos/m", ""); status < 400 {
			t.Errorf("a repository with a snapshot is dropped: %d %s", status, answer)
		}
	})
}

// TestRestoreWithSourcesOfAnotherKindLeavesNoReference: a publication of a repository is
// replaced by one of a snapshot. Then nothing refers to the repository but the snapshot.
func TestRestoreWithSourcesOfAnotherKindLeavesNoReference(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		files, err := transfertest.Files("m", apptest.Deb("aa", "1", "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		p.MustUpload(t, "d", files)
		p.Must(t, "POST", "/api/import/d", "", nil)
		p.Must(t, "POST", "/api/publish/m/local/restore", "", nil)
		lines := bytes.SplitAfter(files[transfer.ObjectsName], []byte("\n"))
		lines = slices.DeleteFunc(lines, func(line []byte) bool { return bytes.Contains(line, []byte(`"local"`)) })
		files[transfer.ObjectsName] = bytes.ReplaceAll(bytes.Join(lines, nil), []byte(`"frozen"`), []byte(`"local"`))
		p.MustUpload(t, "e", files)
		p.Must(t, "POST", "/api/import/e?overwrite=1", "", nil)
		p.Must(t, "POST", "/api/publish/m/local/restore", "", nil)
		p.Must(t, "DELETE", "/api/publish/m/local", "", nil)
		p.Must(t, "DELETE", "/api/snapshots/m-1", "", nil)
		p.Must(t, "DELETE", "/api/repos/m", "", nil)
	})
}

// TestRestoreWithOtherArchitectures: an import changes the architectures of a publication,
// and its lists stay. The files of packages come and go with their architecture.
func TestRestoreWithOtherArchitectures(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		files, err := transfertest.Files("m", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "arm64"), apptest.Deb("cc", "1", "all"))
		if err != nil {
			t.Fatal(err)
		}
		all := files[transfer.ObjectsName]
		below := func(prefix, end string) (names []string) {
			t.Helper()
			for info, err := range p.Drivers.Blobs.List(t.Context(), "public/m/"+prefix, "") {
				if err != nil {
					t.Fatal(err)
				}
				if name, ok := strings.CutSuffix(info.Key, end); ok {
					names = append(names, strings.TrimPrefix(path.Base(name), "binary-"))
				}
			}
			return names
		}
		for n, archs := range []string{"amd64", "amd64 arm64", "arm64", "amd64"} {
			dir := fmt.Sprint("in", n)
			list := `"Architectures":["` + strings.ReplaceAll(archs, " ", `","`) + `"]`
			files[transfer.ObjectsName] = bytes.ReplaceAll(all, []byte(`"Architectures":["amd64"]`), []byte(list))
			p.MustUpload(t, dir, files)
			p.Must(t, "POST", "/api/import/"+dir+"?overwrite=1", "", nil)
			p.Must(t, "POST", "/api/publish/m/local/restore", "", nil)
			if got := strings.Join(below("dists/local/main/", "/Packages"), " "); got != archs {
				t.Errorf("the indexes are of %s, want %s", got, archs)
			}
			want := strings.NewReplacer("amd64", "aa_1_amd64", "arm64", "bb_1_arm64").Replace(archs) + " cc_1_all"
			if got := strings.Join(below("pool/", ".deb"), " "); got != want {
				t.Errorf("%s: the pool has %s, want %s", archs, got, want)
			}
		}
		p.Must(t, "DELETE", "/api/publish/m/local", "", nil)
		if left := below("", ""); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/fsck"
	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// patient is a storage to be damaged.
type patient struct {
	*apptest.Process
	t     *testing.T
	repo  row    // of the repository r
	list  string // key of the only chunk of its list
	root  string // key of the root
	file  string // key in the pool of a file of r
	stale string // key of the pool of a published package file
}

// row is the part of the row of a repository that damages need.
type row struct {
	UUID string
	List lists.Ref
}

// newPatient makes a sound storage: a repository, a snapshot and a publication of each.
func newPatient(t *testing.T, s *apptest.Process) *patient {
	p := &patient{Process: s, t: t}
	s.Stock(t, "r", []debtest.SourceSpec{{Source: "hello", Version: "1-1"}}, debtest.Spec{Package: "aa", Version: "1", Architecture: "amd64"}, debtest.Spec{Package: "bb", Version: "1"})
	s.Fill(t, "q", apptest.Deb("cc", "1", "amd64"))
	s.Must(t, "POST", "/api/repos/q/snapshots", `{"Name":"s"}`, nil)
	s.Must(t, "POST", "/api/publish", apptest.PublishBody, nil)
	s.Must(t, "POST", "/api/publish/x", `{"SourceKind":"snapshot","Distribution":"snap","Sources":[{"Name":"s"}],"ValidFor":"7d"}`, nil)
	name, err := s.Drivers.Table.Get(s.Ctx, driver.Key{Part: "repo-name", Sort: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(p.row("repo", string(name.Data)).Data, &p.repo); err != nil {
		t.Fatal(err)
	}
	store := &lists.Store{Blobs: s.Drivers.Blobs, Epoch: func() int64 { return 0 }}
	list, err := store.Open(s.Ctx, p.repo.List)
	if err != nil || len(list.Chunks()) != 1 {
		t.Fatal(err)
	}
	c := list.Chunks()[0]
	p.list, p.root = lists.ObjectKey(c.Epoch, c.Digest), lists.ObjectKey(p.repo.List.Epoch, p.repo.List.Root)
	var contents struct {
		Files []struct{ Name, SHA256 string }
	}
	for _, key := range s.Keys(t, "/api/repos/r") {
		if strings.Contains(key, " aa ") {
			s.Must(t, "GET", "/api/packages/"+strings.ReplaceAll(key, " ", "%20")+"/files", "", &contents)
		}
	}
	p.file = pool.FileKey(contents.Files[0].SHA256)
	p.stale = "public/pool/main/a/aa/" + contents.Files[0].Name
	return p
}

func (p *patient) row(part, sort string) driver.Row {
	p.t.Helper()
	row, err := p.Drivers.Table.Get(p.Ctx, driver.Key{Part: part, Sort: sort})
	if err != nil {
		p.t.Fatalf("%s/%s: %v", part, sort, err)
	}
	return row
}

func (p *patient) write(op driver.Op) {
	p.t.Helper()
	if row, err := p.Drivers.Table.Get(p.Ctx, op.Key); err == nil {
		op.If = row.Version
	}
	if _, err := p.Drivers.Table.Write(p.Ctx, op); err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) putRow(part, sort, data string) string {
	p.t.Helper()
	p.write(driver.Op{Do: driver.OpPut, Key: driver.Key{Part: part, Sort: sort}, Data: []byte(data)})
	return part + "/" + sort
}

func (p *patient) dropRow(part, sort string) string {
	p.t.Helper()
	p.write(driver.Op{Do: driver.OpDelete, Key: driver.Key{Part: part, Sort: sort}})
	return part + "/" + sort
}

func (p *patient) put(key string, data []byte) string {
	p.t.Helper()
	if _, err := p.Drivers.Blobs.Put(p.Ctx, key, bytes.NewReader(data), driver.PutOptions{Size: int64(len(data))}); err != nil {
		p.t.Fatal(err)
	}
	return key
}

func (p *patient) drop(key string) string {
	p.t.Helper()
	if err := p.Drivers.Blobs.Delete(p.Ctx, key); err != nil {
		p.t.Fatal(err)
	}
	return key
}

func (p *patient) read(key string) []byte {
	p.t.Helper()
	r, _, err := p.Drivers.Blobs.Open(p.Ctx, key, nil)
	if err != nil {
		p.t.Fatalf("%s: %v", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

// flip changes one byte of an object.
func (p *patient) flip(key string) string {
	p.t.Helper()
	data := p.read(key)
	data[len(data)/2] ^= 1
	return p.put(key, data)
}

// first returns the first object below a prefix that has a text in its key.
func (p *patient) first(prefix, part string) string {
	p.t.Helper()
	for info, err := range p.Drivers.Blobs.List(p.Ctx, prefix, "") {
		if err != nil {
			p.t.Fatal(err)
		}
		if strings.Contains(info.Key, part) {
			return info.Key
		}
	}
	p.t.Fatalf("no object below %s with %s", prefix, part)
	return ""
}

// firstRow returns the first row of a partition that has a text in its name.
func (p *patient) firstRow(part, text string) driver.Row {
	p.t.Helper()
	for row, err := range p.Drivers.Table.Scan(p.Ctx, part, "") {
		if err != nil {
			p.t.Fatal(err)
		}
		if strings.Contains(row.Sort, text) {
			return row
		}
	}
	p.t.Fatalf("no row of %s with %s", part, text)
	return driver.Row{}
}

// recordOf returns the row of the record of a package.
func (p *patient) recordOf(name string) driver.Row {
	p.t.Helper()
	for n := range 16 {
		for row, err := range p.Drivers.Table.Scan(p.Ctx, fmt.Sprintf("package-%x", n), "") {
			if err == nil && strings.Contains(row.Sort, " "+name+" ") {
				return row
			}
		}
	}
	p.t.Fatalf("no record of %s", name)
	return driver.Row{}
}

// damage is a fault, made on purpose. do returns the object that the check has to name.
type damage struct {
	name   string
	kind   fsck.Kind
	mended bool // the check repairs it
	also   []fsck.Kind
	do     func(p *patient) string
}

func damages() []damage {
	return append(append(storeDamages(), rowDamages()...), treeDamages()...)
}

// storeDamages are those of the pool and of lists.
func storeDamages() []damage {
	return []damage{
		{name: "missing file", kind: fsck.MissingFile, do: func(p *patient) string { return p.drop(p.file) }},
		{name: "file with a flipped byte", kind: fsck.OtherFile, do: func(p *patient) string { return p.flip(p.file) }},
		{name: "truncated file", kind: fsck.ResizedFile, do: func(p *patient) string { return p.put(p.file, p.read(p.file)[:100]) }},
		{name: "foreign object", kind: fsck.ForeignObject, do: func(p *patient) string { return p.put("private/pool/notes.txt", []byte("x")) }},
		{name: "missing record", kind: fsck.MissingRecord, do: func(p *patient) string {
			row := p.recordOf("aa")
			p.dropRow(row.Part, row.Sort)
			return row.Sort
		}},
		{name: "damaged record", kind: fsck.DamagedRecord, do: func(p *patient) string {
			row := p.recordOf("aa")
			p.putRow(row.Part, row.Sort, string(row.Data[:len(row.Data)/2]))
			return row.Sort
		}},
		{name: "missing list root", kind: fsck.DamagedList, do: func(p *patient) string { return p.drop(p.root) }},
		{name: "missing list chunk", kind: fsck.DamagedList, do: func(p *patient) string { return p.drop(p.list) }},
		{name: "truncated list chunk", kind: fsck.DamagedList, do: func(p *patient) string {
			data := p.read(p.list)
			return p.put(p.list, data[:len(data)/2])
		}},
		{name: "list chunk with a flipped byte", kind: fsck.DamagedList, do: func(p *patient) string { return p.flip(p.list) }},
	}
}

// rowDamages are those of rows.
func rowDamages() []damage {
	return []damage{
		{name: "row of unknown form", kind: fsck.DamagedRow, also: []fsck.Kind{fsck.StrayName}, do: func(p *patient) string {
			name := p.row("repo-name", "q")
			return p.putRow("repo", string(name.Data), "\x00garbage")
		}},
		{name: "missing row of a name", kind: fsck.MissingName, mended: true, do: func(p *patient) string { return p.dropRow("repo-name", "r") }},
		{name: "name of nothing", kind: fsck.StrayName, do: func(p *patient) string {
			return p.putRow("snapshot-name", "ghost", "00000000-0000-4000-8000-000000000000")
		}},
		{name: "missing reference of a publication", kind: fsck.MissingReference, mended: true, do: func(p *patient) string {
			return p.dropRow("ref/repo/"+p.repo.UUID, "publish/:./stable")
		}},
		{name: "missing reference of a snapshot", kind: fsck.MissingReference, mended: true, do: func(p *patient) string {
			part := "ref/repo/" + string(p.row("repo-name", "q").Data)
			return p.dropRow(part, p.firstRow(part, "snapshot/").Sort)
		}},
		{name: "reference of nothing", kind: fsck.StrayReference, do: func(p *patient) string {
			return p.putRow("ref/repo/"+p.repo.UUID, "publish/:./gone", "{}")
		}},
		{name: "source of a publication is gone", kind: fsck.MissingSource, also: []fsck.Kind{fsck.StrayName, fsck.StrayReference}, do: func(p *patient) string {
			return p.dropRow("snapshot", string(p.row("snapshot-name", "s").Data))
		}},
		{name: "calendar entry of unknown kind", kind: fsck.UnknownEntry, do: func(p *patient) string {
			return p.putRow("calendar", "zz", `{"Kind":"zz.future","Due":"2999-01-01T00:00:00Z"}`)
		}},
		{name: "calendar entry of unknown form", kind: fsck.DamagedRow, do: func(p *patient) string { return p.putRow("calendar", "zz", "[") }},
		{name: "stale lease", kind: fsck.StaleLease, do: func(p *patient) string {
			data, _ := json.Marshal(task.Task{ID: 1 << 40, Kind: "repo.edit", Name: "Edit", State: task.Running, Owner: "gone", Lease: time.Now().Add(-time.Hour)})
			key := task.Key(1 << 40)
			return p.putRow(key.Part, key.Sort, string(data))
		}},
		{name: "task of unknown form", kind: fsck.DamagedRow, do: func(p *patient) string {
			key := task.Key(1 << 40)
			return p.putRow(key.Part, key.Sort, `{"ID":7}`)
		}},
		{name: "staging that is left", kind: fsck.LeftStaging, do: func(p *patient) string {
			return p.putRow("staging", ":./stable", `{"Prefix":".","Distribution":"stable","Task":99999,"Folders":[]}`)
		}},
		{name: "upload without its object", kind: fsck.MissingUpload, do: func(p *patient) string {
			p.MustUpload(p.t, "d", map[string][]byte{"x.deb": apptest.Deb("xx", "1", "amd64")})
			var u struct{ Blob string }
			if err := json.Unmarshal(p.firstRow("upload", "d//x").Data, &u); err != nil {
				p.t.Fatal(err)
			}
			return p.drop(u.Blob)
		}},
	}
}

// treeDamages are those of public trees.
func treeDamages() []damage {
	return []damage{
		{name: "missing manifest", kind: fsck.MissingManifest, do: func(p *patient) string {
			var row struct{ Manifest string }
			if err := json.Unmarshal(p.row("publish", ":./stable").Data, &row); err != nil {
				p.t.Fatal(err)
			}
			return p.drop(row.Manifest)
		}},
		{name: "missing index", kind: fsck.MissingPublished, mended: true, do: func(p *patient) string { return p.drop("public/dists/stable/main/binary-amd64/Packages.gz") }},
		{name: "missing file by hash", kind: fsck.MissingPublished, mended: true, do: func(p *patient) string {
			return p.drop(p.first("public/dists/stable/main/binary-amd64/", "by-hash/SHA256"))
		}},
		{name: "index with a flipped byte", kind: fsck.OtherPublished, mended: true, do: func(p *patient) string { return p.flip("public/dists/stable/main/binary-amd64/Packages") }},
		{name: "truncated index", kind: fsck.ResizedPublished, mended: true, do: func(p *patient) string {
			return p.put("public/dists/stable/main/binary-amd64/Packages", []byte("x"))
		}},
		{name: "Release that differs from InRelease", kind: fsck.OtherPublished, mended: true, do: func(p *patient) string { return p.flip("public/dists/stable/Release") }},
		{name: "missing InRelease", kind: fsck.MissingPublished, mended: true, do: func(p *patient) string { return p.drop("public/dists/stable/InRelease") }},
		{name: "extra file in the tree", kind: fsck.ExtraPublished, do: func(p *patient) string {
			return p.put("public/dists/stable/main/binary-amd64/Packages.old", []byte("x"))
		}},
		{name: "extra file in the public pool", kind: fsck.ExtraPublished, do: func(p *patient) string { return p.put("public/pool/main/z/zz/zz_1_all.deb", []byte("x")) }},
		{name: "missing published package", kind: fsck.MissingPublished, mended: true, do: func(p *patient) string { return p.drop(p.stale) }},
		{name: "published package with a flipped byte", kind: fsck.OtherPublished, do: func(p *patient) string { return p.flip(p.stale) }},
	}
}

// checked runs a check.
func (p *patient) checked(query string) fsck.Report {
	p.t.Helper()
	var report fsck.Report
	p.Must(p.t, "POST", "/api/db/check"+query, "", &report)
	return report
}

// TestCheckNamesEachDamage: each damage is named exactly, with its kind and its object. A
// repair mends the damages that follow from the rest, and deletes nothing.
func TestCheckNamesEachDamage(t *testing.T) {
	if n := len(damages()); n < 30 {
		t.Fatalf("%d damages", n)
	}
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
				p := newPatient(t, s)
				if r := p.checked("?deep=1"); !r.Sound || len(r.Findings) > 0 {
					t.Fatalf("a sound storage: %+v", r.Findings)
				}
				object := d.do(p)
				p.exactly(d, object, p.checked("?deep=1"))
				mended := p.checked("?deep=1&repair=1")
				p.exactly(d, object, mended)
				after := p.checked("?deep=1")
				if mended.Sound != d.mended || after.Sound != d.mended {
					t.Errorf("repaired: %+v, then %+v", mended.Findings, after.Findings)
				}
			})
		})
	}
}

// exactly holds that a report has the finding of a damage, and none but its consequences.
func (p *patient) exactly(d damage, object string, r fsck.Report) {
	p.t.Helper()
	named := 0
	for _, f := range r.Findings {
		switch {
		case f.Kind == d.kind && f.Object == object:
			named++
		case slices.Contains(d.also, f.Kind):
		default:
			p.t.Errorf("besides %s: %+v", object, f)
		}
	}
	if named != 1 {
		p.t.Errorf("%s of %s is found %d times: %+v", d.kind, object, named, r.Findings)
	}
}

// TestCheckKnowsTheCalendar: a server has ticked, and so made the entries of its calendar.
// Mirrors, publications that expire, collections and the drop box have such, too.
func TestCheckKnowsTheCalendar(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		p := newPatient(t, s)
		if err := s.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if entry := p.row("calendar", "tasks/retention"); len(entry.Data) == 0 {
			t.Error("the tick has made no entry")
		}
		for _, kind := range []string{"mirror.update", "publish.expiry", "drop", "cleanup.schedule"} {
			p.putRow("calendar", "zz/"+kind, fmt.Sprintf(`{"Kind":%q,"Due":"2999-01-01T00:00:00Z"}`, kind))
		}
		if r := p.checked("?deep=1"); !r.Sound || len(r.Findings) > 0 {
			t.Errorf("a sound storage: %+v", r.Findings)
		}
	})
}

// TestCheckCountsStorageByObject: a file of two objects is the own file of none.
func TestCheckCountsStorageByObject(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Want(t, "GET", "/api/storage?by=object", "", 404, "")
		p := newPatient(t, s)
		s.Must(t, "DELETE", "/api/publish/:./stable", "", nil)
		s.Fill(t, "gone", apptest.Deb("dd", "1", "amd64"))
		s.Must(t, "DELETE", "/api/repos/gone", "", nil)
		report := p.checked("")
		if u := report.Unreferenced; u.Records != 1 || u.Files != 1 || u.Bytes != int64(len(apptest.Deb("dd", "1", "amd64"))) || !report.Sound {
			t.Errorf("unreferenced: %+v, findings %+v", u, report.Findings)
		}
		var usage fsck.Usage
		s.Must(t, "GET", "/api/storage?by=object", "", &usage)
		size := int64(len(apptest.Deb("cc", "1", "amd64")))
		got := map[string]fsck.Object{}
		for _, o := range usage.Objects {
			got[o.Kind+" "+o.Name] = o
		}
		if r := got["repo r"]; r.Packages != 3 || r.Own != r.Bytes || r.Bytes == 0 || usage.Bytes != r.Bytes+size {
			t.Errorf("r: %+v of %d bytes", r, usage.Bytes)
		}
		for _, name := range []string{"repo q", "snapshot s", "publish x/snap"} {
			if o := got[name]; o.Packages != 1 || o.Bytes != size || o.Own != 0 {
				t.Errorf("%s: %+v", name, o)
			}
		}
		s.Want(t, "GET", "/api/storage?by=x", "", 400, "")
	})
}

// TestCheckKnowsMirrors: a mirror with components is sound, its lists are checked, and it
// has its bytes. A snapshot of it has the same files.
func TestCheckKnowsMirrors(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Must(t, "PUT", "/api/mirrors/m", "{}", nil)
		s.Must(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, nil)
		number := len(s.Keys(t, "/api/mirrors/m"))
		report := (&patient{Process: s, t: t}).checked("?deep=1")
		if !report.Sound || len(report.Findings) != 0 || report.Checked.Chunks == 0 || number == 0 {
			t.Errorf("%d packages: %+v", number, report)
		}
		var usage fsck.Usage
		s.Must(t, "GET", "/api/storage?by=object", "", &usage)
		got := map[string]fsck.Object{}
		for _, o := range usage.Objects {
			got[o.Kind+" "+o.Name] = o
		}
		for _, name := range []string{"mirror m", "snapshot s"} {
			if o := got[name]; o.Packages != number || o.Bytes == 0 || o.Own != 0 {
				t.Errorf("%s: %+v of %d packages", name, o, number)
			}
		}
	})
}

package repo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/archive/pool"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
	"aptless/core/front/app/apptest"
)

// rowsOf counts the scanned rows of a partition.
type rowsOf struct {
	driver.Table
	part string
	n    int
}

func (c *rowsOf) Scan(ctx context.Context, part, after string) iter.Seq2[driver.Row, error] {
	return func(yield func(driver.Row, error) bool) {
		for row, err := range c.Table.Scan(ctx, part, after) {
			if part == c.part {
				c.n++
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// sliced runs a task whose slices end at the first look at the clock. It returns
// the number of deliveries, and the calls of the longest one.
func sliced(t *testing.T, p *apptest.Process, env *drivertest.Env) (deliveries, most int) {
	t.Helper()
	p.Dispatcher.Slice = time.Second
	p.Dispatcher.Store.Now = func() time.Time {
		env.Clock.Advance(time.Second)
		return env.Clock.Now()
	}
	return env.DrainCounting(t, p.Dispatcher.Handle)
}

// TestImportOfManyDirectoriesGoesOnInSlices has directories whose file names are
// not in ascending order overall. Each slice continues at the right place, and no
// file is left out. The removal of the uploads is sliced, too.
func TestImportOfManyDirectoriesGoesOnInSlices(t *testing.T) {
	env := drivertest.NewEnv()
	rows := &rowsOf{Table: env.Table, part: "upload"}
	env.Table = rows
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	const each = 200
	if err := p.Step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"d%2Fb", "d%2Fa", "d"} {
		files := map[string][]byte{"README": []byte("text"), "x.buildinfo": []byte("text")}
		for i := range each {
			name := fmt.Sprintf("%c%c%03d", 'z'-dir[len(dir)-1]+'a', dir[len(dir)-1], i) // the last directory has the first names
			files[name+"_1_all.deb"] = apptest.Deb(name, "1", "all")
		}
		if err := p.Upload(dir, files); err != nil {
			t.Fatal(err)
		}
	}
	rows.n = 0
	id := begin(t, p, "/api/repos/r/file/d")
	deliveries, most := sliced(t, p, env)
	got, report := outcome(t, p, id)
	if got.State != task.Succeeded || len(report.Report.Added) != 3*each || len(report.FailedFiles) > 0 {
		t.Errorf("state %d %s: %d packages were added, failed %v", got.State, got.Error, len(report.Report.Added), report.FailedFiles)
	}
	if len(report.Report.Warnings) != 3 {
		t.Errorf("warnings %q, want one for each README", report.Report.Warnings)
	}
	if want := 3 * each / 50; deliveries < 2*want || most > 400 {
		t.Errorf("%d deliveries, %d calls in the longest one: want one for each of %d batches, and again for their removal", deliveries, most, want)
	}
	// Two slices read the first row of a batch.
	if files := 3 * (each + 2); rows.n > files+deliveries+20 {
		t.Errorf("%d rows were read for %d files in %d slices", rows.n, files, deliveries)
	}
	var keys []string
	if data, err := p.Do("GET", "/api/repos/r/packages", "", nil); err != nil || json.Unmarshal(data, &keys) != nil || len(keys) != 3*each {
		t.Errorf("%d packages, %v", len(keys), err)
	}
	owesNothing(t, env)
	if data, err := p.Do("GET", "/api/files/d", "", nil); err != nil || strings.Contains(string(data), ".deb") || strings.Count(string(data), "README") != 3 {
		t.Errorf("files %s, %v", data, err)
	}
}

// changesOf returns an upload of one package with its .changes.
func changesOf(name string) map[string][]byte {
	data := apptest.Deb(name, "1", "all")
	sum := deb.NewHasher()
	sum.Write(data)
	f := sum.File(name + "_1_all.deb")
	return map[string][]byte{f.Name: data, name + "_1.changes": fmt.Appendf(nil, "Format: 1.8\nSource: %s\nBinary: %s\nArchitecture: all\nVersion: 1\nDistribution: sid\nFiles:\n %s %d misc optional %s\nChecksums-Sha1:\n %s %d %s\nChecksums-Sha256:\n %s %d %s\n",
		name, name, f.MD5, f.Size, f.Name, f.SHA1, f.Size, f.Name, f.SHA256, f.Size, f.Name)}
}

// TestInclusionOfManyDirectoriesGoesOnInSlices leaves no .changes out, for any
// order of directories and names.
func TestInclusionOfManyDirectoriesGoesOnInSlices(t *testing.T) {
	p, env := many(t, 0)
	var dirs []string
	for i := range 12 {
		dirs = append(dirs, fmt.Sprintf("d%%2F%c", 'a'+i))
		if err := p.Upload(dirs[i], changesOf(fmt.Sprintf("p%02d", 50-i))); err != nil {
			t.Fatal(err)
		}
	}
	id := begin(t, p, "/api/repos/r/include/d?acceptUnsigned=1")
	deliveries, _ := sliced(t, p, env)
	got, report := outcome(t, p, id)
	if got.State != task.Succeeded || len(report.Report.Added) != len(dirs) || len(report.FailedFiles)+len(report.Report.Warnings) > 0 || deliveries < 5 {
		t.Errorf("state %d %s in %d slices: %s", got.State, got.Error, deliveries, report.lines())
	}
	if left := env.Memory.Objects(pool.IncomingPrefix); len(left) > 0 {
		t.Errorf("%d uploads are left", len(left))
	}
	owesNothing(t, env)
}

// getsOf counts the rows of a partition that are read one by one.
type getsOf struct {
	driver.Table
	part string
	n    atomic.Int64
}

func (g *getsOf) Get(ctx context.Context, key driver.Key) (driver.Row, error) {
	if key.Part == g.part {
		g.n.Add(1)
	}
	return g.Table.Get(ctx, key)
}

// TestImportReadsRowsOfUploadsOnce imports a directory. The rows of its files are read by
// one scan: their removal needs no read, unless a file was uploaded again.
func TestImportReadsRowsOfUploadsOnce(t *testing.T) {
	env := drivertest.NewEnv()
	rows := &getsOf{Table: env.Table, part: "upload"}
	env.Table = rows
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for i := range 120 {
		files[fmt.Sprintf("p%03d_1_all.deb", i)] = apptest.Deb(fmt.Sprintf("p%03d", i), "1", "all")
	}
	if err := p.Upload("d", files); err != nil {
		t.Fatal(err)
	}
	rows.n.Store(0)
	if err := p.Step("POST", "/api/repos/r/file/d", ""); err != nil {
		t.Fatal(err)
	}
	if n := rows.n.Load(); n > 2 {
		t.Errorf("%d rows of uploads were read one by one", n)
	}
	for key := range env.Memory.Objects("private/incoming/") {
		t.Errorf("%s is left", key)
	}
}

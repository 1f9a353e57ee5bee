package transfer_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/archive/transfer"
	"aptless/core/archive/transfer/transfertest"
	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// moments uploads two transfers of the same publications into the directories in1 and in2.
// The publications of the first have the package aa, and these of the second the package
// bb.
func moments(t *testing.T, p *apptest.Process) {
	t.Helper()
	for n, name := range []string{"aa", "bb"} {
		files, err := transfertest.Files("m", apptest.Deb(name, "1", "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		p.MustUpload(t, fmt.Sprint("in", n+1), files)
	}
}

// waits reports whether m/local is imported and not yet published.
func waits(t *testing.T, p *apptest.Process) bool {
	t.Helper()
	for row, err := range p.Drivers.Table.Scan(t.Context(), transfer.WaitingPart, "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(row.Sort, "m/local") {
			return true
		}
	}
	return false
}

// linked calls a function before the first copy of a package file of the prefix m.
type linked struct {
	driver.Blobs
	once sync.Once
	do   func()
}

func (b *linked) Copy(ctx context.Context, key, from string, opt driver.PutOptions) (driver.Info, error) {
	if strings.Contains(key, "m/pool/") {
		b.once.Do(b.do)
	}
	return b.Blobs.Copy(ctx, key, from, opt)
}

// TestRestoreKeepsANewerImport imports a publication again while the first import of it is
// being published. The restoration is refused, since no row keeps its lists any more. The
// newer import waits as before, and the next restoration publishes it. An equal import
// refuses nothing.
func TestRestoreKeepsANewerImport(t *testing.T) {
	for dir, refused := range map[string]bool{"in1": false, "in2": true} {
		m := drivertest.NewMemory(time.Now)
		hook := &linked{Blobs: m.Blobs}
		drivers := apptest.On(m)
		drivers.Blobs = hook
		p := apptest.New(t, drivers)
		p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 8) })
		moments(t, p)
		imports := 0
		hook.do = func() {
			imports++
			p.Must(t, "POST", "/api/import/"+dir+"?overwrite=1", "", nil)
		}
		p.Must(t, "POST", "/api/import/in1", "", nil)
		want := "Package: aa\n"
		if refused {
			p.Refused(t, "POST", "/api/publish/m/local/restore", "", 409, "publication m/local was imported again before it was published, please try again")
			if !waits(t, p) {
				t.Error("the newer import is lost")
			}
			want = "Package: bb\n"
		}
		p.Must(t, "POST", "/api/publish/m/local/restore", "", nil)
		if _, index := p.Ask(t, "GET", "/m/dists/local/main/binary-amd64/Packages", ""); imports != 1 || !strings.Contains(index, want) || waits(t, p) {
			t.Errorf("after %d imports of %s, published: %q", imports, dir, index)
		}
	}
}

// TestRestoreBeginsWithItsImportOnly has tasks that wait in the queue. A restoration whose
// publication was imported again, or was published meanwhile, changes nothing.
func TestRestoreBeginsWithItsImportOnly(t *testing.T) {
	p, err := apptest.Start(t.Context(), drivertest.NewEnv(), apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	moments(t, p)
	send := func(path string) int {
		var made struct{ ID int }
		p.Must(t, "POST", path, "", &made)
		return made.ID
	}
	drain := func() {
		t.Helper()
		if err := p.Drain(); err != nil {
			t.Fatal(err)
		}
	}
	state := func(id int) (state int, output string) {
		t.Helper()
		var task struct{ State int }
		p.Must(t, "GET", fmt.Sprintf("/api/tasks/%d", id), "", &task)
		_, output = p.Ask(t, "GET", fmt.Sprintf("/api/tasks/%d/output", id), "")
		return task.State, output
	}
	send("/api/import/in1")
	drain()
	send("/api/import/in2?overwrite=1")
	older := send("/api/publish/m/local/restore")
	p.Env.Memory.Queue.Pick = func(ready int) int { return ready - 1 } // the import is first
	drain()
	p.Env.Memory.Queue.Pick = nil
	if state, output := state(older); state != 3 || !strings.Contains(output, "imported again before it was published") || !waits(t, p) {
		t.Errorf("a restoration of an older import: state %d: %s", state, output)
	}
	if status, _ := p.Ask(t, "GET", "/api/publish/m/local", ""); status != 404 {
		t.Errorf("an older import is published: status %d", status)
	}
	first, second := send("/api/publish/m/local/restore"), send("/api/publish/m/local/restore")
	drain()
	if state, output := state(first); state != 2 {
		t.Errorf("a restoration: state %d: %s", state, output)
	}
	if state, output := state(second); state != 3 || !strings.Contains(output, "no publication m/local was imported that is not published yet") {
		t.Errorf("a second restoration: state %d: %s", state, output)
	}
	if _, index := p.Ask(t, "GET", "/m/dists/local/main/binary-amd64/Packages", ""); !strings.Contains(index, "Package: bb\n") {
		t.Errorf("published: %q", index)
	}
}

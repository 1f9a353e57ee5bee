package transfer_test

import (
	"fmt"
	"strings"
	"testing"

	"aptless/core/archive/transfer"
	"aptless/core/archive/transfer/transfertest"
	"aptless/core/front/app/apptest"
)

// marks returns the rows by which imports know objects again.
func marks(t *testing.T, p *apptest.Process) (keys []string) {
	t.Helper()
	for row, err := range p.Drivers.Table.Scan(t.Context(), "transferred", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, row.Sort)
	}
	return keys
}

// TestDropRemovesTheMarkOfAnImport imports objects of each kind. The mark of each is there,
// and goes with it.
func TestDropRemovesTheMarkOfAnImport(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		p.Archive(t)
		p.Must(t, "POST", "/api/mirrors", `{"Name":"mirrored","ArchiveURL":"https://archive.example.org/debian/","Distribution":"stable","IgnoreSignatures":true}`, nil)
		var e transfer.Export
		p.Must(t, "POST", "/api/exports", "", &e)
		_, objects := p.Ask(t, "GET", "/api/exports/"+e.ID+"/objects/all", "")
		p.Must(t, "DELETE", "/api/mirrors/mirrored", "", nil)
		files, err := transfertest.Files("m", apptest.Deb("aa", "1", "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(objects) {
			if strings.Contains(line, "mirrored") {
				files[transfer.ObjectsName] = append([]byte(line), files[transfer.ObjectsName]...)
			}
		}
		for _, snapshot := range []string{"/api/snapshots/m-1", "/api/snapshots?pattern=m-*&force=1"} {
			dir := fmt.Sprintf("in%d", len(snapshot))
			p.MustUpload(t, dir, files)
			p.Must(t, "POST", "/api/import/"+dir, "", nil)
			p.Must(t, "POST", "/api/publish/m/local/restore", "", nil)
			p.Must(t, "POST", "/api/publish/m/frozen/restore", "", nil)
			for n, path := range []string{"/api/publish/m/frozen", "/api/publish/m/local", snapshot, "/api/repos/m", "/api/mirrors/mirrored"} {
				if left := marks(t, p); len(left) != 5-n {
					t.Fatalf("before the drop of %s: %q", path, left)
				}
				p.Must(t, "DELETE", path, "", nil)
			}
			if left := marks(t, p); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		}
	})
}

// TestPublicationAfterADroppedImportIsAnotherOne: a publication was imported and dropped.
// Another one takes its place. A new import neither takes it for the first one nor changes
// it.
func TestPublicationAfterADroppedImportIsAnotherOne(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, p *apptest.Process) {
		files, err := transfertest.Files("m", apptest.Deb("aa", "1", "amd64"))
		if err != nil {
			t.Fatal(err)
		}
		p.MustUpload(t, "in", files)
		p.Must(t, "POST", "/api/import/in", "", nil)
		p.Must(t, "POST", "/api/publish/m/local/restore", "", nil)
		p.Must(t, "DELETE", "/api/publish/m/local", "", nil)
		p.Fill(t, "r", apptest.Deb("bb", "1", "amd64"))
		p.Must(t, "POST", "/api/publish/m", `{"SourceKind":"local","Distribution":"local","Architectures":["amd64"],"Sources":[{"Name":"r"}]}`, nil)
		status, answer := p.Ask(t, "POST", "/api/import/in?overwrite=1", "")
		if status != 409 || !strings.Contains(answer, "other objects have the names of publication") {
			t.Errorf("answer: %d %s", status, answer)
		}
		if _, text := p.Ask(t, "GET", "/api/publish/m/local", ""); !strings.Contains(text, `"Name":"r"`) {
			t.Errorf("the publication is %s", text)
		}
	})
}

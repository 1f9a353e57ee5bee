package repo_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestImportOfLongNamesIsReported uploads files whose names are six times as long
// in JSON. The import succeeds and reports every one. The task's row stays within
// the limit of the table.
func TestImportOfLongNamesIsReported(t *testing.T) {
	const bad = 110
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"good_1_amd64.deb": apptest.Deb("good", "1", "amd64")}
	for i := range bad {
		files[strings.Repeat("&", 230)+fmt.Sprint(i)+".deb"] = []byte("no package")
	}
	if err := p.Step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
		t.Fatal(err)
	}
	if err := p.Upload("d", files); err != nil {
		t.Fatal(err)
	}
	if err := p.Step("POST", "/api/repos/r/file/d", ""); err != nil {
		t.Fatal(err)
	}
	data, err := p.Do("GET", "/api/tasks/2/return_value", "", nil)
	var got struct{ Value reported }
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil || len(got.Value.FailedFiles) != bad || len(got.Value.Report.Warnings) != bad || fmt.Sprint(got.Value.Report.Added) != "[good_1_amd64 added]" {
		t.Errorf("%v, %d failed files, %d warnings, added %v", err, len(got.Value.FailedFiles), len(got.Value.Report.Warnings), got.Value.Report.Added)
	}
	for key, row := range env.Memory.Rows("task") {
		if len(row) > driver.MaxRowSize {
			t.Errorf("%s has %d bytes", key, len(row))
		}
	}
}

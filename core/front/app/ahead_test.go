package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
)

// TestCollectionRemovesUnusedIndexesRenderedAhead: the indexes of a list that a row names
// stay. Those of other lists go, and foreign objects stay.
func TestCollectionRemovesUnusedIndexesRenderedAhead(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t), func(c *app.Config) { c.Ahead = true })
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		p.Step("POST", "/api/repos", `{"Name": "r"}`),
		p.Upload("d", map[string][]byte{"hello_1_amd64.deb": apptest.Deb("hello", "1", "amd64")}),
		p.Step("POST", "/api/repos/r/file/d", ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	used := ""
	for _, row := range env.Memory.Rows("repo") {
		var r struct{ List lists.Ref }
		if json.Unmarshal([]byte(row), &r) == nil && r.List.Count > 0 {
			used = fmt.Sprintf("private/ahead/%d-%s/manifest.json", r.List.Epoch, r.List.Root)
		}
	}
	const foreign = "private/ahead/notes"
	unused := "private/ahead/0-" + strings.Repeat("ab", 32) + "/tree/x"
	for _, key := range []string{used, unused, foreign} {
		if _, err := env.Memory.Blobs.Put(t.Context(), key, strings.NewReader("x"), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.RenderAhead(t.Context()); err != nil { // the list is small, so it renders nothing
		t.Fatal(err)
	}
	for key, data := range map[string]string{used: "{}", unused: "x"} { // it has removed folders without a manifest
		if _, err := env.Memory.Blobs.Put(t.Context(), key, strings.NewReader(data), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Step("POST", "/api/db/cleanup", ""); err != nil {
		t.Fatal(err)
	}
	objects := env.Memory.Objects("private/ahead/")
	if objects[used] == "" || objects[foreign] == "" || objects[unused] != "" {
		t.Errorf("after the collection: %q", objects)
	}
}

package repo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// TestImportSurvivesEveryFault breaks each storage call of an import once. The
// next process finishes the import. No package is lost or imported twice.
func TestImportSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Step("POST", "/api/repos", `{"Name":"r"}`); err != nil {
				return err
			}
			return p.Upload("d", map[string][]byte{"a_1_all.deb": apptest.Deb("aa", "1", "all"), "b_1_amd64.deb": apptest.Deb("bb", "1", "amd64"), "bad.deb": []byte("no package")})
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.Step("POST", "/api/repos/r/file/d", "")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Resume(); err != nil {
				return err
			}
			if tasks, err := p.Do("GET", "/api/tasks", "", nil); err != nil || !strings.Contains(string(tasks), "Add packages") {
				return p.Step("POST", "/api/repos/r/file/d", "") // the admission failed, so the client repeats it
			}
			return nil
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := apptest.Start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			var keys, files []string
			data, err := p.Do("GET", "/api/repos/r/packages", "", nil)
			if err != nil || json.Unmarshal(data, &keys) != nil || len(keys) != 2 {
				return fmt.Errorf("packages %s, %v", data, err)
			}
			data, err = p.Do("GET", "/api/files/d", "", nil)
			if err != nil || json.Unmarshal(data, &files) != nil || len(files) != 1 || files[0] != "bad.deb" {
				return fmt.Errorf("files %s, %v", data, err)
			}
			return p.Ended()
		},
	})
}

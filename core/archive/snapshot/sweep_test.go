package snapshot_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app/apptest"
)

// shots returns the packages of all snapshots by name.
func shots(p *apptest.Process) (map[string]string, error) {
	var list []struct{ Name string }
	data, err := p.Do("GET", "/api/snapshots", "", nil)
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	found := map[string]string{}
	for _, s := range list {
		data, listErr := p.Do("GET", "/api/snapshots/"+s.Name+"/packages", "", nil)
		var keys []string
		err = errors.Join(err, listErr, json.Unmarshal(data, &keys))
		for i, key := range keys {
			keys[i] = strings.Join(strings.Fields(key)[1:3], "_")
		}
		found[s.Name] = strings.Join(keys, " ")
	}
	return found, err
}

// TestSnapshotsSurviveEveryFault breaks each storage call of creation, merge,
// pull, rename and drop once. The rows stay consistent. The next process finishes
// the work.
func TestSnapshotsSurviveEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	type change struct {
		method, path, body string
		done               func(map[string]string) bool // decides by the existing snapshots
	}
	has := func(name string) func(map[string]string) bool {
		return func(found map[string]string) bool { _, ok := found[name]; return ok }
	}
	lacks := func(name string) func(map[string]string) bool {
		return func(found map[string]string) bool { return !has(name)(found) }
	}
	for name, tc := range map[string]struct {
		changes []change
		want    map[string]string
	}{
		"create": {[]change{
			{"POST", "/api/repos/r/snapshots", `{"Name":"two"}`, has("two")},
			{"POST", "/api/snapshots", fmt.Sprintf(`{"Name":"three","SourceSnapshots":["one"],"PackageRefs":[%q]}`, apptest.DebKey("cc")), has("three")},
		}, map[string]string{"one": "aa_1 bb_1", "used": "aa_1 bb_1", "two": "aa_1 bb_1 cc_1", "three": "aa_1 bb_1 cc_1"}},
		"merge": {[]change{
			{"POST", "/api/repos/r/snapshots", `{"Name":"two"}`, has("two")},
			{"POST", "/api/snapshots/m/merge?latest=1", `{"Sources":["one","two"]}`, has("m")},
		}, map[string]string{"one": "aa_1 bb_1", "used": "aa_1 bb_1", "two": "aa_1 bb_1 cc_1", "m": "aa_1 bb_1 cc_1"}},
		"pull": {[]change{
			{"POST", "/api/repos/r/snapshots", `{"Name":"two"}`, has("two")},
			{"POST", "/api/snapshots/one/pull", `{"Source":"two","Destination":"p","Queries":["cc"]}`, has("p")},
		}, map[string]string{"one": "aa_1 bb_1", "used": "aa_1 bb_1", "two": "aa_1 bb_1 cc_1", "p": "aa_1 bb_1 cc_1"}},
		"drop many": {[]change{
			{"POST", "/api/repos/r/snapshots", `{"Name":"daily-1"}`, has("daily-1")},
			{"POST", "/api/snapshots", `{"Name":"daily-2","SourceSnapshots":["daily-1"]}`, has("daily-2")},
			{"DELETE", "/api/snapshots?pattern=daily-*", "", func(found map[string]string) bool { return !has("daily-1")(found) && !has("daily-2")(found) }},
		}, map[string]string{"one": "aa_1 bb_1", "used": "aa_1 bb_1"}},
		"rename and drop": {[]change{
			{"PUT", "/api/snapshots/used", `{"Name":"new"}`, has("new")},
			{"DELETE", "/api/snapshots/one?force=1", "", lacks("one")},
			{"DELETE", "/api/repos/r", "", func(found map[string]string) bool { return false }},
		}, map[string]string{"new": "aa_1 bb_1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			todo := func(p *apptest.Process) error {
				for _, c := range tc.changes {
					found, err := shots(p)
					if err != nil {
						return err
					}
					if c.done(found) {
						continue
					}
					if _, err := p.Do("GET", "/api/repos/r", "", nil); err != nil && strings.Contains(c.path, "repos/r") {
						continue // it was dropped
					}
					if err := p.Step(c.method, c.path, c.body); err != nil {
						return err
					}
				}
				return nil
			}
			drivertest.Sweep(t, drivertest.Journey{
				Setup: func(ctx context.Context, env *drivertest.Env) error {
					p, err := apptest.Start(ctx, env, signer)
					if err != nil {
						return err
					}
					if err := p.Upload("d", map[string][]byte{"aa_1_amd64.deb": apptest.Deb("aa", "1", "amd64"), "bb_1_amd64.deb": apptest.Deb("bb", "1", "amd64")}); err != nil {
						return err
					}
					for _, s := range [][2]string{{"/api/repos", `{"Name":"r"}`}, {"/api/repos/r/file/d", ""},
						{"/api/repos/r/snapshots", `{"Name":"one"}`}, {"/api/snapshots/used/merge", `{"Sources":["one"]}`}} {
						if err := p.Step("POST", s[0], s[1]); err != nil {
							return err
						}
					}
					if err := p.Upload("d", map[string][]byte{"cc_1_amd64.deb": apptest.Deb("cc", "1", "amd64")}); err != nil {
						return err
					}
					return p.Step("POST", "/api/repos/r/file/d", "")
				},
				Run: func(ctx context.Context, env *drivertest.Env) error {
					p, err := apptest.Start(ctx, env, signer)
					if err != nil {
						return err
					}
					return todo(p)
				},
				Recover: func(ctx context.Context, env *drivertest.Env) error {
					if err := apptest.Fits(apptest.Referring(env.Memory)); err != nil {
						return err
					}
					p, err := apptest.Start(ctx, env, signer)
					if err != nil {
						return err
					}
					if err := p.Resume(); err != nil {
						return err
					}
					return todo(p)
				},
				Verify: func(env *drivertest.Env, _ error) error {
					p, err := apptest.Start(context.Background(), env, signer)
					if err != nil {
						return err
					}
					found, err := shots(p)
					if err == nil && !maps.Equal(found, tc.want) {
						err = fmt.Errorf("snapshots %v, want %v", found, tc.want)
					}
					return errors.Join(err, p.Ended(), apptest.Fits(apptest.Referring(env.Memory)))
				},
			})
		})
	}
}

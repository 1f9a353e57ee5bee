package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"aptless/core/engine/driver/drivertest"
)

// shots are the packages of all snapshots, by name.
func shots(p *process) (map[string]string, error) {
	var list []struct{ Name string }
	data, err := p.do("GET", "/api/snapshots", "", nil)
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	found := map[string]string{}
	for _, s := range list {
		data, listErr := p.do("GET", "/api/snapshots/"+s.Name+"/packages", "", nil)
		var keys []string
		err = errors.Join(err, listErr, json.Unmarshal(data, &keys))
		for i, key := range keys {
			keys[i] = strings.Join(strings.Fields(key)[1:3], "_")
		}
		found[s.Name] = strings.Join(keys, " ")
	}
	return found, err
}

// TestSweepSnapshots interrupts the making, merging, pulling, renaming and
// dropping of snapshots at every call of a port: what is left fits together,
// and with the next process everything is as it was meant to be.
func TestSweepSnapshots(t *testing.T) {
	t.Parallel()
	signer := testSigner(t)
	type change struct {
		method, path, body string
		done               func(map[string]string) bool // told by the snapshots there are
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
			{"POST", "/api/snapshots", fmt.Sprintf(`{"Name":"three","SourceSnapshots":["one"],"PackageRefs":[%q]}`, debKey("cc")), has("three")},
		}, map[string]string{"one": "aa_1 bb_1", "used": "aa_1 bb_1", "two": "aa_1 bb_1 cc_1", "three": "aa_1 bb_1 cc_1"}},
		"merge": {[]change{
			{"POST", "/api/repos/r/snapshots", `{"Name":"two"}`, has("two")},
			{"POST", "/api/snapshots/m/merge?latest=1", `{"Sources":["one","two"]}`, has("m")},
		}, map[string]string{"one": "aa_1 bb_1", "used": "aa_1 bb_1", "two": "aa_1 bb_1 cc_1", "m": "aa_1 bb_1 cc_1"}},
		"pull": {[]change{
			{"POST", "/api/repos/r/snapshots", `{"Name":"two"}`, has("two")},
			{"POST", "/api/snapshots/one/pull", `{"Source":"two","Destination":"p","Queries":["cc"]}`, has("p")},
		}, map[string]string{"one": "aa_1 bb_1", "used": "aa_1 bb_1", "two": "aa_1 bb_1 cc_1", "p": "aa_1 bb_1 cc_1"}},
		"rename and drop": {[]change{
			{"PUT", "/api/snapshots/used", `{"Name":"new"}`, has("new")},
			{"DELETE", "/api/snapshots/one?force=1", "", lacks("one")},
			{"DELETE", "/api/repos/r", "", func(found map[string]string) bool { return false }},
		}, map[string]string{"new": "aa_1 bb_1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			todo := func(p *process) error {
				for _, c := range tc.changes {
					found, err := shots(p)
					if err != nil {
						return err
					}
					if c.done(found) {
						continue
					}
					if _, err := p.do("GET", "/api/repos/r", "", nil); err != nil && strings.Contains(c.path, "repos/r") {
						continue // it was dropped
					}
					if err := p.step(c.method, c.path, c.body); err != nil {
						return err
					}
				}
				return nil
			}
			drivertest.Sweep(t, drivertest.Journey{
				Setup: func(ctx context.Context, env *drivertest.Env) error {
					p, err := start(ctx, env, signer)
					if err != nil {
						return err
					}
					if err := p.upload("d", map[string][]byte{"aa_1_amd64.deb": buildDeb("aa", "1", "amd64"), "bb_1_amd64.deb": buildDeb("bb", "1", "amd64")}); err != nil {
						return err
					}
					for _, s := range [][2]string{{"/api/repos", `{"Name":"r"}`}, {"/api/repos/r/file/d", ""},
						{"/api/repos/r/snapshots", `{"Name":"one"}`}, {"/api/snapshots/used/merge", `{"Sources":["one"]}`}} {
						if err := p.step("POST", s[0], s[1]); err != nil {
							return err
						}
					}
					if err := p.upload("d", map[string][]byte{"cc_1_amd64.deb": buildDeb("cc", "1", "amd64")}); err != nil {
						return err
					}
					return p.step("POST", "/api/repos/r/file/d", "")
				},
				Run: func(ctx context.Context, env *drivertest.Env) error {
					p, err := start(ctx, env, signer)
					if err != nil {
						return err
					}
					return todo(p)
				},
				Recover: func(ctx context.Context, env *drivertest.Env) error {
					if err := fits(referring(env.Memory)); err != nil {
						return err
					}
					p, err := start(ctx, env, signer)
					if err != nil {
						return err
					}
					if err := p.resume(); err != nil {
						return err
					}
					return todo(p)
				},
				Verify: func(env *drivertest.Env, _ error) error {
					p, err := start(context.Background(), env, signer)
					if err != nil {
						return err
					}
					found, err := shots(p)
					if err == nil && !maps.Equal(found, tc.want) {
						err = fmt.Errorf("snapshots %v, want %v", found, tc.want)
					}
					return errors.Join(err, ended(p), fits(referring(env.Memory)))
				},
			})
		})
	}
}

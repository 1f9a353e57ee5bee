package repo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

func TestRepoIsCreatedFromSnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Refused(t, "POST", "/api/repos", `{"Name":"x","FromSnapshot":"s"}`, 404, "source snapshot not found: snapshot with name s not found")
		s.Fill(t, "r", apptest.Deb("aa", "1", "all"), apptest.Deb("bb", "1", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
		s.Want(t, "POST", "/api/repos", `{"Name":"x","Comment":"c","FromSnapshot":"s"}`, 201,
			`{"Name":"x","Comment":"c","DefaultDistribution":"","DefaultComponent":""}`)
		s.Refused(t, "POST", "/api/repos", `{"Name":"x","FromSnapshot":"s"}`, 409, "local repo with name x already exists")
		s.Must(t, "DELETE", "/api/repos/r?force=1", "", nil)
		s.Must(t, "DELETE", "/api/snapshots/s", "", nil)
		s.Must(t, "POST", "/api/db/cleanup", "", nil)
		if got := s.Names(t, "/api/repos/x"); got != "aa_1_all bb_1_amd64" {
			t.Errorf("packages %s", got)
		}
		s.Add(t, "x", apptest.Deb("cc", "1", "amd64"))
		if got := s.Names(t, "/api/repos/x"); got != "aa_1_all bb_1_amd64 cc_1_amd64" {
			t.Errorf("packages %s", got)
		}
	})
}

// TestNamesOfAnyCharacters creates and renames repositories whose names need
// encoding in paths.
func TestNamesOfAnyCharacters(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		for _, name := range []string{"with blank", "a:b/c", "100%", "a+b", "ü λ", ".", "..", `{{x`, "?#&;=", "a/", "/", "<b>", "'\"\\", "\u2028"} {
			path := func(name string) string { return "/api/repos/" + url.PathEscape(name) }
			object := func(name, comment string) string {
				data, err := json.Marshal(struct{ Name, Comment, DefaultDistribution, DefaultComponent string }{name, comment, "d", ""})
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
			s.Want(t, "POST", "/api/repos", object(name, "c"), 201, object(name, "c"))
			s.Must(t, "POST", "/api/repos", `{"Name":"taken"}`, nil)
			s.Want(t, "PUT", path(name), `{"Comment":"x"}`, 200, object(name, "x"))
			renamed := name + " @renamed"
			s.Refused(t, "PUT", path(name), `{"Name":"taken"}`, 409, `unable to rename: local repo "taken" already exists`)
			s.Want(t, "PUT", path(name), `{"NAME":`+apptest.JSON(renamed)+`,"comment":"new","Unknown":[1]}`, 200, object(renamed, "new"))
			s.Refused(t, "GET", path(name), "", 404, "local repo with name "+name+" not found")
			s.Want(t, "GET", path(renamed), "", 200, object(renamed, "new"))
			s.Want(t, "DELETE", path(renamed), "", 200, "{}")
			s.Must(t, "DELETE", "/api/repos/taken", "", nil)
		}
		s.Want(t, "GET", "/api/repos", "", 200, "[]")
	})
}

// TestRenameKeepsIdentity renames a published repository and gives its name to
// another one. The publication stays with the first.
func TestRenameKeepsIdentity(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/publish", apptest.PublishBody, nil)
		s.Must(t, "PUT", "/api/repos/r", `{"Name":"first"}`, nil)
		s.Fill(t, "r", apptest.Deb("bb", "1", "amd64"))
		s.Must(t, "POST", "/api/repos", `{"Name":"to"}`, nil)
		s.Add(t, "first", apptest.Deb("cc", "1", "amd64"))
		s.Must(t, "PUT", "/api/publish/:./stable", "{}", nil)
		s.Refused(t, "DELETE", "/api/repos/first", "", 409, "unable to drop, local repo is published")
		s.Must(t, "DELETE", "/api/repos/r", "", nil)
		if got := s.Names(t, "/api/repos/first"); got != "aa_1_amd64 cc_1_amd64" {
			t.Errorf("packages %s", got)
		}
		var published struct{ Sources []struct{ Name string } }
		if s.Must(t, "GET", "/api/publish/:./stable", "", &published); len(published.Sources) != 1 || published.Sources[0].Name != "first" {
			t.Errorf("published %+v", published)
		}
	})
}

func TestCopyBetweenRepos(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		app := debtest.Deb(debtest.Spec{Package: "app", Version: "1", Architecture: "amd64", Fields: map[string]string{"Depends": "lib (>= 1), base | other"}})
		s.Fill(t, "src", app, apptest.Deb("lib", "1", "amd64"), apptest.Deb("base", "2", "all"), apptest.Deb("zz", "1", "amd64"))
		s.Fill(t, "dst")
		const copied = `{"Report":{"Warnings":[%s],"Added":[%s],"Removed":[]}}`
		s.Want(t, "POST", "/api/repos/dst/copy/src/zz_1_amd64", "", 400, `{"error":"EOF","hint":"the body is empty: send JSON"}`)
		s.Want(t, "POST", "/api/repos/dst/copy/src/zz_1_amd64", "{}", 200, fmt.Sprintf(copied, "", `"added zz-1(amd64)"`))
		if got := s.Names(t, "/api/repos/dst"); got != "zz_1_amd64" {
			t.Errorf("packages %s", got)
		}
		const dry = `"Changes not saved, as dry run has been requested"`
		const all = `"added app-1(amd64)","added base-2(all)","added lib-1(amd64)"`
		s.Want(t, "POST", "/api/repos/dst/copy/src/app", `{"dry-run":true,"with-deps":true}`, 200, fmt.Sprintf(copied, dry, all))
		if code, got := s.Send(t, "POST", "/api/repos/dst/copy/src/app?DryRun=true", "", nil); code != 200 || got != fmt.Sprintf(copied, dry, `"added app-1(amd64)"`) {
			t.Errorf("dry run by query: %d %s", code, got)
		}
		if got := s.Names(t, "/api/repos/dst"); got != "zz_1_amd64" {
			t.Errorf("packages after a dry run: %s", got)
		}
		s.Add(t, "dst", apptest.Deb("other", "1", "all")) // satisfies "base | other"
		s.Want(t, "POST", "/api/repos/dst/copy/src/app%20(%3E%3D%201)", `{"with-deps":true}`, 200, fmt.Sprintf(copied, "", `"added app-1(amd64)","added lib-1(amd64)"`))
		if got := s.Names(t, "/api/repos/dst"); got != "other_1_all app_1_amd64 lib_1_amd64 zz_1_amd64" {
			t.Errorf("packages %s", got)
		}
		const path = "/api/repos/dst/copy/src/"
		for _, tc := range []struct{ query, body, output string }{
			{"lalala%20%3E%3E", "{}", "unable to parse query 'lalala >>': parsing failed: unexpected token >>: expecting end of query"},
			{"lalala", "{}", "no package found for filter: 'lalala'"},
		} {
			if state, output := s.Task(t, "POST", path+tc.query, tc.body); state != 3 || output != "Task failed with error: "+tc.output {
				t.Errorf("state %d, %s", state, output)
			}
			s.Refused(t, "POST", path+tc.query, tc.body, 422, tc.output)
		}
		s.Refused(t, "POST", "/api/repos/none/copy/src/zz", "{}", 400, "dest repo error: local repo with name none not found")
		s.Refused(t, "POST", "/api/repos/dst/copy/none/zz", "{}", 400, "src repo error: local repo with name none not found")
		s.Refused(t, "POST", "/api/repos/src/copy/src/zz", "{}", 400, "dest and source are identical")
		s.Must(t, "POST", "/api/repos", `{"Name":"empty"}`, nil)
		s.Refused(t, "POST", "/api/repos/empty/copy/src/app", `{"with-deps":true}`, 422, "unable to determine list of architectures, please specify explicitly")
		s.Fill(t, "clash", debtest.Deb(debtest.Spec{Package: "zz", Version: "1", Architecture: "amd64"}))
		s.Refused(t, "POST", "/api/repos/clash/copy/src/Name", "{}", 500, "error processing dest add: package already exists and is different: zz_1_amd64")
		if got := s.Names(t, "/api/repos/clash"); got != "zz_1_amd64" {
			t.Errorf("packages %s", got)
		}
	})
}

// TestCopySurvivesEveryFault breaks each storage call of a copy once.
func TestCopySurvivesEveryFault(t *testing.T) {
	t.Parallel()
	signer := apptest.Signer(t)
	const path = "/api/repos/to/copy/r/bb"
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Upload("d", map[string][]byte{"a_1_all.deb": apptest.Deb("aa", "1", "all"), "bb_1_amd64.deb": apptest.Deb("bb", "1", "amd64")}); err != nil {
				return err
			}
			for _, s := range [][3]string{{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos", `{"Name":"to"}`}, {"POST", "/api/repos/r/file/d", ""}} {
				if err := p.Step(s[0], s[1], s[2]); err != nil {
					return err
				}
			}
			return nil
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.Step("POST", path, "{}")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := apptest.Start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.Resume(); err != nil {
				return err
			}
			return p.Step("POST", path, "{}") // a second copy changes nothing
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := apptest.Start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			data, err := p.Do("GET", "/api/repos/to/packages", "", nil)
			if want := apptest.JSON([]string{apptest.DebKey("bb")}); err != nil || !bytes.Equal(data, []byte(want)) {
				return fmt.Errorf("packages %s, %v", data, err)
			}
			if data, err = p.Do("GET", "/api/repos/r/packages", "", nil); err != nil || strings.Count(string(data), `"`) != 4 {
				return fmt.Errorf("packages of the source %s, %v", data, err)
			}
			return p.Ended()
		},
	})
}

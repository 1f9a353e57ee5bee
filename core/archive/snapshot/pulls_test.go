package snapshot_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// needing returns a package that depends on others.
func needing(name, version, arch, depends string) []byte {
	s := debtest.Spec{Package: name, Version: version, Architecture: arch, Compression: "none"}
	if depends != "" {
		s.Fields = map[string]string{"Depends": depends}
	}
	return debtest.Deb(s)
}

// pulled makes the snapshots base and source.
func pulled(t *testing.T, s *apptest.Process) {
	t.Helper()
	s.Fill(t, "base", needing("app", "1", "amd64", "lib"), needing("lib", "1", "amd64", ""), needing("app", "1", "all", ""),
		needing("tool", "1", "i386", ""), needing("same", "1", "amd64", ""))
	s.Fill(t, "source", needing("app", "2", "amd64", "lib (>= 2), data"), needing("app", "3", "amd64", "lib (>= 2)"), needing("lib", "2", "amd64", ""),
		needing("data", "1", "all", ""), needing("app", "2", "i386", ""), needing("same", "1", "amd64", "data"), needing("app", "2", "armhf", ""))
	for _, name := range []string{"base", "source"} {
		s.Must(t, "POST", "/api/repos/"+name+"/snapshots", fmt.Sprintf(`{"Name":%q}`, name), nil)
	}
}

// TestPullSnapshot pulls packages of one snapshot into another.
func TestPullSnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		pulled(t, s)
		const rest = " same_1_amd64 tool_1_i386"
		for i, tc := range []struct{ query, rest, queries, want string }{
			// The highest version per architecture is pulled. A package for "all"
			// serves every architecture, so it is replaced. The dependencies of
			// lower versions come, too.
			{"", "", "app", "data_1_all app_3_amd64 lib_2_amd64 same_1_amd64 app_2_i386 tool_1_i386"},
			{"?no-deps=1", "", "app", "app_3_amd64 lib_1_amd64 same_1_amd64 app_2_i386 tool_1_i386"},
			{"?no-deps=1", "", "app (= 2) {amd64}", "app_2_amd64 lib_1_amd64" + rest},
			{"", "", "app (= 2) {amd64}", "data_1_all app_2_amd64 lib_2_amd64" + rest},
			{"?no-deps=1&all-matches=1", "", "app", "app_2_amd64 app_3_amd64 lib_1_amd64 same_1_amd64 app_2_i386 tool_1_i386"},
			{"?no-deps=1&no-remove=1", "", "app", "app_1_all app_1_amd64 app_3_amd64 lib_1_amd64 same_1_amd64 app_2_i386 tool_1_i386"},
			{"?no-deps=1&all-matches=1&no-remove=1", "", "app {amd64}", "app_1_all app_1_amd64 app_2_amd64 app_3_amd64 lib_1_amd64" + rest},
			{"?no-deps=1", `,"Architectures":["armhf"]`, "app", "app_3_amd64 lib_1_amd64 same_1_amd64 app_2_armhf app_2_i386 tool_1_i386"},
			{"?no-deps=true", "", "none", "app_1_all app_1_amd64 lib_1_amd64" + rest},
		} {
			name := fmt.Sprint("to ", i)
			wantShot(t, s, "POST", "/api/snapshots/base/pull"+tc.query,
				fmt.Sprintf(`{"Source":"source","Destination":%q,"Queries":[%q]%s}`, name, tc.queries, tc.rest), 201,
				shot(name, "snapshot", "Pulled into 'base' with 'source' as source, pull request was: '"+tc.queries+"'"))
			if got := s.Names(t, fmt.Sprintf("/api/snapshots/to%%20%d", i)); got != tc.want {
				t.Errorf("%s%s: %s, want %s", tc.queries, tc.query, got, tc.want)
			}
		}
	})
}

// TestDryRunOfAPullReportsItsEffects holds that a dry run reports the effects in order.
func TestDryRunOfAPullReportsItsEffects(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		pulled(t, s)
		pull := func(query, queries, want string) {
			t.Helper()
			s.Want(t, "POST", "/api/snapshots/base/pull?dry-run=1"+query, `{"Source":"source","Destination":"base","Queries":[`+queries+`]}`, 200, want)
		}
		pull("", `"app {amd64}"`, `{"added_packages":["app_3_amd64","data_1_all","lib_2_amd64"],"removed_packages":["app_1_all","app_1_amd64","lib_1_amd64"]}`)
		pull("&no-remove=1&all-matches=1", `"app {amd64}","same"`,
			`{"added_packages":["app_3_amd64","app_2_amd64","data_1_all","lib_2_amd64","same_1_amd64"],"removed_packages":[]}`)
		pull("", `"same"`, `{"added_packages":["data_1_all","same_1_amd64"],"removed_packages":["same_1_amd64"]}`)
		pull("", ``, `{"added_packages":[],"removed_packages":[]}`)
		var list []json.RawMessage
		if s.Must(t, "GET", "/api/snapshots", "", &list); len(list) != 2 {
			t.Errorf("a dry run has left %s", list)
		}
	})
}

// TestNoRemoveKeepsTheBasesPackage pulls with no-remove. A package of the base stays, although
// the answer lists another one with its short key as added.
func TestNoRemoveKeepsTheBasesPackage(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		pulled(t, s)
		s.Must(t, "POST", "/api/snapshots/base/pull?no-remove=1&no-deps=1", `{"Source":"source","Destination":"kept","Queries":["same"]}`, nil)
		s.Must(t, "POST", "/api/snapshots/base/pull?no-deps=1", `{"Source":"source","Destination":"new","Queries":["same"]}`, nil)
		for name, from := range map[string]string{"kept": "base", "new": "source"} {
			got, want := keysOf(t, s, "/api/snapshots/"+name)["same_1_amd64"], keysOf(t, s, "/api/snapshots/"+from)["same_1_amd64"]
			if got != want {
				t.Errorf("%s has %s, want %s", name, got, want)
			}
		}
	})
}

func TestPullRefusals(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		pulled(t, s)
		s.Must(t, "POST", "/api/snapshots", `{"Name":"empty"}`, nil)
		pull := func(base, body string, status int, text string) {
			t.Helper()
			s.Refused(t, "POST", "/api/snapshots/"+base+"/pull", body, status, text)
		}
		required := func(f string) string {
			return fmt.Sprintf("Key: 'snapshotsPullParams.%s' Error:Field validation for '%[1]s' failed on the 'required' tag", f)
		}
		pull("base", "", 400, "EOF")
		pull("base", "{}", 400, required("Source")+"\n"+required("Destination")+"\n"+required("Queries"))
		pull("none", `{"Source":"no","Destination":"x","Queries":["a"]}`, 404, "snapshot with name none not found")
		pull("base", `{"Source":"no","Destination":"x","Queries":["a"]}`, 404, "snapshot with name no not found")
		pull("base", `{"Source":"source","Destination":"x","Queries":["a)"]}`, 500, "parsing failed: unexpected token ): expecting end of query")
		pull("base", `{"Source":"source","Destination":"base","Queries":["app"]}`, 500, "snapshot with name base already exists")
		const archs = "unable to determine list of architectures, please specify explicitly"
		pull("empty", `{"Source":"source","Destination":"x","Queries":["app"]}`, 500, archs)
		pull("empty", `{"Source":"source","Destination":"x","Queries":[]}`, 500, archs)
		s.Want(t, "POST", "/api/snapshots/base/pull", `{"Source":"source","Destination":"x","Queries":[]}`, 201, "")
		// The body is JSON with any Content-Type.
		if code, got := s.Send(t, "POST", "/api/snapshots/base/pull", "text/plain", []byte(`{"Source":"source","Destination":"y","Queries":[]}`)); code != 201 {
			t.Errorf("as text: %d %s", code, got)
		}
	})
}

// TestFilterSnapshot filters, which aptly offers on its command line only.
func TestFilterSnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		pulled(t, s)
		filter := func(query, name, queries, said, want string) {
			t.Helper()
			wantShot(t, s, "POST", "/api/snapshots/source/filter"+query, fmt.Sprintf(`{"Destination":%q,"Queries":[%s]}`, name, queries), 201,
				shot(name, "snapshot", "Filtered 'source', query was: '"+said+"'"))
			if got := s.Names(t, "/api/snapshots/"+name); got != want {
				t.Errorf("%s: %s, want %s", queries, got, want)
			}
		}
		filter("", "a", `"app (= 2)","lib"`, "app (= 2) lib", "app_2_amd64 lib_2_amd64 app_2_armhf app_2_i386")
		filter("?withDeps=1", "b", `"app (= 2) {amd64}"`, "app (= 2) {amd64}", "data_1_all app_2_amd64 lib_2_amd64")
		filter("", "c", ``, "", "")
		filter("", "d", `"Name"`, "Name", s.Names(t, "/api/snapshots/source"))
		s.Refused(t, "POST", "/api/snapshots/source/filter", `{"Destination":"x","Queries":["a)"]}`, 400, "parsing failed: unexpected token ): expecting end of query")
		s.Refused(t, "POST", "/api/snapshots/none/filter", `{"Destination":"x","Queries":[]}`, 404, "snapshot with name none not found")
		s.Refused(t, "POST", "/api/snapshots/source/filter", `{"Destination":"a","Queries":[]}`, 400, "snapshot with name a already exists")
		s.Refused(t, "POST", "/api/snapshots/c/filter?withDeps=1", `{"Destination":"x","Queries":["app"]}`, 400,
			"unable to determine list of architectures, please specify explicitly")
		s.Refused(t, "DELETE", "/api/snapshots/source", "", 409, "won't delete snapshot that was used as source for other snapshots, use ?force=1 to override")
	})
}

// TestVerifySnapshot lists unsatisfied dependencies.
func TestVerifySnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", needing("app", "1", "amd64", "lib (>= 2), data | nodata"), needing("lib", "1", "amd64", ""))
		s.Fill(t, "more", needing("lib", "2", "amd64", ""), needing("nodata", "1", "all", ""))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
		s.Must(t, "POST", "/api/repos/more/snapshots", `{"Name":"more"}`, nil)
		s.Must(t, "POST", "/api/snapshots", `{"Name":"empty"}`, nil)
		const all = `["data [amd64]","lib (\u003e= 2) [amd64]","nodata [amd64]"]`
		s.Want(t, "GET", "/api/snapshots/s/verify", "", 200, all)
		s.Want(t, "GET", "/api/snapshots/s/verify?with=empty", "", 200, all)
		s.Want(t, "GET", "/api/snapshots/s/verify?with=empty&with=more", "", 200, "[]")
		s.Want(t, "GET", "/api/snapshots/s/verify?architectures=i386", "", 200, "[]")
		s.Want(t, "GET", "/api/snapshots/empty/verify?architectures=i386", "", 200, "[]")
		s.Refused(t, "GET", "/api/snapshots/empty/verify", "", 400, "unable to determine list of architectures, please specify explicitly")
		s.Refused(t, "GET", "/api/snapshots/s/verify?with=none", "", 404, "snapshot with name none not found")
	})
}

package snapshot_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/front/app/apptest"
)

// shot returns the answer for a snapshot, without its time.
func shot(name, kind, description string) string {
	return fmt.Sprintf(`{"Name":%q,"CreatedAt":"`, name) + "…|" +
		fmt.Sprintf(`","SourceKind":%q,"Description":%q,"Origin":"","NotAutomatic":"","ButAutomaticUpgrades":""}`, kind, description)
}

// wantShot sends a request whose answer is a snapshot.
func wantShot(t *testing.T, s *apptest.Process, method, path, body string, status int, answer string) {
	t.Helper()
	code, got := s.Ask(t, method, path, body)
	begin, end, _ := strings.Cut(answer, "…|")
	if code != status || !strings.HasPrefix(got, begin) || !strings.HasSuffix(got, end) {
		t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, code, got, status, answer)
		return
	}
	if at, err := time.Parse(time.RFC3339Nano, got[len(begin):len(got)-len(end)]); err != nil || time.Since(at) > time.Hour {
		t.Errorf("%s %s: made at %v, %v", method, path, at, err)
	}
}

func TestSnapshotOfRepo(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"a b/c","Comment":"our <own>"}`, nil)
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "all"))
		wantShot(t, s, "POST", "/api/repos/r/snapshots", `{"Name":"s1"}`, 201, shot("s1", "local", "Snapshot from local repo [r]"))
		wantShot(t, s, "POST", "/api/repos/a%20b%2Fc/snapshots", `{"Name":"x/ü z"}`, 201,
			strings.NewReplacer("<", `\u003c`, ">", `\u003e`).Replace(shot("x/ü z", "local", "Snapshot from local repo [a b/c]: our <own>")))
		wantShot(t, s, "POST", "/api/repos/r/snapshots", `{"Name":"s2","Description":"mine"}`, 201, shot("s2", "local", "mine"))
		if got := s.Names(t, "/api/snapshots/s1"); got != "bb_1_all aa_1_amd64" {
			t.Errorf("s1 has %s", got)
		}
		s.Want(t, "GET", "/api/snapshots/x%2F%C3%BC%20z/packages", "", 200, "[]")
		s.Add(t, "r", apptest.Deb("cc", "1", "amd64"))
		if got := s.Names(t, "/api/snapshots/s1"); got != "bb_1_all aa_1_amd64" {
			t.Errorf("s1 follows its repository: %s", got)
		}
		s.Refused(t, "POST", "/api/repos/r/snapshots", `{"Name":"s1"}`, 400, "snapshot with name s1 already exists")
		s.Refused(t, "POST", "/api/repos/none/snapshots", `{"Name":"s1"}`, 404, "local repo with name none not found")
		s.Refused(t, "POST", "/api/repos/none/snapshots", `{}`, 400,
			"Key: 'snapshotsCreateFromRepositoryParams.Name' Error:Field validation for 'Name' failed on the 'required' tag")
	})
}

// TestSnapshotOfMirrorBody holds that the body is checked before the mirror.
func TestSnapshotOfMirrorBody(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Refused(t, "POST", "/api/mirrors/m/snapshots", `{"Description":"d"}`, 400,
			"Key: 'snapshotsCreateFromMirrorParams.Name' Error:Field validation for 'Name' failed on the 'required' tag")
		s.Refused(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, 404, "mirror with name m not found")
	})
}

// TestSnapshotTasks holds names and resources of tasks.
func TestSnapshotTasks(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r")
		s.Must(t, "POST", "/api/snapshots", `{"Name":"s"}`, nil)
		for _, tc := range []struct{ method, path, body, name, resource string }{
			{"POST", "/api/repos/r/snapshots", `{"Name":"t"}`, "Create snapshot of repo r", `["L…"]`},
			{"POST", "/api/snapshots", `{"Name":"u"}`, "Create snapshot u", "null"},
			{"POST", "/api/snapshots", `{"Name":"v","SourceSnapshots":["s","s"]}`, "Create snapshot v", `["S…"]`},
			{"PUT", "/api/snapshots/s", `{"Description":"d"}`, "Update snapshot s", `["S…"]`},
			{"POST", "/api/snapshots/w/merge", `{"Sources":["s","s"]}`, "Merge snapshot w", `["S…"]`},
			{"DELETE", "/api/snapshots/s?force=1", "", "Delete snapshot s", `["S…"]`},
		} {
			code, got := s.Ask(t, tc.method, tc.path+map[bool]string{true: "&_async", false: "?_async"}[strings.Contains(tc.path, "?")], tc.body)
			var task struct {
				Name      string
				ID        int
				Resources json.RawMessage
			}
			if err := json.Unmarshal([]byte(got), &task); err != nil || code != 202 || task.Name != tc.name {
				t.Errorf("%s %s: %d %s, want the task %q", tc.method, tc.path, code, got, tc.name)
			}
			var ended struct{ State int }
			if s.Must(t, "GET", fmt.Sprintf("/api/tasks/%d/wait", task.ID), "", &ended); ended.State != 2 {
				t.Errorf("%s %s: state %d", tc.method, tc.path, ended.State)
			}
			shape := string(task.Resources)
			if len(shape) == len(`["L`)+36+len(`"]`) {
				shape = shape[:3] + "…" + shape[39:]
			}
			if shape != tc.resource {
				t.Errorf("%s %s: resources %s, want %s", tc.method, tc.path, task.Resources, tc.resource)
			}
		}
	})
}

// keysOf returns the keys of a list's packages by "name_version_arch".
func keysOf(t *testing.T, s *apptest.Process, path string) map[string]string {
	t.Helper()
	var keys []string
	s.Must(t, "GET", path+"/packages", "", &keys)
	byName := map[string]string{}
	for _, key := range keys {
		parts := strings.Fields(strings.TrimPrefix(key, "P"))
		byName[parts[1]+"_"+parts[2]+"_"+parts[0]] = key
	}
	return byName
}

// TestCreateSnapshot creates snapshots of snapshots and packages, or of nothing.
func TestCreateSnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "old", apptest.Deb("aa", "1", "amd64"), apptest.Deb("aa", "2", "amd64"), apptest.Deb("bb", "1", "amd64"))
		s.Fill(t, "new", apptest.Deb("aa", "3", "amd64"), apptest.Deb("aa", "1", "i386"))
		s.Fill(t, "other", append(apptest.Deb("bb", "1", "amd64"), '\n')) // the same package, another file
		for _, name := range []string{"old", "new", "other"} {
			s.Must(t, "POST", "/api/repos/"+name+"/snapshots", fmt.Sprintf(`{"Name":%q}`, name), nil)
		}
		mine, others := keysOf(t, s, "/api/repos/old"), keysOf(t, s, "/api/repos/other")
		create := func(name, rest string) {
			t.Helper()
			wantShot(t, s, "POST", "/api/snapshots", fmt.Sprintf(`{"Name":%q%s}`, name, rest), 201, shot(name, "snapshot", ""))
		}
		wantShot(t, s, "POST", "/api/snapshots", `{"Name":"empty"}`, 201, shot("empty", "snapshot", "Created as empty"))
		wantShot(t, s, "POST", "/api/snapshots", `{"Name":"void","Description":"d","SourceSnapshots":[],"PackageRefs":[]}`, 201, shot("void", "snapshot", "d"))
		create("both", `,"SourceSnapshots":["old","new"]`)
		create("back", `,"SourceSnapshots":["new","old"]`)
		create("refs", fmt.Sprintf(`,"PackageRefs":[%q,%q]`, mine["aa_1_amd64"], mine["bb_1_amd64"]))
		create("over", fmt.Sprintf(`,"SourceSnapshots":["old"],"PackageRefs":[%q]`, mine["aa_1_amd64"]))
		create("twice", fmt.Sprintf(`,"PackageRefs":[%q,%[1]q]`, mine["aa_1_amd64"]))
		create("same", `,"SourceSnapshots":["old","old"]`)
		create("hash", fmt.Sprintf(`,"SourceSnapshots":["old"],"PackageRefs":[%q]`, others["bb_1_amd64"]))
		for name, want := range map[string]string{
			"empty": "", "void": "",
			"both":  "aa_3_amd64 bb_1_amd64 aa_1_i386",
			"back":  "aa_1_amd64 aa_2_amd64 bb_1_amd64 aa_1_i386",
			"refs":  "aa_1_amd64 bb_1_amd64",
			"over":  "aa_1_amd64 aa_2_amd64 bb_1_amd64", // an equal package replaces nothing
			"twice": "aa_1_amd64",
			"same":  "aa_1_amd64 aa_2_amd64 bb_1_amd64",
			"hash":  "aa_1_amd64 aa_2_amd64 bb_1_amd64",
		} {
			if got := s.Names(t, "/api/snapshots/"+name); got != want {
				t.Errorf("%s has %s, want %s", name, got, want)
			}
		}
		if got := keysOf(t, s, "/api/snapshots/hash"); got["bb_1_amd64"] != others["bb_1_amd64"] {
			t.Errorf("hash has %v, want %v", got, others)
		}
		s.Refused(t, "POST", "/api/snapshots", `{"Name":"x","SourceSnapshots":["old","no","none"]}`, 404, "snapshot with name no not found")
		s.Refused(t, "POST", "/api/snapshots", `{"Name":"x","PackageRefs":["Pamd64 aa 1 00000000"]}`, 404, "package Pamd64 aa 1 00000000: key not found")
		s.Refused(t, "POST", "/api/snapshots", `{"Name":"x","PackageRefs":["junk","other"]}`, 404, "package junk: key not found")
		s.Refused(t, "POST", "/api/snapshots", fmt.Sprintf(`{"Name":"x","PackageRefs":[%q,%q]}`, mine["bb_1_amd64"], others["bb_1_amd64"]), 400,
			"package already exists and is different: bb_1_amd64")
		s.Refused(t, "POST", "/api/snapshots", `{"Name":"old"}`, 400, "snapshot with name old already exists")
		s.Refused(t, "POST", "/api/snapshots", `{}`, 400,
			"Key: 'snapshotsCreateParams.Name' Error:Field validation for 'Name' failed on the 'required' tag")
		s.Refused(t, "GET", "/api/snapshots/x", "", 404, "snapshot with name x not found")
	})
}

// TestListSnapshots lists snapshots in each order, and shows one.
func TestListSnapshots(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Want(t, "GET", "/api/snapshots", "", 200, "[]")
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		for _, name := range []string{"b", "a", "Z"} {
			s.Must(t, "POST", "/api/repos/r/snapshots", fmt.Sprintf(`{"Name":%q}`, name), nil)
		}
		for sort, want := range map[string]string{"": "[Z a b]", "?sort=": "[Z a b]", "?sort=name": "[Z a b]", "?sort=Name": "[Z a b]",
			"?sort=time": "[b a Z]", "?sort=Time": "[b a Z]"} {
			var list []struct {
				Name        string
				NumPackages int
			}
			s.Must(t, "GET", "/api/snapshots"+sort, "", &list)
			var names []string
			for _, found := range list {
				names = append(names, found.Name)
				if found.NumPackages != 1 {
					t.Errorf("%s has %d packages", found.Name, found.NumPackages)
				}
			}
			if got := fmt.Sprint(names); got != want {
				t.Errorf("order %q: %s, want %s", sort, got, want)
			}
		}
		if _, got := s.Ask(t, "GET", "/api/snapshots", ""); !strings.HasSuffix(got, `"ButAutomaticUpgrades":"","NumPackages":1}]`) {
			t.Errorf("list %s", got)
		}
		wantShot(t, s, "GET", "/api/snapshots/a", "", 200, shot("a", "local", "Snapshot from local repo [r]"))
		s.Refused(t, "GET", "/api/snapshots?sort=size", "", 500, `sorting method "size" unknown`)
	})
}

func TestUpdateSnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"a"}`, nil)
		s.Must(t, "POST", "/api/snapshots", `{"Name":"b"}`, nil)
		wantShot(t, s, "PUT", "/api/snapshots/a", `{"Name":"a @new"}`, 200, shot("a @new", "local", "Snapshot from local repo [r]"))
		s.Refused(t, "GET", "/api/snapshots/a", "", 404, "snapshot with name a not found")
		wantShot(t, s, "PUT", "/api/snapshots/a%20@new", `{"Description":"d"}`, 200, shot("a @new", "local", "d"))
		wantShot(t, s, "PUT", "/api/snapshots/a%20@new", `{"Description":""}`, 200, shot("a @new", "local", "d"))
		if got := s.Names(t, "/api/snapshots/a%20@new"); got != "aa_1_amd64" {
			t.Errorf("renamed it has %s", got)
		}
		s.Refused(t, "PUT", "/api/snapshots/b", `{"Name":"a @new"}`, 409, "unable to rename: snapshot a @new already exists")
		s.Refused(t, "PUT", "/api/snapshots/b", `{"Name":"b"}`, 409, "unable to rename: snapshot b already exists")
		s.Refused(t, "PUT", "/api/snapshots/a", `{"Name":"c"}`, 404, "snapshot with name a not found")
		s.Refused(t, "PUT", "/api/snapshots/a", ``, 400, "EOF")
		s.Must(t, "POST", "/api/snapshots", `{"Name":"a"}`, nil) // the old name is free
	})
}

// TestDropSnapshot holds that a used snapshot stays.
func TestDropSnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/snapshots", `{"Name":"a"}`, nil)
		s.Must(t, "POST", "/api/snapshots", `{"Name":"b","SourceSnapshots":["a"]}`, nil)
		const used = "won't delete snapshot that was used as source for other snapshots, use ?force=1 to override"
		s.Refused(t, "DELETE", "/api/snapshots/a", "", 409, used)
		s.Refused(t, "DELETE", "/api/snapshots/a?force=true", "", 409, used)
		s.Want(t, "DELETE", "/api/snapshots/a?force=1", "", 200, "{}")
		s.Refused(t, "DELETE", "/api/snapshots/a", "", 404, "snapshot with name a not found")
		s.Must(t, "POST", "/api/snapshots", `{"Name":"a"}`, nil)
		s.Want(t, "DELETE", "/api/snapshots/a", "", 200, "{}") // a new snapshot with that name
		s.Want(t, "DELETE", "/api/snapshots/b", "", 200, "{}")
		s.Want(t, "GET", "/api/snapshots", "", 200, "[]")
		for _, part := range []string{"snapshot", "snapshot-name"} {
			for row, err := range s.Drivers.Table.Scan(t.Context(), part, "") {
				t.Errorf("%v is left, %v", row.Key, err)
			}
		}
	})
}

// TestDropRepoWithSnapshots drops a repository with snapshots by force. A
// published one stays even then.
func TestDropRepoWithSnapshots(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
		s.Must(t, "POST", "/api/publish", apptest.PublishBody, nil)
		const published = "unable to drop, local repo is published"
		s.Refused(t, "DELETE", "/api/repos/r", "", 409, published)
		s.Refused(t, "DELETE", "/api/repos/r?force=1", "", 409, published)
		s.Must(t, "DELETE", "/api/publish/:./stable", "", nil)
		s.Refused(t, "DELETE", "/api/repos/r", "", 409, "unable to drop, local repo has snapshots, use ?force=1 to override")
		s.Want(t, "DELETE", "/api/repos/r?force=1", "", 200, "{}")
		if got := s.Names(t, "/api/snapshots/s"); got != "aa_1_amd64" {
			t.Errorf("the snapshot has %s", got)
		}
		s.Fill(t, "r")
		s.Want(t, "DELETE", "/api/repos/r", "", 200, "{}") // a new repository with that name
		s.Want(t, "DELETE", "/api/snapshots/s", "", 200, "{}")
	})
}

// TestDropRepoAfterSnapshots drops a repository without force after its
// snapshots. Snapshots of its snapshots do not count.
func TestDropRepoAfterSnapshots(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
		s.Must(t, "POST", "/api/snapshots/m/merge", `{"Sources":["s"]}`, nil)
		s.Want(t, "DELETE", "/api/snapshots/s?force=1", "", 200, "{}")
		s.Want(t, "DELETE", "/api/repos/r", "", 200, "{}")
		if got := s.Names(t, "/api/snapshots/m"); got != "aa_1_amd64" {
			t.Errorf("the merge has %s", got)
		}
	})
}

func TestDiffSnapshots(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "l", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "amd64"), apptest.Deb("cc", "1", "amd64"), apptest.Deb("cc", "3", "amd64"))
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("cc", "2", "amd64"), apptest.Deb("dd", "1", "all"))
		s.Must(t, "POST", "/api/repos/l/snapshots", `{"Name":"l"}`, nil)
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"r"}`, nil)
		l, r := keysOf(t, s, "/api/snapshots/l"), keysOf(t, s, "/api/snapshots/r")
		pair := func(left, right string) string {
			text := func(key string) string {
				if key == "" {
					return "null"
				}
				return `"` + key + `"`
			}
			return `{"Left":` + text(left) + `,"Right":` + text(right) + `}`
		}
		cc := pair(l["cc_1_amd64"], r["cc_2_amd64"])
		s.Want(t, "GET", "/api/snapshots/l/diff/r", "", 200, "["+strings.Join([]string{
			pair("", r["dd_1_all"]), pair(l["bb_1_amd64"], ""), cc, pair(l["cc_3_amd64"], "")}, ",")+"]")
		s.Want(t, "GET", "/api/snapshots/l/diff/r?onlyMatching=1", "", 200, "["+cc+"]")
		s.Want(t, "GET", "/api/snapshots/l/diff/l", "", 200, "[]")
		s.Refused(t, "GET", "/api/snapshots/x/diff/y", "", 404, "snapshot with name x not found")
		s.Refused(t, "GET", "/api/snapshots/l/diff/y", "", 404, "snapshot with name y not found")
	})
}

func TestMergeSnapshots(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "a", apptest.Deb("aa", "1", "amd64"), apptest.Deb("aa", "3", "amd64"), apptest.Deb("bb", "1", "amd64"))
		s.Fill(t, "b", apptest.Deb("aa", "2", "amd64"), append(apptest.Deb("bb", "1", "amd64"), '\n'), apptest.Deb("aa", "1", "all"))
		for _, name := range []string{"a", "b"} {
			s.Must(t, "POST", "/api/repos/"+name+"/snapshots", fmt.Sprintf(`{"Name":%q}`, name), nil)
		}
		for _, tc := range []struct{ name, query, sources, want string }{
			{"plain", "", `"a","b"`, "aa_1_all aa_2_amd64 bb_1_amd64"},
			{"back", "", `"b","a"`, "aa_1_all aa_1_amd64 aa_3_amd64 bb_1_amd64"},
			{"keep", "?no-remove=1", `"a","b"`, "aa_1_all aa_1_amd64 aa_2_amd64 aa_3_amd64 bb_1_amd64"},
			{"last", "?latest=1", `"a","b"`, "aa_1_all aa_3_amd64 bb_1_amd64"},
			{"one", "", `"a"`, "aa_1_amd64 aa_3_amd64 bb_1_amd64"},
			{"best", "?latest=1", `"a"`, "aa_3_amd64 bb_1_amd64"},
			{"again", "?no-remove=true", `"a","b","a"`, "aa_1_all aa_1_amd64 aa_3_amd64 bb_1_amd64"},
		} {
			description := "Merged from sources: '" + strings.ReplaceAll(strings.ReplaceAll(tc.sources, `"`, ""), ",", "', '") + "'"
			wantShot(t, s, "POST", "/api/snapshots/"+tc.name+"/merge"+tc.query, `{"Sources":[`+tc.sources+`]}`, 201, shot(tc.name, "snapshot", description))
			if got := s.Names(t, "/api/snapshots/"+tc.name); got != tc.want {
				t.Errorf("%s of %s: %s, want %s", tc.query, tc.sources, got, tc.want)
			}
		}
		right := keysOf(t, s, "/api/snapshots/b")["bb_1_amd64"]
		for _, name := range []string{"plain", "keep", "last"} {
			if got := keysOf(t, s, "/api/snapshots/"+name)["bb_1_amd64"]; got != right {
				t.Errorf("%s has %s, want the later %s", name, got, right)
			}
		}
		s.Refused(t, "POST", "/api/snapshots/x/merge", `{"Sources":[]}`, 400, "minimum one source snapshot is required")
		s.Refused(t, "POST", "/api/snapshots/x/merge", `{}`, 400,
			"Key: 'snapshotsMergeParams.Sources' Error:Field validation for 'Sources' failed on the 'required' tag")
		s.Refused(t, "POST", "/api/snapshots/x/merge?latest=1&no-remove=1", `{"Sources":["none"]}`, 400, "no-remove and latest are mutually exclusive")
		s.Refused(t, "POST", "/api/snapshots/x/merge", `{"Sources":["a","none"]}`, 404, "snapshot with name none not found")
		s.Refused(t, "POST", "/api/snapshots/a/merge", `{"Sources":["a","b"]}`, 500, "unable to create snapshot: snapshot with name a already exists")
	})
}

// TestPublishSnapshot publishes a snapshot of a repository's snapshot. The
// distribution comes from the repository. A published snapshot cannot be dropped
// until the publication switches.
func TestPublishSnapshot(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Must(t, "POST", "/api/repos", `{"Name":"r","DefaultDistribution":"trixie","DefaultComponent":"contrib"}`, nil)
		s.Add(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"one"}`, nil)
		s.Must(t, "POST", "/api/snapshots/two/merge", `{"Sources":["one"]}`, nil)
		s.Must(t, "POST", "/api/snapshots/three/merge", `{"Sources":["two"]}`, nil)
		var made struct {
			Distribution, SourceKind string
			Sources                  []struct{ Component, Name string }
		}
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"snapshot","Sources":[{"Name":"three"}]}`, &made)
		if got := fmt.Sprint(made); got != "{trixie snapshot [{contrib three}]}" {
			t.Errorf("published %s", got)
		}
		const published = "unable to drop: snapshot is published"
		s.Refused(t, "DELETE", "/api/snapshots/three", "", 409, published)
		s.Refused(t, "DELETE", "/api/snapshots/three?force=1", "", 409, published)
		s.Must(t, "PUT", "/api/snapshots/three", `{"Name":"3"}`, nil)
		if _, got := s.Ask(t, "GET", "/api/publish/:./trixie", ""); !strings.Contains(got, `"Name":"3"`) {
			t.Errorf("after the snapshot was renamed: %s", got)
		}
		s.Must(t, "PUT", "/api/publish/:./trixie", `{"Snapshots":[{"Component":"contrib","Name":"one"}]}`, nil)
		s.Want(t, "DELETE", "/api/snapshots/3", "", 200, "{}")
		s.Refused(t, "DELETE", "/api/snapshots/one?force=1", "", 409, published)
		s.Must(t, "DELETE", "/api/publish/:./trixie", "", nil)
		s.Want(t, "DELETE", "/api/snapshots/one?force=1", "", 200, "{}")
	})
}

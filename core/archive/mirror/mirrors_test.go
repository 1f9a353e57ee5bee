package mirror_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/archive/mirror"
	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/front/app/apptest"
)

// mirrorText is the JSON of a mirror without its UUID.
const mirrorText = `"Name":"m","ArchiveRoot":"https://archive.example.org/debian/","Distribution":"stable",` +
	`"Components":["contrib","main"],"Architectures":["amd64"],` +
	`"Meta":{"Architectures":"amd64","Codename":"trixie","Components":"contrib main","Date":"Sat, 11 Jul 2026 10:16:37 UTC","Origin":"Upstream","Suite":"stable"},` +
	`"LastDownloadDate":"0001-01-01T00:00:00Z","Filter":"","Status":0,"WorkerPID":0,"FilterWithDeps":false,` +
	`"SkipComponentCheck":false,"SkipArchitectureCheck":false,"DownloadSources":false,"DownloadUdebs":false,` +
	`"DownloadInstaller":false,"DownloadAppStream":false`

// withoutUUID removes a mirror's UUID from its JSON.
func withoutUUID(t *testing.T, text string) string {
	t.Helper()
	head, rest, ok := strings.Cut(text, `"UUID":"`)
	uuid, rest, end := strings.Cut(rest, `",`)
	if !ok || !end || len(uuid) != 36 {
		t.Fatalf("no mirror: %s", text)
	}
	return head + rest
}

// TestMirrorIsCreatedShownAndDropped follows a mirror without updates.
func TestMirrorIsCreatedShownAndDropped(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Want(t, "GET", "/api/mirrors", "", 200, "[]")
		s.Refused(t, "GET", "/api/mirrors/m", "", 404, "unable to show: mirror with name m not found")
		code, got := s.Ask(t, "POST", "/api/mirrors", apptest.CreateMirror)
		if code != 201 || withoutUUID(t, got) != "{"+mirrorText+"}" {
			t.Fatalf("created: %d %s", code, got)
		}
		s.Want(t, "GET", "/api/mirrors/m", "", 200, got)
		s.Want(t, "GET", "/api/mirrors", "", 200, "["+strings.TrimSuffix(got, "}")+`,"NumPackages":0}]`)
		s.Refused(t, "POST", "/api/mirrors", apptest.CreateMirror, 500, "unable to add mirror: mirror with name m already exists")
		s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"a b/ü"`, 1), nil)
		var names []struct{ Name string }
		if s.Must(t, "GET", "/api/mirrors", "", &names); len(names) != 2 || names[0].Name != "a b/ü" {
			t.Errorf("listed %v", names)
		}
		s.Refused(t, "GET", "/api/mirrors/none/packages", "", 404, "unable to show: mirror with name none not found")
		s.Refused(t, "GET", "/api/mirrors/m/packages", "", 404, "unable to show package list, mirror hasn't been downloaded yet")
		s.Refused(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, 400, "mirror not updated")
		s.Want(t, "DELETE", "/api/mirrors/a%20b%2F%C3%BC", "", 204, "")
		s.Refused(t, "DELETE", "/api/mirrors/a%20b%2F%C3%BC", "", 404, "unable to drop: mirror with name a b/ü not found")
		s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"a b/ü"`, 1), nil)
		if _, dot := s.Ask(t, "GET", "/api/graph.dot", ""); !strings.Contains(dot, "Mirror m") {
			t.Errorf("no mirror is drawn: %s", dot)
		}
	})
}

func TestCreateMirrorChecksItsArguments(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		const where = `"ArchiveURL":"https://archive.example.org/debian/",`
		for body, want := range map[string]struct {
			status int
			text   string
		}{
			`{}`: {400, "Key: 'mirrorCreateParams.Name' Error:Field validation for 'Name' failed on the 'required' tag\n" +
				"Key: 'mirrorCreateParams.ArchiveURL' Error:Field validation for 'ArchiveURL' failed on the 'required' tag"},
			`{"Name":"x","ArchiveURL":"ppa:a"}`:                                               {400, "unable to parse ppa URL: ppa:a"},
			`{"Name":"x","ArchiveURL":"ppa:a/b"}`:                                             {400, "unable to figure out Codename: it is not configured, please set config option ppaCodename (aptless serve --ppa-codename)"},
			`{"Name":"x",` + where + `"Filter":"a ("}`:                                        {400, "unable to create mirror: "},
			`{"Name":"x","ArchiveURL":"http://x:y%/"}`:                                        {400, "unable to create mirror: parse "},
			`{"Name":"x","ArchiveURL":"file:///etc/"}`:                                        {400, `unable to create mirror: unsupported protocol scheme "file"`},
			`{"Name":"x",` + where + `"Distribution":"./","Components":["main"]}`:             {400, "unable to create mirror: components aren't supported for flat repos"},
			`{"Name":"x",` + where + `"Distribution":"a/","DownloadUdebs":true}`:              {400, "unable to create mirror: debian-installer udebs aren't supported for flat repos"},
			`{"Name":"x",` + where + `"Distribution":"./","DownloadAppStream":true}`:          {400, "unable to create mirror: AppStream (DEP-11) metadata isn't supported for flat repos"},
			`{"Name":"x",` + where + `"Distribution":"../../x"}`:                              {400, "unable to create mirror: "},
			`{"Name":"x",` + where + `"Distribution":"none"}`:                                 {400, "unable to fetch mirror: HTTP code 404 while fetching https://archive.example.org/debian/dists/none/Release"},
			`{"Name":"x","ArchiveURL":"https://elsewhere.example.org/","Distribution":"s"}`:   {400, "unable to fetch mirror: "},
			`{"Name":"x",` + where + `"Distribution":"stable","Architectures":["amd64","s"]}`: {400, "unable to fetch mirror: architecture s not available in repo [x]: https://archive.example.org/debian/ stable, use -force-architectures to override"},
			`{"Name":"x",` + where + `"Distribution":"stable","Components":["free"],"DownloadSources":true,"DownloadUdebs":true,"DownloadInstaller":true,"DownloadAppStream":true}`: {400, "unable to fetch mirror: component free not available in repo [x]: https://archive.example.org/debian/ stable [src] [udeb] [installer] [appstream], use -force-components to override"},
			`{"Name":"x",` + where + `"Distribution":"stable","Keyrings":["empty.gpg"]}`:                                                                                            {400, "unable to fetch mirror: verification of detached signature failed: exit status 2"},
		} {
			code, got := s.Ask(t, "POST", "/api/mirrors", body)
			var answer struct{ Error string }
			if err := json.Unmarshal([]byte(got), &answer); err != nil || code != want.status || !strings.HasPrefix(answer.Error, want.text) {
				t.Errorf("%s: %d %s, want %d %s", body, code, got, want.status, want.text)
			}
		}
		s.Want(t, "GET", "/api/mirrors", "", 200, "[]")
		for _, body := range []string{
			`{"Name":"archs",` + where + `"Distribution":"stable","Architectures":["s390x","amd64","amd64"],"SkipArchitectureCheck":true}`,
			`{"Name":"components",` + where + `"Distribution":"stable","Components":["free"],"SkipComponentCheck":true}`,
			`{"Name":"unsigned",` + where + `"Distribution":"stable","Keyrings":["empty.gpg"],"IgnoreSignatures":true}`,
		} {
			s.Must(t, "POST", "/api/mirrors", body, nil)
		}
		var found struct{ Architectures, Components []string }
		if s.Must(t, "GET", "/api/mirrors/archs", "", &found); fmt.Sprint(found.Architectures) != "[s390x amd64 amd64]" {
			t.Errorf("architectures %v", found.Architectures)
		}
		spec.Fields = map[string]string{"Architectures": ""}
		s.Upstream.Set(upstreamtest.Build(spec))
		// Without a field Components, the list of files decides, as for apt.
		s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"listed"`, 1), &found)
		if fmt.Sprint(found) != "{[amd64] [contrib main]}" {
			t.Errorf("without Architectures: %v", found)
		}
		bare := spec
		bare.Components, bare.Fields = nil, map[string]string{"Architectures": "", "Components": "main"}
		s.Upstream.Set(upstreamtest.Build(bare))
		s.Refused(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"none"`, 1), 400, "unable to fetch mirror: no architectures found, please specify")
		bare.Fields = map[string]string{"Components": ""}
		s.Upstream.Set(upstreamtest.Build(bare))
		s.Refused(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"none"`, 1), 400, "unable to fetch mirror: no components found, please specify")
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Want(t, "POST", "/api/mirrors", `{"Name":"given",`+where+`"Distribution":"stable","Architectures":["s390x"]}`, 201, "")
		spec.Fields = nil
		spec.Distribution = "./binary/"
		spec.Components = map[string]upstreamtest.Component{"": spec.Components["main"]}
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Want(t, "POST", "/api/mirrors", `{"Name":"flat",`+where+`"Distribution":"binary/"}`, 201, "")
		if _, got := s.Ask(t, "GET", "/api/mirrors/flat", ""); !strings.Contains(got, `"Distribution":"./binary/","Components":null,"Architectures":["amd64"]`) {
			t.Errorf("flat: %s", got)
		}
	})
}

// TestPasswordsAreInNoAnswer puts a user and a password into the URL of an
// archive. They are sent there and are in no answer.
func TestPasswordsAreInNoAnswer(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Upstream.Admits = func(a *upstream.Access) bool { return a != nil && a.User == "me" && a.Password == "secret" }
		s.Want(t, "POST", "/api/mirrors", `{"Name":"m","ArchiveURL":"https://me:secret@archive.example.org/debian/","Distribution":"stable"}`, 201, "")
		for _, r := range [][3]string{
			{"GET", "/api/mirrors", ""}, {"GET", "/api/mirrors/m", ""}, {"GET", "/api/graph.dot", ""},
			{"POST", "/api/mirrors/m", `{"ArchiveURL":"https://me:secret@archive.example.org/other/"}`},
			{"POST", "/api/mirrors/m", `{"ArchiveURL":"https://me:secret@archive.exa mple.org/"}`},
			{"POST", "/api/mirrors/m", `{"ArchiveURL":"https://archive.example.org/debian/","Filter":"hello"}`}, // the URL as answered before
		} {
			if code, got := s.Ask(t, r[0], r[1], r[2]); strings.Contains(got, "secret") || strings.Contains(got, "me:") {
				t.Errorf("%s %s %s: %d %s", r[0], r[1], r[2], code, got)
			}
		}
		s.Must(t, "POST", "/api/mirrors/m", `{"Architectures":[]}`, nil) // the Release file is fetched with the password
	})
}

func TestEditChangesAllOrNothing(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Refused(t, "POST", "/api/mirrors/none", "{", 404, "unable to edit: mirror with name none not found")
		s.Refused(t, "POST", "/api/mirrors/m", "{", 400, "unexpected EOF")
		s.Want(t, "POST", "/api/mirrors/m", `{"Filter":"a ("}`, 400, `{"error":"unable to edit: …`)
		s.Upstream.Asked()
		code, got := s.Ask(t, "POST", "/api/mirrors/m", `{"Filter":"hello | kernel","FilterWithDeps":true,"DownloadInstaller":true,"DownloadSources":true,"DownloadUdebs":true,"Name":"n","Architectures":["amd64","amd64"]}`)
		want := strings.NewReplacer(`"Filter":""`, `"Filter":"hello | kernel"`, `Deps":false`, `Deps":true`, `Installer":false`, `Installer":true`,
			`Sources":false`, `Sources":true`, `Udebs":false`, `Udebs":true`).Replace("{" + mirrorText + "}")
		if code != 200 || withoutUUID(t, got) != want {
			t.Errorf("edited: %d %s", code, got)
		}
		if asked := s.Upstream.Asked(); len(asked) != 0 {
			t.Errorf("asked for %v", asked)
		}
		s.Want(t, "POST", "/api/mirrors/m", `{}`, 200, got)
		s.Want(t, "POST", "/api/mirrors/m", `{"Filter":""}`, 200, "")
		_, before := s.Ask(t, "GET", "/api/mirrors/m", "")
		s.Refused(t, "POST", "/api/mirrors/m", `{"Architectures":["arm64"]}`, 500, "unable to edit: architecture arm64 not available in repo "+
			"[m]: https://archive.example.org/debian/ stable [src] [udeb] [installer], use -force-architectures to override")
		s.Refused(t, "POST", "/api/mirrors/m", `{"ArchiveURL":"https://archive.example.org/none"}`, 500,
			"unable to edit: https://archive.example.org/none/dists/stable/Release: address is not allowed by --allow-upstream")
		s.Refused(t, "POST", "/api/mirrors/m", `{"Filter":"hello","Architectures":[],"Keyrings":["empty.gpg"]}`, 500,
			"unable to edit: verification of detached signature failed: exit status 2: signature by "+apptest.KeyID(spec.Signer)+": no public key")
		s.Want(t, "GET", "/api/mirrors/m", "", 200, before) // a refused edit changes nothing
		spec.Architectures, spec.Fields = []string{"arm64", "amd64"}, map[string]string{"Label": "new"}
		s.Upstream.Set(upstreamtest.Build(spec))
		var now struct {
			Architectures []string
			Meta          map[string]string
		}
		s.Must(t, "POST", "/api/mirrors/m", `{"Architectures":[]}`, &now)
		if fmt.Sprint(now.Architectures) != "[amd64 arm64]" || now.Meta["Label"] != "new" {
			t.Errorf("fetched again: %v", now)
		}
	})
}

// TestEditIsRefusedWhileUpdating edits a mirror during its update. Only a live
// attempt forbids the edit.
func TestEditIsRefusedWhileUpdating(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		pretend := func(state task.State, lease time.Duration) {
			t.Helper()
			var m mirror.Mirror
			var rows []driver.Row
			for row, err := range s.Drivers.Table.Scan(t.Context(), "mirror", "") {
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, row)
			}
			if err := json.Unmarshal(rows[0].Data, &m); err != nil {
				t.Fatal(err)
			}
			m.Updating = 77
			data, _ := json.Marshal(m)
			running, _ := json.Marshal(task.Task{ID: 77, State: state, Lease: time.Now().Add(lease), Locks: []lock.Want{}})
			if err := s.Drivers.Table.Put(t.Context(), driver.Row{Key: rows[0].Key, Data: data}, driver.Row{Key: task.Key(77), Data: running}); err != nil {
				t.Fatal(err)
			}
		}
		pretend(task.Running, time.Hour)
		s.Refused(t, "POST", "/api/mirrors/m", `{`, 409, "unable to edit: mirror is locked by update operation, PID 77")
		if _, got := s.Ask(t, "GET", "/api/mirrors/m", ""); !strings.Contains(got, `"Status":1,"WorkerPID":77`) {
			t.Errorf("while it is updated: %s", got)
		}
		pretend(task.Running, -time.Hour)
		s.Want(t, "POST", "/api/mirrors/m", `{}`, 200, "")
		pretend(task.Failed, time.Hour)
		s.Want(t, "POST", "/api/mirrors/m", `{}`, 200, "")
		if _, got := s.Ask(t, "GET", "/api/mirrors/m", ""); !strings.Contains(got, `"Status":0,"WorkerPID":0`) {
			t.Errorf("after its update: %s", got)
		}
	})
}

func TestOneOfManyCreationsWins(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		codes := map[int]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				code, _ := s.Ask(t, "POST", "/api/mirrors", apptest.CreateMirror)
				mu.Lock()
				defer mu.Unlock()
				codes[code]++
			})
		}
		all.Wait()
		if !maps.Equal(codes, map[int]int{201: 1, 500: 7}) {
			t.Errorf("answers %v", codes)
		}
		var list []json.RawMessage
		if s.Must(t, "GET", "/api/mirrors", "", &list); len(list) != 1 {
			t.Errorf("%d mirrors", len(list))
		}
	})
}

func TestConcurrentEditsAreAllKept(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Archive(t)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		var once sync.Once
		s.Upstream.Fault = func(_ string, _ int, data []byte) ([]byte, error) {
			var err error
			once.Do(func() {
				if code, got := s.Ask(t, "POST", "/api/mirrors/m", `{"Filter":"hello"}`); code != 200 {
					err = errors.New(got)
				}
			})
			return data, err
		}
		var now struct {
			Filter        string
			DownloadUdebs bool
		}
		if s.Must(t, "POST", "/api/mirrors/m", `{"Architectures":[],"DownloadUdebs":true}`, &now); now.Filter != "hello" || !now.DownloadUdebs {
			t.Errorf("%+v", now)
		}
	})
}

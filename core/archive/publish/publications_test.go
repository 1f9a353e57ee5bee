package publish_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/infra/embedded"
)

// The tests of this file are named after the items of the compatibility
// checklist of published repositories.

// object is a publication as clients see it.
func object(dist, prefix, kind, sources string, archs string) string {
	return fmt.Sprintf(`{"AcquireByHash":true,"Architectures":[%s],"ButAutomaticUpgrades":"","Codename":"","Distribution":%q,"Label":"","MultiDist":false,`+
		`"NotAutomatic":"","Origin":"","Path":%q,"Prefix":%q,"SignedBy":"","SkipContents":false,"SourceKind":%q,"Sources":[%s],"Storage":"","Suite":"","Version":""}`,
		archs, dist, prefix+"/"+dist, prefix, kind, sources)
}

// Items 1, 2 and 3: the object, statuses, and how paths are written.
func TestPublishObjectStatusesEscaping(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		body := func(dist string) string {
			return fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Sources":[{"Name":"r"}],%s}`, dist, apptest.Unsigned)
		}
		main := `{"Component":"main","Name":"r"}`
		nested := object("a/b", "team/x_y", "local", main, `"amd64"`)
		s.Want(t, "GET", "/api/publish", "", 200, "[]")
		s.Want(t, "POST", "/api/publish/team_x__y", body("a/b"), 201, nested)
		s.Want(t, "POST", "/api/publish/:.", body("s"), 201, object("s", ".", "local", main, `"amd64"`))
		s.Want(t, "GET", "/api/publish/team_x__y/a_b", "", 200, nested)
		s.Want(t, "GET", "/api/publish/team%2Fx__y/a%2Fb", "", 200, nested)
		s.Want(t, "GET", "/api/publish", "", 200, "["+object("s", ".", "local", main, `"amd64"`)+","+nested+"]")
		s.Refused(t, "POST", "/api/publish/team_x__y", body("a/b"), 400,
			"prefix/distribution already used by another published repo: team/x_y/a/b [amd64] publishes {main: [r]}")
		s.Refused(t, "POST", "/api/publish/x", strings.Replace(body("d"), `[{"Name":"r"}]`, `[{"Name":"r"},{"Name":"r"}]`, 1), 500,
			"unable to publish: unable to figure out component name for [r]")
		s.Fill(t, "empty")
		s.Refused(t, "POST", "/api/publish/x", strings.Replace(body("d"), `"r"`, `"empty"`, 1), 500,
			"unable to publish: unable to figure out list of architectures, please supply explicit list")
		s.Want(t, "PUT", "/api/publish/team_x__y/a_b", "{"+apptest.Unsigned+"}", 200, nested)
		s.Want(t, "POST", "/api/publish/team_x__y/a_b/update", "{"+apptest.Unsigned+"}", 200, nested)
		s.Want(t, "PUT", "/api/publish/:./s?_async=1", "{"+apptest.Unsigned+"}", 202, `{"Name":"Update published local repository ./s","ID":…`)
		s.Want(t, "DELETE", "/api/publish/team_x__y/a_b", "", 200, "{}")
		s.Refused(t, "GET", "/api/publish/team_x__y/a_b", "", 404, "unable to show: published repo with storage:prefix/distribution team/x_y/a/b not found")
		s.Want(t, "DELETE", "/api/publish/:./s", "", 200, "{}")
		s.Want(t, "GET", "/api/publish", "", 200, "[]")
	})
}

// TestPublishUnknownFields sends keys in any case, unknown fields and secrets.
// Unknown fields are ignored, and no secret is stored.
func TestPublishUnknownFields(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Want(t, "POST", "/api/publish", `{"sourcekind":"local","DISTRIBUTION":"s","sources":[{"name":"r"}],"Batch":true,"Nonsense":[1],
			"signing":{"Batch":true,"Passphrase":"","Keyring":"hunter4","SecretKeyring":"hunter5"}}`, 201,
			object("s", ".", "local", `{"Component":"main","Name":"r"}`, `"amd64"`))
		if release := s.File(t, "/dists/s/Release"); !strings.Contains(release, "\nSuite: s\n") || !strings.Contains(release, "\nCodename: s\n") {
			t.Error(release)
		}
		for _, signing := range []string{`{"Passphrase":"hunter2"}`, `{"PassphraseFile":"/hunter3"}`, `{"GpgKey":"test@example.org","Passphrase":"hunter2"}`} {
			for method, path := range map[string]string{"POST": "/api/publish/other", "PUT": "/api/publish/:./s"} {
				code, got := s.Ask(t, method, path, `{"SourceKind":"local","Distribution":"t","Sources":[{"Name":"r"}],"Signing":`+signing+`}`)
				if code != 400 || !strings.Contains(got, "is not taken") || !strings.Contains(got, "--passphrase-file") || strings.Contains(got, "hunter") {
					t.Errorf("%s with %s: %d %s", method, signing, code, got)
				}
			}
		}
		s.Must(t, "PUT", "/api/publish/:./s", `{"Signing":{"Skip":true,"Passphrase":"hunter2"}}`, nil) // nothing is signed with it
		for _, part := range []string{"task", "publish"} {
			for row, err := range s.Drivers.Table.Scan(t.Context(), part, "") {
				if err != nil || bytes.Contains(row.Data, []byte("hunter")) {
					t.Errorf("%s: %v", row.Key, err)
				}
			}
		}
		s.Refused(t, "PUT", "/api/publish/:./s", `{"Signing":{"GpgKey":"nobody"}}`, 500, "unable to initialize GPG signer: couldn't find key for key reference nobody")
		s.Want(t, "PUT", "/api/publish/:./s", `{"Signing":{"gpgKey":"test@example.org"}}`, 200, "")
	})
}

// Items 5, 7 and 8: components, and changes of sources that are pending.
func TestPublishPending(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Fill(t, "x", apptest.Deb("bb", "1", "amd64"))
		const at = "/api/publish/:./s"
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, nil)
		s.Refused(t, "GET", at+"/sources", "", 404, "unable to show: No source changes exist")
		s.Want(t, "POST", at+"/sources", `{"Component":"extra/x","Name":"x"}`, 201, "{}")
		s.Refused(t, "POST", at+"/sources", `{"Component":"extra/x","Name":"x"}`, 400, "unable to create: Component 'extra/x' already exists")
		s.Want(t, "GET", at+"/sources", "", 200, `[{"Component":"extra/x","Name":"x"},{"Component":"main","Name":"r"}]`)
		s.Want(t, "GET", at, "", 200, object("s", ".", "local", `{"Component":"main","Name":"r"}`, `"amd64"`))
		s.Want(t, "PUT", at+"/sources/extra_x", `{"Name":"gone"}`, 200, "{}")
		s.Refused(t, "PUT", at, "{"+apptest.Unsigned+"}", 500, "unable to update: unable to update: local repo with name gone not found")
		s.Want(t, "GET", at+"/sources", "", 200, `[{"Component":"extra/x","Name":"gone"},{"Component":"main","Name":"r"}]`)
		s.Want(t, "PUT", at+"/sources/extra_x", `{"Component":"more","Name":"x"}`, 200, "{}")
		s.Want(t, "DELETE", at+"/sources/main", "", 200, "{}")
		s.Refused(t, "DELETE", at+"/sources/main", "", 404, "unable to delete: Component 'main' does not exist")
		s.Refused(t, "PUT", at+"/sources/main", `{"Name":"x"}`, 404, "unable to update: Component 'main' does not exist")
		s.Want(t, "PUT", at, "{"+apptest.Unsigned+"}", 200, object("s", ".", "local", `{"Component":"more","Name":"x"}`, `"amd64"`))
		if got := s.Indexed(t, "/dists/s/more/binary-amd64/Packages"); got != "bb=1" || s.File(t, "/dists/s/main/binary-amd64/Packages") != "" {
			t.Errorf("more has %q", got)
		}
		s.Want(t, "PUT", at+"/sources", `[{"Component":"a","Name":"x"},{"Component":"a","Name":"r"}]`, 200, `[{"Component":"a","Name":"r"}]`)
		s.Want(t, "DELETE", at+"/sources", "", 200, "{}")
		s.Want(t, "DELETE", at+"/sources", "", 200, "{}")

		s.Must(t, "PUT", at+"/sources/more", `{"Name":"r"}`, nil)
		s.Must(t, "PUT", "/api/repos/r", `{"Name":"renamed"}`, nil)
		s.Refused(t, "POST", at+"/update", "{"+apptest.Unsigned+"}", 500, "unable to update: unable to update: local repo with name r not found")
		s.Must(t, "PUT", "/api/repos/x", `{"Name":"y"}`, nil)
		s.Must(t, "DELETE", at+"/sources", "", nil)
		s.Want(t, "POST", at+"/update", "{"+apptest.Unsigned+"}", 200, object("s", ".", "local", `{"Component":"more","Name":"y"}`, `"amd64"`))
		s.Refused(t, "DELETE", "/api/repos/y", "", 409, "unable to drop, local repo is published")
		s.Want(t, "DELETE", "/api/repos/renamed", "", 200, "{}")
	})
}

// Item 6: an update keeps the architectures of the creation.
func TestPublishArchitecturesFrozen(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"), apptest.Deb("bb", "1", "all"))
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, nil)
		s.Add(t, "r", apptest.Deb("aa", "1", "i386"))
		s.Want(t, "PUT", "/api/publish/:./s", `{"Architectures":["i386"],`+apptest.Unsigned+`}`, 200, object("s", ".", "local", `{"Component":"main","Name":"r"}`, `"amd64"`))
		if got := s.Indexed(t, "/dists/s/main/binary-amd64/Packages"); got != "aa=1 bb=1" || s.File(t, "/dists/s/main/binary-i386/Packages") != "" {
			t.Errorf("amd64 has %q", got)
		}
	})
}

// Item 9: published packages are kept apart from the repository; publications
// of snapshots are switched.
func TestPublishKeepsAndSwitches(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		const index = "/main/binary-amd64/Packages"
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s1"}`, nil)
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"local","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, nil)
		s.Want(t, "POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"snap","Sources":[{"Name":"s1"}],`+apptest.Unsigned+`}`, 201,
			object("snap", ".", "snapshot", `{"Component":"main","Name":"s1"}`, `"amd64"`))
		s.Add(t, "r", apptest.Deb("bb", "1", "amd64"))
		s.Must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s2"}`, nil)
		if local, snap := s.Indexed(t, "/dists/local"+index), s.Indexed(t, "/dists/snap"+index); local != "aa=1" || snap != "aa=1" {
			t.Errorf("before an update: %q, %q", local, snap)
		}
		s.Refused(t, "PUT", "/api/publish/:./local", `{"Snapshots":[{"Component":"main","Name":"s2"}]}`, 400, "snapshots shouldn't be given when updating local repo")
		s.Refused(t, "PUT", "/api/publish/:./snap", `{"Snapshots":[{"Component":"main","Name":"s3"}]}`, 404, "snapshot with name s3 not found")
		s.Must(t, "PUT", "/api/publish/:./local", "{"+apptest.Unsigned+"}", nil)
		s.Must(t, "PUT", "/api/publish/:./snap", "{"+apptest.Unsigned+"}", nil)
		if local, snap := s.Indexed(t, "/dists/local"+index), s.Indexed(t, "/dists/snap"+index); local != "aa=1 bb=1" || snap != "aa=1" {
			t.Errorf("after an update: %q, %q", local, snap)
		}
		s.Want(t, "PUT", "/api/publish/:./snap?dryRun=1", `{"Snapshots":[{"Component":"main","Name":"s2"}],`+apptest.Unsigned+`}`, 200,
			`{"Components":[{"Component":"main","Source":"s2","Added":["bb_1_amd64"],"Removed":[],"AddedNumber":1,"RemovedNumber":0}],"Objects":8,…`)
		if snap := s.Indexed(t, "/dists/snap"+index); snap != "aa=1" {
			t.Errorf("after a dry run: %q", snap)
		}
		s.Want(t, "PUT", "/api/publish/:./snap", `{"Snapshots":[{"Component":"main","Name":"s2"}],`+apptest.Unsigned+`}`, 200,
			object("snap", ".", "snapshot", `{"Component":"main","Name":"s2"}`, `"amd64"`))
		if snap := s.Indexed(t, "/dists/snap"+index); snap != "aa=1 bb=1" {
			t.Errorf("after the switch: %q", snap)
		}
		s.Refused(t, "DELETE", "/api/snapshots/s2?force=1", "", 409, "unable to drop: snapshot is published")
		s.Want(t, "DELETE", "/api/snapshots/s1", "", 200, "{}")
		var revisions []struct{ Generation int }
		s.Must(t, "GET", "/api/publish/:./snap/revisions", "", &revisions)
		s.Want(t, "POST", "/api/publish/:./snap/rollback", fmt.Sprintf(`{"Generation":%d,%s}`, revisions[1].Generation, apptest.Unsigned), 200,
			object("snap", ".", "snapshot", `{"Component":"main","Name":"s1"}`, `"amd64"`))
		if snap := s.Indexed(t, "/dists/snap"+index); snap != "aa=1" {
			t.Errorf("after the rollback: %q", snap)
		}
	})
}

// Items 10, 11, 12 and 13: the contents of the files of the tree.
func TestPublishFiles(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("bb", "1", "amd64"), apptest.Deb("aa", "1:2", "amd64"), apptest.Deb("aa", "10", "amd64"), apptest.Deb("aa", "9", "all"))
		s.Fill(t, "none")
		s.Must(t, "POST", "/api/publish", `{"SourceKind":"local","Distribution":"s","Label":"L","Version":"3","NotAutomatic":"yes","ButAutomaticUpgrades":"yes",
			"Architectures":["source","amd64","i386","amd64"],"Sources":[{"Name":"r","Component":"main"},{"Name":"none","Component":"empty"}]}`, nil)
		if got := s.Indexed(t, "/dists/s/main/binary-amd64/Packages"); got != "aa=1:2 aa=10 aa=9 bb=1" {
			t.Error(got)
		}
		if stanza := s.File(t, "/dists/s/main/binary-amd64/Packages"); !strings.Contains(stanza, "\nMD5sum: ") || !strings.HasSuffix(stanza, "\n\n") {
			t.Error(stanza)
		}
		release := s.File(t, "/dists/s/Release")
		if got, _, _ := strings.Cut(s.File(t, "/dists/s/InRelease"), "\n"); got != "-----BEGIN PGP SIGNED MESSAGE-----" || s.File(t, "/dists/s/Release.gpg") == "" {
			t.Errorf("not signed: %q", got)
		}
		form := regexp.MustCompile(`^Origin: \. s\nLabel: L\nSuite: s\nVersion: 3\nCodename: s\nDate: [A-Z][a-z]{2}, [1-9][0-9]? [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} UTC\n` +
			`NotAutomatic: yes\nButAutomaticUpgrades: yes\nAcquire-By-Hash: yes\nArchitectures: amd64 i386\nComponents: empty main\nDescription: [^\n]+\n` +
			`MD5Sum:\n( [0-9a-f]{32} +[0-9]+ [^ \n]+\n)+SHA256:\n( [0-9a-f]{64} +[0-9]+ [^ \n]+\n)+$`)
		if !form.MatchString(release) {
			t.Error(release)
		}
		_, sums, _ := strings.Cut(release, "SHA256:\n")
		sums, _, _ = strings.Cut(sums, "SHA512:")
		var names []string
		for line := range strings.Lines(sums) {
			if size, _, ok := strings.Cut(strings.TrimLeft(line[66:], " "), " "); !ok || len(line[66:])-len(strings.TrimLeft(line[66:], " "))+len(size) != 8 {
				t.Errorf("line %q", line) // the size has 8 columns
			}
			names = append(names, strings.Fields(line)[2])
		}
		if !slices.IsSorted(names) {
			t.Errorf("%q", names)
		}
		for _, c := range []string{"main", "empty"} {
			for _, name := range []string{"binary-amd64/Packages", "binary-amd64/Packages.gz", "binary-amd64/Packages.bz2", "binary-amd64/Packages.bz2", "binary-i386/Packages", "binary-amd64/Release", "source/Sources", "source/Sources.gz", "source/Sources.bz2", "source/Release"} {
				if code, _ := s.Send(t, "GET", "/dists/s/"+c+"/"+name, "", nil); code != 200 || !slices.Contains(names, c+"/"+name) {
					t.Errorf("%s/%s: %d", c, name, code)
				}
			}
		}
		first := map[string]string{}
		for field, length := range map[string]int{"MD5Sum": 32, "SHA256": 64} {
			m := regexp.MustCompile(fmt.Sprintf(`(?m)^ ([0-9a-f]{%d}) +[0-9]+ main/binary-amd64/Packages$`, length)).FindStringSubmatch(release)
			path := "/dists/s/main/binary-amd64/by-hash/" + field + "/" + m[1]
			if first[path] = s.File(t, path); first[path] != s.File(t, "/dists/s/main/binary-amd64/Packages") {
				t.Errorf("%s is another file", path)
			}
		}
		s.Add(t, "r", apptest.Deb("cc", "1", "amd64"))
		s.Must(t, "PUT", "/api/publish/:./s", "{}", nil)
		for path, was := range first {
			if s.File(t, path) != was {
				t.Errorf("%s of the previous generation is gone", path)
			}
		}
	})
}

// Items 14, 15 and 16: conflicts, progress, and how a drop is asked for.
func TestPublishConflictDetailDrop(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		s.Fill(t, "q", append(apptest.Deb("aa", "1", "amd64"), '\n'))
		create := func(repo, dist, more string) string {
			return fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Sources":[{"Name":%q}],%s%s}`, dist, repo, more, apptest.Unsigned)
		}
		var created struct{ ID int }
		s.Must(t, "POST", "/api/publish?_async=1", create("r", "one", ""), &created)
		s.Must(t, "GET", fmt.Sprintf("/api/tasks/%d/wait", created.ID), "", nil)
		s.Want(t, "GET", fmt.Sprintf("/api/tasks/%d/detail", created.ID), "", 200, `{"Progress":{},"TotalNumberOfPackages":1,"RemainingNumberOfPackages":0,"Requests":{"Blobs.…`)
		code, got := s.Ask(t, "POST", "/api/publish", create("q", "two", ""))
		var refusal struct{ Error string }
		if err := json.Unmarshal([]byte(got), &refusal); err != nil || code != 400 ||
			!strings.HasPrefix(refusal.Error, "unable to publish: unable to process packages: error linking file to ") ||
			!strings.Contains(refusal.Error, "/pool/main/a/aa/aa_1_amd64.deb: file already exists and is different: aa_1_amd64 and aa_1_amd64 of ./one have the same path") {
			t.Errorf("%d %s", code, got)
		}
		s.Want(t, "POST", "/api/publish", create("q", "two", `"MultiDist":true,`), 201, "")
		s.Want(t, "POST", "/api/publish", create("q", "three", `"ForceOverwrite":true,`), 201, "")
		const file = "/pool/main/a/aa/aa_1_amd64.deb"
		s.Want(t, "DELETE", "/api/publish/:./three?SkipCleanup=1", "", 200, "{}")
		if s.File(t, "/dists/three/Release") != "" || s.File(t, file) == "" {
			t.Error("with SkipCleanup package files are to stay, and no index")
		}
		s.Want(t, "DELETE", "/api/publish/:./one?force=1", "", 200, "{}")
		if s.File(t, file) != "" || s.File(t, "/pool/two/main/a/aa/aa_1_amd64.deb") == "" {
			t.Error("the file of another pool is gone, or that of the last publication is left")
		}
		s.Want(t, "DELETE", "/api/publish/:./two", "", 200, "{}")
		for info, err := range s.Drivers.Blobs.List(t.Context(), "public/", "") {
			t.Errorf("%s is left: %v", info.Key, err)
		}
		if _, err := s.Drivers.Table.Get(t.Context(), driver.Key{Part: "publish", Sort: ":./two"}); err == nil {
			t.Error("the row is left")
		}
	})
}

// TestTickSignsAnew has a Release that expires made anew by a tick.
func TestTickSignsAnew(t *testing.T) {
	env := drivertest.NewEnv()
	p, err := apptest.Start(t.Context(), env, apptest.Signer(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Step("POST", "/api/repos", `{"Name":"r"}`), p.Step("POST", "/api/publish", strings.Replace(apptest.PublishBody, "{", `{"ValidFor":"2d",`, 1))); err != nil {
		t.Fatal(err)
	}
	const release = "public/dists/stable/Release"
	before := env.Memory.Objects(release)[release]
	for _, wait := range []time.Duration{0, 25 * time.Hour} {
		env.Clock.Advance(wait)
		if err := errors.Join(p.Tick(t.Context()), p.Drain(), p.Ended()); err != nil {
			t.Fatal(err)
		}
		if now := env.Memory.Objects(release)[release]; (now != before) != (wait > 0) {
			t.Errorf("after %v:\n%s", wait, now)
		}
	}
	if _, err := apptest.VerifyTree(env.Memory.Objects("public/"), "stable"); err != nil {
		t.Error(err)
	}
}

// TestPublishToStorage publishes the same to the default storage and to named ones.
func TestPublishToStorage(t *testing.T) {
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m, bucket := drivertest.NewMemory(time.Now), drivertest.NewMemory(time.Now)
	a, err := app.New(t.Context(), apptest.On(m), apptest.Signer(t), app.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Sleep:    func(context.Context, time.Duration) error { runtime.Gosched(); return nil },
		Storages: map[string]driver.Blobs{"filesystem:www": store.Blobs, "s3:eu": bucket.Blobs}})
	if err != nil {
		t.Fatal(err)
	}
	s := &apptest.Process{App: a}
	s.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, s.Dispatcher.Handle, 8) })
	s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
	const body = `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],` + apptest.Unsigned + `}`
	const packages = "dists/s/main/binary-amd64/Packages"
	for _, prefix := range []string{":.", "filesystem:www:deb_ian", "s3:eu:"} {
		s.Must(t, "POST", "/api/publish/"+prefix, body, nil)
	}
	s.Want(t, "GET", "/api/publish/s3:eu:./s", "", 200,
		strings.NewReplacer(`"./s"`, `"s3:eu:./s"`, `"Storage":""`, `"Storage":"s3:eu"`).Replace(object("s", ".", "local", `{"Component":"main","Name":"r"}`, `"amd64"`)))
	text := s.File(t, "/"+packages)
	for _, path := range []string{"/repos/-/" + packages, "/repos/www/deb/ian/" + packages} {
		if got := s.File(t, path); got != text || text == "" {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got := bucket.Objects("public/" + packages)["public/"+packages]; got != text || len(bucket.Objects("public/pool/main/a/aa/")) != 1 {
		t.Errorf("in the bucket: %q", got)
	}
	s.Want(t, "GET", "/repos/", "", 200, "<pre>\n<a href=\"www/\">www</a>\n</pre>\n")
	if s.File(t, "/repos/eu/"+packages) != "" || s.File(t, "/repos/none/"+packages) != "" {
		t.Error("a name that is no folder is served")
	}
	s.Add(t, "r", apptest.Deb("bb", "1", "amd64"))
	s.Must(t, "PUT", "/api/publish/s3:eu:./s", `{"Aliases":["alias"],`+apptest.Unsigned+"}", nil)
	got := bucket.Objects("public/" + packages)["public/"+packages]
	if !strings.Contains(got, "bb") || s.File(t, "/"+packages) != text {
		t.Errorf("in the bucket: %q", got)
	}
	alias := bucket.Objects("public/dists/alias/")
	if digest := sha256.Sum256([]byte(got)); alias["public/dists/alias/main/binary-amd64/Packages"] != got ||
		alias["public/dists/alias/main/binary-amd64/by-hash/SHA256/"+hex.EncodeToString(digest[:])] != got {
		t.Errorf("under the other name: %q", slices.Sorted(maps.Keys(alias)))
	}
	for _, prefix := range []string{":.", "filesystem:www:deb_ian", "s3:eu:"} {
		s.Want(t, "DELETE", "/api/publish/"+prefix+"/s", "", 200, "{}")
	}
	for name, blobs := range map[string]driver.Blobs{"default": m.Blobs, "www": store.Blobs, "eu": bucket.Blobs} {
		for info, err := range blobs.List(t.Context(), "public/", "") {
			t.Errorf("%s: %s is left: %v", name, info.Key, err)
		}
	}
}

// TestPublishSkeleton publishes files that an operator has put beside the indexes.
func TestPublishSkeleton(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		s.Fill(t, "r", apptest.Deb("aa", "1", "amd64"))
		put := func(name, text string) {
			t.Helper()
			if _, err := s.Drivers.Blobs.Put(t.Context(), "private/skel/team/x/dists/s/main/"+name, strings.NewReader(text), driver.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		const readme, at = "/team/x/dists/s/main/i18n/README", "/api/publish/team_x/s"
		put("i18n/README", "read me")
		s.Must(t, "POST", "/api/publish/team_x", `{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}],`+apptest.Unsigned+`}`, nil)
		listed := func() bool { return strings.Contains(s.File(t, "/team/x/dists/s/Release"), " main/i18n/README\n") }
		if s.File(t, readme) != "read me" || !listed() {
			t.Error("the file is not published")
		}
		put("i18n/README", "read me again")
		s.Must(t, "PUT", at, "{"+apptest.Unsigned+"}", nil)
		if s.File(t, readme) != "read me again" || !listed() {
			t.Error("the file is published as it was")
		}
		put("binary-amd64/Release", "mine")
		s.Refused(t, "PUT", at, "{"+apptest.Unsigned+"}", 500, "unable to update: unable to generate skeleton index: main/binary-amd64/Release is generated")
		if err := s.Drivers.Blobs.Delete(t.Context(), "private/skel/team/x/dists/s/main/binary-amd64/Release", "private/skel/team/x/dists/s/main/i18n/README"); err != nil {
			t.Fatal(err)
		}
		s.Must(t, "PUT", at, "{"+apptest.Unsigned+"}", nil)
		if s.File(t, readme) != "" || listed() {
			t.Error("the file is published still")
		}
	})
}

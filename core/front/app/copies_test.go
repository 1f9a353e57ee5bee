package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
)

// TestAcceptance5 creates from a snapshot.
func TestAcceptance5(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *served) {
		s.refused(t, "POST", "/api/repos", `{"Name":"x","FromSnapshot":"s"}`, 404, "source snapshot not found: snapshot with name s not found")
		s.fill(t, "r", buildDeb("aa", "1", "all"), buildDeb("bb", "1", "amd64"))
		s.must(t, "POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil)
		s.want(t, "POST", "/api/repos", `{"Name":"x","Comment":"c","FromSnapshot":"s"}`, 201,
			`{"Name":"x","Comment":"c","DefaultDistribution":"","DefaultComponent":""}`)
		s.refused(t, "POST", "/api/repos", `{"Name":"x","FromSnapshot":"s"}`, 409, "local repo with name x already exists")
		s.must(t, "DELETE", "/api/repos/r?force=1", "", nil)
		s.must(t, "DELETE", "/api/snapshots/s", "", nil)
		s.must(t, "POST", "/api/db/cleanup", "", nil)
		if got := s.names(t, "/api/repos/x"); got != "aa_1_all bb_1_amd64" {
			t.Errorf("packages %s", got)
		}
		s.add(t, "x", buildDeb("cc", "1", "amd64"))
		if got := s.names(t, "/api/repos/x"); got != "aa_1_all bb_1_amd64 cc_1_amd64" {
			t.Errorf("packages %s", got)
		}
	})
}

// TestNamesOfAnyCharacters has repositories with names that paths must encode,
// and renames them.
func TestNamesOfAnyCharacters(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *served) {
		for _, name := range []string{"with blank", "a:b/c", "100%", "a+b", "ü λ", ".", "..", `{{x`, "?#&;=", "a/", "/", "<b>", "'\"\\", "\u2028"} {
			path := func(name string) string { return "/api/repos/" + url.PathEscape(name) }
			object := func(name, comment string) string {
				data, err := json.Marshal(struct{ Name, Comment, DefaultDistribution, DefaultComponent string }{name, comment, "d", ""})
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
			s.want(t, "POST", "/api/repos", object(name, "c"), 201, object(name, "c"))
			s.must(t, "POST", "/api/repos", `{"Name":"taken"}`, nil)
			s.want(t, "PUT", path(name), `{"Comment":"x"}`, 200, object(name, "x"))
			renamed := name + " @renamed"
			s.refused(t, "PUT", path(name), `{"Name":"taken"}`, 409, `unable to rename: local repo "taken" already exists`)
			s.want(t, "PUT", path(name), `{"NAME":`+mustJSON(renamed)+`,"comment":"new","Unknown":[1]}`, 200, object(renamed, "new"))
			s.refused(t, "GET", path(name), "", 404, "local repo with name "+name+" not found")
			s.want(t, "GET", path(renamed), "", 200, object(renamed, "new"))
			s.want(t, "DELETE", path(renamed), "", 200, "{}")
			s.must(t, "DELETE", "/api/repos/taken", "", nil)
		}
		s.want(t, "GET", "/api/repos", "", 200, "[]")
	})
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// TestRenameKeepsIdentity renames a repository that is published, and gives its
// name to another: the publication stays with the first.
func TestRenameKeepsIdentity(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *served) {
		s.fill(t, "r", buildDeb("aa", "1", "amd64"))
		s.must(t, "POST", "/api/publish", publishBody, nil)
		s.must(t, "PUT", "/api/repos/r", `{"Name":"first"}`, nil)
		s.fill(t, "r", buildDeb("bb", "1", "amd64"))
		s.must(t, "POST", "/api/repos", `{"Name":"to"}`, nil)
		s.add(t, "first", buildDeb("cc", "1", "amd64"))
		s.must(t, "PUT", "/api/publish/:./stable", "{}", nil)
		s.refused(t, "DELETE", "/api/repos/first", "", 409, "unable to drop, local repo is published")
		s.must(t, "DELETE", "/api/repos/r", "", nil)
		if got := s.names(t, "/api/repos/first"); got != "aa_1_amd64 cc_1_amd64" {
			t.Errorf("packages %s", got)
		}
		var published struct{ Sources []struct{ Name string } }
		if s.must(t, "GET", "/api/publish/:./stable", "", &published); len(published.Sources) != 1 || published.Sources[0].Name != "first" {
			t.Errorf("published %+v", published)
		}
	})
}

// TestTreeBelowRepos reads what is published where aptly serves it.
func TestTreeBelowRepos(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *served) {
		s.fill(t, "r", buildDeb("aa", "1", "amd64"))
		s.must(t, "POST", "/api/publish", publishBody, nil)
		s.want(t, "GET", "/repos", "", 301, "")
		s.want(t, "GET", "/repos/", "", 200, "<pre>\n<a href=\"-/\">default</a>\n</pre>\n")
		_, release := s.ask(t, "GET", "/dists/stable/Release", "")
		s.want(t, "GET", "/repos/-/dists/stable/Release", "", 200, release)
		for _, path := range []string{"/repos/x/dists/stable/Release", "/repos/-/", "/repos/-/private/pool", "/repos/-/../private/pool"} {
			s.want(t, "GET", path, "", 404, "404 page not found")
		}
		s.want(t, "GET", "/repos/-//private/pool", "", 301, "<a href=\"/repos/-/private/pool\">Moved Permanently</a>.\n\n")
		s.want(t, "GET", "//dists/stable/Release", "", 301, "<a href=\"/dists/stable/Release\">Moved Permanently</a>.\n\n")
	})
}

// TestAcceptance17 copies packages from one repository to another.
func TestAcceptance17(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *served) {
		app := debtest.Deb(debtest.Spec{Package: "app", Version: "1", Architecture: "amd64", Fields: map[string]string{"Depends": "lib (>= 1), base | other"}})
		s.fill(t, "src", app, buildDeb("lib", "1", "amd64"), buildDeb("base", "2", "all"), buildDeb("zz", "1", "amd64"))
		s.fill(t, "dst")
		const copied = `{"Report":{"Warnings":[%s],"Added":[%s],"Removed":[]}}`
		s.want(t, "POST", "/api/repos/dst/copy/src/zz_1_amd64", "", 400, `{"error":"EOF"}`)
		s.want(t, "POST", "/api/repos/dst/copy/src/zz_1_amd64", "{}", 200, fmt.Sprintf(copied, "", `"added zz-1(amd64)"`))
		if got := s.names(t, "/api/repos/dst"); got != "zz_1_amd64" {
			t.Errorf("packages %s", got)
		}
		const dry = `"Changes not saved, as dry run has been requested"`
		const all = `"added app-1(amd64)","added base-2(all)","added lib-1(amd64)"`
		s.want(t, "POST", "/api/repos/dst/copy/src/app", `{"dry-run":true,"with-deps":true}`, 200, fmt.Sprintf(copied, dry, all))
		if code, got := s.send(t, "POST", "/api/repos/dst/copy/src/app?DryRun=true", "", nil); code != 200 || got != fmt.Sprintf(copied, dry, `"added app-1(amd64)"`) {
			t.Errorf("dry run by query: %d %s", code, got)
		}
		if got := s.names(t, "/api/repos/dst"); got != "zz_1_amd64" {
			t.Errorf("packages after a dry run: %s", got)
		}
		s.add(t, "dst", buildDeb("other", "1", "all")) // satisfies "base | other"
		s.want(t, "POST", "/api/repos/dst/copy/src/app%20(%3E%3D%201)", `{"with-deps":true}`, 200, fmt.Sprintf(copied, "", `"added app-1(amd64)","added lib-1(amd64)"`))
		if got := s.names(t, "/api/repos/dst"); got != "other_1_all app_1_amd64 lib_1_amd64 zz_1_amd64" {
			t.Errorf("packages %s", got)
		}
		const path = "/api/repos/dst/copy/src/"
		for _, tc := range []struct{ query, body, output string }{
			{"lalala%20%3E%3E", "{}", "unable to parse query 'lalala >>': parsing failed: unexpected token >>: expecting end of query"},
			{"lalala", "{}", "no package found for filter: 'lalala'"},
		} {
			if state, output := s.task(t, "POST", path+tc.query, tc.body); state != 3 || output != "Task failed with error: "+tc.output {
				t.Errorf("state %d, %s", state, output)
			}
			s.refused(t, "POST", path+tc.query, tc.body, 422, tc.output)
		}
		s.refused(t, "POST", "/api/repos/none/copy/src/zz", "{}", 400, "dest repo error: local repo with name none not found")
		s.refused(t, "POST", "/api/repos/dst/copy/none/zz", "{}", 400, "src repo error: local repo with name none not found")
		s.refused(t, "POST", "/api/repos/src/copy/src/zz", "{}", 400, "dest and source are identical")
		s.must(t, "POST", "/api/repos", `{"Name":"empty"}`, nil)
		s.refused(t, "POST", "/api/repos/empty/copy/src/app", `{"with-deps":true}`, 422, "unable to determine list of architectures, please specify explicitly")
		s.fill(t, "clash", debtest.Deb(debtest.Spec{Package: "zz", Version: "1", Architecture: "amd64"}))
		s.refused(t, "POST", "/api/repos/clash/copy/src/Name", "{}", 500, "error processing dest add: package already exists and is different: zz_1_amd64")
		if got := s.names(t, "/api/repos/clash"); got != "zz_1_amd64" {
			t.Errorf("packages %s", got)
		}
	})
}

// TestAcceptance30 is item 30: keys are imported by armour and from a key
// server, listed and deleted.
func TestAcceptance30(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *served) {
		key := testSigner(t).PublicKeys()[0]
		s.want(t, "GET", "/api/gpg/keys", "", 200, `{"Keys":null}`)
		armor := mustJSON(string(key.Armor()))
		s.want(t, "POST", "/api/gpg/key", `{"GpgKeyArmor":`+armor+`,"Keyring":"/etc/team.gpg"}`, 200, `"gpg: key `+key.ID().String()+`: public key…`)
		s.want(t, "GET", "/api/gpg/keys", "", 200, `{"Keys":null}`)
		s.want(t, "GET", "/api/gpg/keys?keyring=/etc/team.gpg", "", 200, fmt.Sprintf(`{"Keys":[{"KeyID":"%s","Fingerprint":"%s","Validity":"-","UserIDs":["Test \u003ctest@example.org\u003e"],"CreatedAt":"%d"}]}`,
			key.ID(), key.Fingerprint(), signingTime.Unix()))
		s.want(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":"`+key.Fingerprint()+`","Keyring":"etc/team.gpg"}`, 200, `""`)
		s.want(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":"DEADBEEF"}`, 400, `{"error":"failed to delete key: gpg: key \"DEADBEEF\" not found: Not found…`)
		s.refused(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":" "}`, 400, "GpgKeyID is required")
		s.refused(t, "DELETE", "/api/gpg/key", `{"GpgKeyID":1}`, 400, "json: cannot unmarshal number into Go struct field gpgDeleteKeyParams.GpgKeyID of type string")
		s.want(t, "POST", "/api/gpg/key", `{"GpgKeyArmor":"x"}`, 400, `"gpg: no valid OpenPGP data found.…`)
		s.refused(t, "POST", "/api/gpg/key", `{}`, 400, "GpgKeyArmor or GpgKeyID is required")
		s.want(t, "POST", "/api/gpg/key", `{"GpgKeyArmor":`+armor+`,"GpgKeyID":"X"}`, 400, `"gpg: conflicting commands\n"`)
		s.want(t, "POST", "/api/gpg/key", `{"GpgKeyID":"DEADBEEF"}`, 400, `"gpg: keyserver receive failed: https://keys.openpgp.org/…`)
	})
	p, err := start(t.Context(), drivertest.NewEnv(), testSigner(t)) // which may ask no other servers
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.do("POST", "/api/gpg/key", "application/json", []byte(`{"GpgKeyID":"DEADBEEF"}`)); err == nil || !strings.Contains(err.Error(), "key servers are not configured") {
		t.Errorf("without key servers: %v", err)
	}
}

// TestReceiveKeys imports from a key server.
func TestReceiveKeys(t *testing.T) {
	key := testSigner(t).PublicKeys()[0]
	env := drivertest.NewEnv()
	a, err := New(t.Context(), Drivers{env.Blobs, env.Table, env.Queue}, testSigner(t), Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: env.Clock.Now,
		Upstream: upstreamtest.Serve("http://keyserver.example:80/", upstreamtest.Tree{"pks/lookup?op=get&options=mr&search=0x" + key.ID().String(): key.Armor()})})
	if err != nil {
		t.Fatal(err)
	}
	s := &served{App: a}
	s.want(t, "POST", "/api/gpg/key", `{"Keyserver":"hkp://keyserver.example:80","GpgKeyID":"`+key.ID().String()+`"}`, 200, `"gpg: key…`)
	s.want(t, "GET", "/api/gpg/keys", "", 200, `{"Keys":[{"KeyID":"`+key.ID().String()+`"…`)
	s.want(t, "POST", "/api/gpg/key", `{"Keyserver":"hkp://keyserver.example:80","GpgKeyID":"DEADBEEF"}`, 400, `"gpg: keyserver receive failed: HTTP code 404 while fetching http://keyserver.example:80/pks/lookup?…`)
}

// TestSweepCopy interrupts copying between repositories at every call of a port.
func TestSweepCopy(t *testing.T) {
	t.Parallel()
	signer := testSigner(t)
	const path = "/api/repos/to/copy/r/bb"
	drivertest.Sweep(t, drivertest.Journey{
		Setup: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.upload("d", map[string][]byte{"a_1_all.deb": buildDeb("aa", "1", "all"), "bb_1_amd64.deb": buildDeb("bb", "1", "amd64")}); err != nil {
				return err
			}
			for _, s := range [][3]string{{"POST", "/api/repos", `{"Name":"r"}`}, {"POST", "/api/repos", `{"Name":"to"}`}, {"POST", "/api/repos/r/file/d", ""}} {
				if err := p.step(s[0], s[1], s[2]); err != nil {
					return err
				}
			}
			return nil
		},
		Run: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			return p.step("POST", path, "{}")
		},
		Recover: func(ctx context.Context, env *drivertest.Env) error {
			p, err := start(ctx, env, signer)
			if err != nil {
				return err
			}
			if err := p.resume(); err != nil {
				return err
			}
			return p.step("POST", path, "{}") // to copy again changes nothing
		},
		Verify: func(env *drivertest.Env, _ error) error {
			p, err := start(context.Background(), env, signer)
			if err != nil {
				return err
			}
			data, err := p.do("GET", "/api/repos/to/packages", "", nil)
			if want := mustJSON([]string{debKey("bb")}); err != nil || !bytes.Equal(data, []byte(want)) {
				return fmt.Errorf("packages %s, %v", data, err)
			}
			if data, err = p.do("GET", "/api/repos/r/packages", "", nil); err != nil || strings.Count(string(data), `"`) != 4 {
				return fmt.Errorf("packages of the source %s, %v", data, err)
			}
			return ended(p)
		},
	})
}

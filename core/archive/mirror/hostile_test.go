package mirror_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// stanza returns the stanza of a package of debtest in an index, with its own
// digests or other ones.
func stanza(spec debtest.Spec, filename, sums string) string {
	data := debtest.Deb(spec)
	h := deb.NewHasher()
	h.Write(data)
	f := h.File("")
	sums = strings.NewReplacer("{md5}", "MD5sum: "+f.MD5, "{sha256}", "SHA256: "+f.SHA256).Replace(sums)
	return fmt.Sprintf("%sFilename: %s\nSize: %d\n%s\n", debtest.Control(spec), filename, f.Size, sums)
}

// lists publishes an archive whose main component lists stanzas and has files.
func lists(s *apptest.Process, spec upstreamtest.Spec, stanzas []string, files map[string][]byte) {
	text := []byte(strings.Join(stanzas, ""))
	spec.Components = map[string]upstreamtest.Component{"main": {}}
	spec.Extra = map[string][]byte{"main/binary-amd64/Packages": text, "main/binary-amd64/Packages.gz": upstreamtest.Compress(text, ".gz")}
	tree := upstreamtest.Build(spec)
	for path, data := range files {
		tree[path] = data
	}
	s.Upstream.Set(tree)
}

// TestMD5IndexesAreCheckedAndCompleted mirrors packages whose index has only MD5.
// Their files are checked by MD5, and have all digests afterwards.
func TestMD5IndexesAreCheckedAndCompleted(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		aa, bb := debtest.Spec{Package: "aa"}, debtest.Spec{Package: "bb"}
		files := map[string][]byte{"aa_1.0_all.deb": debtest.Deb(aa), "x/bb_1.0_all.deb": debtest.Deb(bb)}
		lists(s, spec, []string{stanza(aa, "aa_1.0_all.deb", "{md5}\n"), stanza(bb, "x/bb_1.0_all.deb", "{md5}\n")}, files)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Want(t, "PUT", "/api/mirrors/m", "{}", 204, "")
		var details []map[string]string
		if s.Must(t, "GET", "/api/mirrors/m/packages?format=details", "", &details); len(details) != 2 || len(details[0]["SHA256"]) != 64 || len(details[1]["SHA1"]) != 40 {
			t.Errorf("packages %v", details)
		}
		// The next update takes the digests from the mirror's list.
		s.Upstream.Asked()
		s.Want(t, "PUT", "/api/mirrors/m", `{"LatestOnly":true}`, 204, "")
		for path := range s.Upstream.Asked() {
			if strings.HasSuffix(path, ".deb") {
				t.Errorf("%s is fetched again", path)
			}
		}
		lists(s, spec, []string{stanza(aa, "aa_1.0_all.deb", "MD5sum: 00112233445566778899aabbccddeeff\n")}, files)
		s.Want(t, "PUT", "/api/mirrors/m", `{"Strict":true}`, 500, `{"error":"unable to update: download errors:\n  https://archive.example.org/debian/aa_1.0_all.deb: md5 hash mismatch…`)
		lists(s, spec, []string{stanza(aa, "aa_1.0_all.deb", ""), stanza(bb, "x/bb_1.0_all.deb", "{sha256}\n")}, files)
		output, _ := updated(t, s, "m", "{}")
		if !strings.Contains(output, "skipping package aa_1.0_all: no checksums in packages index") {
			t.Errorf("output %q", output)
		}
		if got := s.Names(t, "/api/mirrors/m"); got != "bb_1.0_all" {
			t.Errorf("packages %s", got)
		}
		s.Want(t, "PUT", "/api/mirrors/m", `{"IgnoreChecksums":true}`, 204, "")
		if got := s.Names(t, "/api/mirrors/m"); got != "aa_1.0_all bb_1.0_all" {
			t.Errorf("packages %s", got)
		}
	})
}

func TestHostileIndexesAreRefusedOrSkipped(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		lists(s, spec, nil, nil)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		aa, other := debtest.Spec{Package: "aa"}, debtest.Spec{Package: "aa", Files: map[string]string{"a": "b"}}
		file := map[string][]byte{"aa_1.0_all.deb": debtest.Deb(aa)}
		good := stanza(aa, "aa_1.0_all.deb", "{sha256}\n")
		for name, c := range map[string]struct {
			stanzas   []string
			want, say string // packages; or an error, which has a blank
		}{
			"path out of the archive":  {[]string{stanza(aa, "../../etc/aa_1.0_all.deb", "{sha256}\n")}, "path leads out of the archive", ""},
			"no stanza":                {[]string{good, "no stanza\n\n"}, "malformed stanza syntax", ""},
			"file that is missing":     {[]string{good, stanza(debtest.Spec{Package: "bb"}, "bb.deb", "{sha256}\n")}, "HTTP code 404 while fetching", ""},
			"name that is none":        {[]string{good, strings.Replace(good, "Package: aa", "Package: ../aa", 1)}, "1 packages cannot be taken or ../aa", ""},
			"one package twice":        {[]string{good, good}, "aa_1.0_all", ""},
			"two packages of a name":   {[]string{good, stanza(other, "other/aa_1.0_all.deb", "{sha256}\n")}, "aa_1.0_all", "skipping package aa_1.0_all: duplicate in packages index@|\n"},
			"digests that contradict":  {[]string{stanza(aa, "aa_1.0_all.deb", "{sha256}\nMD5sum: 00112233445566778899aabbccddeeff\n")}, "contradict each other or md5 hash mismatch", ""},
			"two digests for one path": {[]string{good, strings.Replace(stanza(debtest.Spec{Package: "bb"}, "aa_1.0_all.deb", "{sha256}\n"), "aa", "aa", 1)}, "hash mismatch or another file", ""},
		} {
			lists(s, spec, c.stanzas, file)
			output, _ := updated(t, s, "m", `{"IgnoreValidUntil":true,"Strict":true}`)
			if strings.Contains(c.want, " ") {
				words := strings.Split(c.want, " or ")
				if !strings.Contains(output, "Task failed with error: unable to update: ") || !strings.Contains(output, words[0]) && !strings.Contains(output, words[len(words)-1]) {
					t.Errorf("%s: %q", name, output)
				}
				continue
			}
			if got := s.Names(t, "/api/mirrors/m"); got != c.want || !strings.Contains(output, c.say) || !strings.HasSuffix(output, "Task succeeded") {
				t.Errorf("%s: %s, %q", name, got, output)
			}
		}
	})
}

// TestUnlistedIndexesNeedSkipComponentCheck reads an index that Release does not
// list. It counts with SkipComponentCheck if signatures are not checked.
func TestUnlistedIndexesNeedSkipComponentCheck(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		spec.Fields = map[string]string{"Components": "main contrib"}
		whole := upstreamtest.Build(spec)
		delete(spec.Components, "main")
		s.Upstream.Set(upstreamtest.Build(spec))
		without := upstreamtest.Build(spec)
		for path, data := range whole {
			if strings.HasPrefix(path, "dists/stable/main/") || strings.HasPrefix(path, "pool/main/") {
				without[path] = data
			}
		}
		s.Upstream.Set(without)
		for _, c := range []struct {
			create, update, want string // want is the error of the update, or the packages
		}{
			{`"Components":["main"],"IgnoreSignatures":true`, `{"IgnoreSignatures":true}`, "no candidates for "},
			{`"Components":["main"],"IgnoreSignatures":true,"SkipComponentCheck":true`, `{"IgnoreSignatures":true}`, "hello-data_1:2.10+b1_all hello_2.10-3_amd64"},
			{`"Components":["main"],"SkipComponentCheck":true`, `{}`, "the signed Release file does not list it"},
			{`"Components":["main"],"SkipComponentCheck":true`, `{"IgnoreChecksums":true}`, "hello-data_1:2.10+b1_all hello_2.10-3_amd64"},
			{`"Components":[]`, `{}`, "other_1.0_all"}, // like apt, ignore a component without an index
		} {
			s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+","+c.create+"}", nil)
			code, got := s.Ask(t, "PUT", "/api/mirrors/m", c.update)
			if code == 204 {
				got = s.Names(t, "/api/mirrors/m")
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%s, %s: %d %s, want %s", c.create, c.update, code, got, c.want)
			}
			s.Want(t, "DELETE", "/api/mirrors/m", "", 204, "")
		}
	})
}

// TestSkipComponentCheckStillVerifiesIndexes serves an index that differs from
// the signed Release. A mirror with SkipComponentCheck refuses it too.
func TestSkipComponentCheckStillVerifiesIndexes(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		good := upstreamtest.Build(spec)
		evil := spec
		main := spec.Components["main"]
		main.Packages = append([]debtest.Spec{{Package: "evil"}, {Package: "evil-udeb", Udeb: true}}, main.Packages...)
		main.Sources = append([]debtest.SourceSpec{{Source: "evil", Version: "1-1"}}, main.Sources...)
		evil.Components = map[string]upstreamtest.Component{"main": main}
		evil.Suffixes = []string{"", ".gz", ".bz2", ".xz", ".zst"}
		tampered := upstreamtest.Build(evil)
		s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"SkipComponentCheck":true,"DownloadUdebs":true,"DownloadSources":true}`, nil)
		for _, index := range []string{"main/binary-amd64/Packages", "main/debian-installer/binary-amd64/Packages", "main/source/Sources"} {
			tree := maps.Clone(good)
			for path, data := range tampered {
				if strings.HasPrefix(path, "dists/stable/"+index) || strings.Contains(path, "evil") {
					tree[path] = data
				}
			}
			s.Upstream.Set(tree)
			code, got := s.Ask(t, "PUT", "/api/mirrors/m", "{}")
			if code != 500 || !strings.Contains(got, "mismatch") {
				t.Errorf("%s: %d %s", index, code, got)
			}
			s.Refused(t, "GET", "/api/mirrors/m/packages", "", 404, "unable to show package list, mirror hasn't been downloaded yet")
		}
		s.Upstream.Set(good)
		s.Want(t, "PUT", "/api/mirrors/m", "{}", 204, "")
	})
}

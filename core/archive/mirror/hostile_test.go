package mirror_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// stanza is that of a package of debtest in an index, with its digests or others.
func stanza(spec debtest.Spec, filename, sums string) string {
	data := debtest.Deb(spec)
	h := deb.NewHasher()
	h.Write(data)
	f := h.File("")
	sums = strings.NewReplacer("{md5}", "MD5sum: "+f.MD5, "{sha256}", "SHA256: "+f.SHA256).Replace(sums)
	return fmt.Sprintf("%sFilename: %s\nSize: %d\n%s\n", debtest.Control(spec), filename, f.Size, sums)
}

// lists has the archive's main component list stanzas, and have files.
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

// TestWeakDigests mirrors packages of which the index has only MD5: they are
// fetched, checked by it, and known by all digests then.
func TestWeakDigests(t *testing.T) {
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
		// Another update takes what is known of them from the mirror's list.
		s.Upstream.Asked()
		s.Want(t, "PUT", "/api/mirrors/m", `{"LatestOnly":true}`, 204, "")
		for path := range s.Upstream.Asked() {
			if strings.HasSuffix(path, ".deb") {
				t.Errorf("%s is fetched again", path)
			}
		}
		lists(s, spec, []string{stanza(aa, "aa_1.0_all.deb", "MD5sum: 00112233445566778899aabbccddeeff\n")}, files)
		s.Want(t, "PUT", "/api/mirrors/m", "{}", 500, `{"error":"unable to update: download errors:\n  https://archive.example.org/debian/aa_1.0_all.deb: md5 hash mismatch…`)
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

// TestHostileIndexes: an index may say anything.
func TestHostileIndexes(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		lists(s, spec, nil, nil)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		aa, other := debtest.Spec{Package: "aa"}, debtest.Spec{Package: "aa", Files: map[string]string{"a": "b"}}
		file := map[string][]byte{"aa_1.0_all.deb": debtest.Deb(aa)}
		good := stanza(aa, "aa_1.0_all.deb", "{sha256}\n")
		for name, c := range map[string]struct {
			stanzas   []string
			want, say string // packages, or the error if it has a blank
		}{
			"path out of the archive":  {[]string{stanza(aa, "../../etc/aa_1.0_all.deb", "{sha256}\n")}, "path leads out of the archive", ""},
			"no stanza":                {[]string{good, "no stanza\n\n"}, "malformed stanza syntax", ""},
			"file that is missing":     {[]string{good, stanza(debtest.Spec{Package: "bb"}, "bb.deb", "{sha256}\n")}, "HTTP code 404 while fetching", ""},
			"name that is none":        {[]string{strings.Replace(good, "Package: aa", "Package: ../aa", 1), good}, "aa_1.0_all", "skipping package "},
			"one package twice":        {[]string{good, good}, "aa_1.0_all", ""},
			"two packages of a name":   {[]string{good, stanza(other, "other/aa_1.0_all.deb", "{sha256}\n")}, "aa_1.0_all", "skipping package aa_1.0_all: duplicate in packages index@|\n"},
			"digests that contradict":  {[]string{stanza(aa, "aa_1.0_all.deb", "{sha256}\nMD5sum: 00112233445566778899aabbccddeeff\n")}, "contradict each other or md5 hash mismatch", ""},
			"two digests for one path": {[]string{good, strings.Replace(stanza(debtest.Spec{Package: "bb"}, "aa_1.0_all.deb", "{sha256}\n"), "aa", "aa", 1)}, "hash mismatch or another file", ""},
		} {
			lists(s, spec, c.stanzas, file)
			output, _ := updated(t, s, "m", `{"IgnoreValidUntil":true}`)
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

// TestUnlistedIndexes is D-09: with SkipComponentCheck, indexes count that
// Release does not list.
func TestUnlistedIndexes(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		tree := upstreamtest.Build(spec)
		unlisted := bytes.ReplaceAll(tree["dists/stable/Release"], []byte("main/binary-amd64/"), []byte("gone/binary-amd64/"))
		tree["dists/stable/Release"] = unlisted
		delete(tree, "dists/stable/InRelease")
		s.Upstream.Set(tree)
		for _, c := range []struct {
			body   string
			status int
		}{{`,"IgnoreSignatures":true}`, 500}, {`,"IgnoreSignatures":true,"SkipComponentCheck":true}`, 204}} {
			s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+c.body, nil)
			if code, got := s.Ask(t, "PUT", "/api/mirrors/m", `{"IgnoreSignatures":true}`); code != c.status {
				t.Errorf("%s: %d %s", c.body, code, got)
			}
			s.Want(t, "DELETE", "/api/mirrors/m", "", 204, "")
		}
	})
}

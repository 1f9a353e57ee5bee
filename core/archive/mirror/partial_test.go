package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/mirror"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// inMemory returns a process with workers and storage in memory.
func inMemory(t *testing.T) *apptest.Process {
	t.Helper()
	m := drivertest.NewMemory(time.Now)
	p := apptest.New(t, apptest.On(m))
	p.Serve(t, func(ctx context.Context) { m.Queue.Serve(ctx, p.Dispatcher.Handle, 8) })
	return p
}

// partial updates a mirror and returns the Partial of the answer.
func partial(t *testing.T, s *apptest.Process, body string) (code int, p mirror.Partial) {
	t.Helper()
	code, got := s.Ask(t, "PUT", "/api/mirrors/m", body)
	if code == 200 {
		if err := json.Unmarshal([]byte(got), &p); err != nil {
			t.Fatal(err)
		}
	} else if code != 204 {
		t.Fatalf("%d %s", code, got)
	}
	return code, p
}

// TestLargePartialUpdateTakesTheRest mirrors an archive in which each kind of
// fault hits one package in a hundred. A file is missing, differs from the index,
// or has a bad stanza. Further updates run before and after the archive is
// mended.
func TestLargePartialUpdateTakesTheRest(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 500
	}
	s := inMemory(t)
	spec := s.Archive(t)
	var good, odd []string
	files, broken := map[string][]byte{}, map[string][]byte{}
	var missing, skipped int
	for i := range n {
		p := debtest.Spec{Package: fmt.Sprintf("p%05d", i), Compression: "none"}
		path := "pool/" + debtest.FileName(p)
		text := stanza(p, path, "{sha256}\n")
		files[path] = debtest.Deb(p)
		good = append(good, text)
		switch i % 100 {
		case 10:
			missing++
		case 40:
			missing++
			broken[path] = append(bytes.Clone(files[path]), 0)
			if i%200 == 40 { // same size, other bytes
				broken[path] = bytes.Clone(files[path])
				broken[path][len(broken[path])-1] ^= 1
			}
		case 70:
			skipped++
			text = strings.Replace(text, []string{"Version: 1.0\n", "Architecture: all\n", "Package: " + p.Package + "\n"}[skipped%3], "", 1)
			broken[path] = files[path]
		default:
			broken[path] = files[path]
		}
		odd = append(odd, text)
	}
	lists(s, spec, odd, broken)
	s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
	code, p := partial(t, s, "{}")
	if code != 200 || !p.Partial || p.MissingPackages != missing || p.MissingFiles != missing || p.SkippedStanzas != skipped || len(p.Missing) == 0 || len(p.Reasons) != len(p.Missing) {
		t.Errorf("%d, %d packages and %d files missing, %d stanzas, %q", code, p.MissingPackages, p.MissingFiles, p.SkippedStanzas, p.Missing)
	}
	if len(p.Skipped) != min(skipped, 20) || !strings.HasPrefix(p.Skipped[0], "p00070: ") && !strings.HasPrefix(p.Skipped[0], "p00070 1.0: ") {
		t.Errorf("skipped stanzas are named %q", p.Skipped)
	}
	t.Logf("%d packages, %d missing or wrong, %d odd stanzas: 1st update %+v", n, missing, skipped, p)
	if got := len(s.Keys(t, "/api/mirrors/m")); got != n-missing-skipped {
		t.Errorf("%d packages, want %d", got, n-missing-skipped)
	}
	var view struct{ Partial bool }
	if s.Must(t, "GET", "/api/mirrors/m", "", &view); !view.Partial {
		t.Error("the mirror does not say that it is partial")
	}
	// A snapshot of the mirror can be published, since it names no missing file.
	s.Want(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, 201, "")
	s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Sources":[{"Name":"s"}],"Architectures":["amd64"],"Signing":{"Skip":true}}`, 201, "")

	s.Upstream.Asked()
	if _, p = partial(t, s, "{}"); p.MissingPackages != missing {
		t.Errorf("%d packages missing", p.MissingPackages)
	}
	asked := slices.Collect(maps.Keys(s.Upstream.Asked()))
	asked = slices.DeleteFunc(asked, func(path string) bool { return !strings.HasPrefix(path, "pool/") })
	if len(asked) != missing {
		t.Errorf("asked for %d files again, want %d", len(asked), missing)
	}

	lists(s, spec, good, files)
	if code, p = partial(t, s, "{}"); code != 204 {
		t.Errorf("%d %+v", code, p)
	}
	if got := len(s.Keys(t, "/api/mirrors/m")); got != n {
		t.Errorf("%d packages, want %d", got, n)
	}
	if asked := s.Upstream.Asked(); len(packageFiles(asked)) != missing+skipped {
		t.Errorf("asked for %d files", len(packageFiles(asked)))
	}
	s.Want(t, "PUT", "/api/mirrors/m", "{}", 204, "")
	if asked := s.Upstream.Asked(); len(asked) != 1 {
		t.Errorf("a whole mirror of an unchanged archive asks for %v", asked)
	}
}

// TestMissingFileStopsNoOtherPackage damages one package in several ways. The
// others are mirrored, and the answer gives the reason. A strict update fails.
func TestMissingFileStopsNoOtherPackage(t *testing.T) {
	foo, bar := debtest.Spec{Package: "foo"}, debtest.Spec{Package: "bar"}
	const fooPath, barPath = "pool/foo_1.0_all.deb", "pool/bar_1.0_all.deb"
	fooText, barText := stanza(foo, fooPath, "{sha256}\n"), stanza(bar, barPath, "{sha256}\n")
	without := func(field string) string {
		for line := range strings.SplitSeq(fooText, "\n") {
			if strings.HasPrefix(line, field) {
				return strings.Replace(fooText, line+"\n", "", 1)
			}
		}
		return fooText
	}
	old := debtest.Spec{Package: "foo", Version: "0.9", Files: map[string]string{"a": strings.Repeat("x", 5000)}}
	stale := stanza(old, fooPath, "{sha256}\n")
	for name, c := range map[string]struct {
		foo    []string // stanzas
		file   []byte   // of foo; nil if missing
		want   string   // packages
		reason string   // "" for a complete mirror
	}{
		"all there":            {[]string{fooText}, debtest.Deb(foo), "bar_1.0_all foo_1.0_all", ""},
		"missing":              {[]string{fooText}, nil, "bar_1.0_all", "HTTP code 404"},
		"longer":               {[]string{fooText}, append(debtest.Deb(foo), 0), "bar_1.0_all", fmt.Sprintf("is %d bytes, listed with %d", len(debtest.Deb(foo))+1, len(debtest.Deb(foo)))},
		"shorter":              {[]string{fooText}, debtest.Deb(foo)[:100], "bar_1.0_all", fmt.Sprintf("is 100 bytes, listed with %d", len(debtest.Deb(foo)))},
		"other bytes":          {[]string{fooText}, append(bytes.Clone(debtest.Deb(foo)[:len(debtest.Deb(foo))-1]), 0xff), "bar_1.0_all", "hash mismatch"},
		"stale stanza first":   {[]string{stale, fooText}, debtest.Deb(foo), "bar_1.0_all foo_1.0_all", "listed with"},
		"stale stanza last":    {[]string{fooText, stale}, debtest.Deb(foo), "bar_1.0_all foo_1.0_all", "listed with"},
		"digests contradict":   {[]string{stanza(foo, fooPath, "{sha256}\nMD5sum: 00112233445566778899aabbccddeeff\n")}, debtest.Deb(foo), "bar_1.0_all", "mismatch"},
		"no Version":           {[]string{without("Version")}, debtest.Deb(foo), "bar_1.0_all", "foo: empty version"},
		"no Architecture":      {[]string{without("Architecture")}, debtest.Deb(foo), "bar_1.0_all", "empty architecture"},
		"no Package":           {[]string{without("Package")}, debtest.Deb(foo), "bar_1.0_all", "empty package name"},
		"no Size":              {[]string{without("Size")}, debtest.Deb(foo), "bar_1.0_all foo_1.0_all", ""},
		"no Filename":          {[]string{without("Filename")}, debtest.Deb(foo), "bar_1.0_all", "filename"},
		"no digest":            {[]string{without("SHA256")}, debtest.Deb(foo), "bar_1.0_all", "no checksums"},
		"path out of the root": {[]string{strings.Replace(fooText, fooPath, "../../x.deb", 1)}, debtest.Deb(foo), "bar_1.0_all", "path leads out of the archive"},
		"no colon":             {[]string{"no field\n" + fooText}, debtest.Deb(foo), "bar_1.0_all", "without a name (stanza 1 of main/binary-amd64/Packages): malformed stanza syntax"},
		"no colon at its end":  {[]string{strings.TrimRight(fooText, "\n") + "\n<html>\n"}, debtest.Deb(foo), "bar_1.0_all", "foo 1.0: malformed stanza syntax"},
		"begins with a blank":  {[]string{" foo\n" + fooText}, debtest.Deb(foo), "bar_1.0_all", "malformed stanza syntax"},
		"begins with a colon":  {[]string{fooText, ": x\n" + fooText}, debtest.Deb(foo), "bar_1.0_all foo_1.0_all", "(stanza 2 of main/binary-amd64/Packages): malformed stanza syntax"},
		"version of two words": {[]string{strings.Replace(fooText, "Version: 1.0", "Version: 1 0", 1)}, debtest.Deb(foo), "bar_1.0_all", "invalid version"},
		"digest of a word":     {[]string{stanza(foo, fooPath, "SHA256: x\n")}, debtest.Deb(foo), "bar_1.0_all", "invalid SHA256"},
		"Source that is a URL": {[]string{strings.Replace(fooText, "Maintainer", "Source: https://example.org/foo\nMaintainer", 1)}, debtest.Deb(foo), "bar_1.0_all foo_1.0_all", ""},
		"name of one letter":   {[]string{stanza(debtest.Spec{Package: "r"}, "pool/r.deb", "{sha256}\n")}, debtest.Deb(foo), "bar_1.0_all r_1.0_all", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := inMemory(t)
			spec := s.Archive(t)
			files := map[string][]byte{barPath: debtest.Deb(bar), "pool/r.deb": debtest.Deb(debtest.Spec{Package: "r"})}
			if c.file != nil {
				files[fooPath] = c.file
			}
			text := make([]string, len(c.foo))
			for i, stanza := range c.foo {
				text[i] = strings.TrimRight(stanza, "\n") + "\n\n"
			}
			lists(s, spec, append(text, barText), files)
			s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
			if code, got := s.Ask(t, "PUT", "/api/mirrors/m", `{"Strict":true}`); (code == 204) != (c.reason == "") || !strings.Contains(got, c.reason) {
				t.Errorf("strict: %d %s", code, got)
			}
			output, _ := updated(t, s, "m", `{"LatestOnly":false}`)
			if got := s.Names(t, "/api/mirrors/m"); got != c.want || !strings.Contains(output, c.reason) || !strings.HasSuffix(output, "Task succeeded") {
				t.Errorf("%s, want %s; %s", got, c.want, output)
			}
			s.Want(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, 201, "")
			s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Sources":[{"Name":"s"}],"Architectures":["amd64"],"Signing":{"Skip":true}}`, 201, "")
		})
	}
}

// TestRequestOverridesStrict sets Strict in the mirror and in the request.
func TestRequestOverridesStrict(t *testing.T) {
	s := inMemory(t)
	spec := s.Archive(t)
	foo, bar := debtest.Spec{Package: "foo"}, debtest.Spec{Package: "bar"}
	lists(s, spec, []string{stanza(foo, "foo.deb", "{sha256}\n"), stanza(bar, "bar.deb", "{sha256}\n")}, map[string][]byte{"bar.deb": debtest.Deb(bar)})
	s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"Strict":true}`, nil)
	for _, c := range []struct {
		edit, update string
		code         int
	}{{"", `{}`, 500}, {"", `{"Strict":false}`, 200}, {`{"Strict":false}`, `{}`, 200}, {"", `{"Strict":true}`, 500}, {`{"Strict":true}`, `{}`, 500}} {
		if c.edit != "" {
			s.Want(t, "POST", "/api/mirrors/m", c.edit, 200, "")
		}
		if code, got := s.Ask(t, "PUT", "/api/mirrors/m", c.update); code != c.code {
			t.Errorf("%s %s: %d %s", c.edit, c.update, code, got)
		}
	}
	// An archive without any valid package cannot be mirrored.
	lists(s, spec, []string{stanza(foo, "foo.deb", "{sha256}\n")}, nil)
	s.Must(t, "POST", "/api/mirrors", strings.Replace(apptest.CreateMirror, `"m"`, `"n"`, 1), nil)
	s.Want(t, "PUT", "/api/mirrors/n", `{}`, 500, `{"error":"unable to update: download errors:…`)
}

// TestMissingNewVersionKeepsTheOld changes the digests of a version in the index
// without the file. The package that the mirror has stays.
func TestMissingNewVersionKeepsTheOld(t *testing.T) {
	s := inMemory(t)
	spec := s.Archive(t)
	first := debtest.Spec{Package: "foo"}
	again := debtest.Spec{Package: "foo", Files: map[string]string{"a": "b"}}
	lists(s, spec, []string{stanza(first, "foo.deb", "{sha256}\n")}, map[string][]byte{"foo.deb": debtest.Deb(first)})
	s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
	s.Want(t, "PUT", "/api/mirrors/m", "{}", 204, "")
	before := s.Keys(t, "/api/mirrors/m")
	lists(s, spec, []string{stanza(again, "foo.deb", "{sha256}\n")}, map[string][]byte{"foo.deb": debtest.Deb(first)})
	if code, p := partial(t, s, "{}"); code != 200 || p.MissingPackages != 1 {
		t.Errorf("%d %+v", code, p)
	}
	if got := s.Keys(t, "/api/mirrors/m"); !slices.Equal(got, before) {
		t.Errorf("%v, want %v", got, before)
	}
	lists(s, spec, []string{stanza(again, "foo.deb", "{sha256}\n")}, map[string][]byte{"foo.deb": debtest.Deb(again)})
	if code, _ := partial(t, s, "{}"); code != 204 || slices.Equal(s.Keys(t, "/api/mirrors/m"), before) {
		t.Errorf("%d, the mended package did not come", code)
	}
}

// TestBytesAfterCompressedIndexAreIgnored appends bytes to a compressed index.
// Junk is ignored, as by apt 2.6.2. A second stream of the same compression is
// read.
func TestBytesAfterCompressedIndexAreIgnored(t *testing.T) {
	foo, bar := debtest.Spec{Package: "foo"}, debtest.Spec{Package: "bar"}
	text := []byte(stanza(foo, "foo.deb", "{sha256}\n") + stanza(bar, "bar.deb", "{sha256}\n"))
	for _, suffix := range []string{".gz", ".xz", ".bz2", ".zst"} {
		whole := upstreamtest.Compress(text, suffix)
		for name, data := range map[string][]byte{
			"NUL": append(bytes.Clone(whole), 0), "NULs": append(bytes.Clone(whole), make([]byte, 17)...), "block": append(bytes.Clone(whole), make([]byte, 512)...),
			"junk":        append(bytes.Clone(whole), "junkjunk"...),
			"word":        append(bytes.Clone(whole), "junk"...),
			"cut stream":  append(bytes.Clone(whole), whole[:len(whole)/2]...),
			"header only": append(bytes.Clone(whole), whole[:4]...),
			"two streams": slices.Concat(upstreamtest.Compress(text[:100], suffix), upstreamtest.Compress(text[100:], suffix)),
			"plain":       text,
		} {
			if name == "plain" && suffix != ".gz" {
				continue
			}
			s := inMemory(t)
			spec := s.Archive(t)
			spec.Components = map[string]upstreamtest.Component{"main": {}}
			spec.Suffixes = []string{suffix}
			spec.Extra = map[string][]byte{"main/binary-amd64/Packages": text, "main/binary-amd64/Packages" + suffix: data}
			tree := upstreamtest.Build(spec)
			tree["foo.deb"], tree["bar.deb"] = debtest.Deb(foo), debtest.Deb(bar)
			delete(tree, "dists/stable/main/binary-amd64/Packages")
			s.Upstream.Set(tree)
			s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
			code, got := s.Ask(t, "PUT", "/api/mirrors/m", "{}")
			if code != 204 || s.Names(t, "/api/mirrors/m") != "bar_1.0_all foo_1.0_all" {
				t.Errorf("%s %s: %d %s", suffix, name, code, got)
			}
		}
	}
	// Junk hides the second stream. The text is shorter than listed, and the error
	// says so.
	s := inMemory(t)
	spec := s.Archive(t)
	spec.Components = map[string]upstreamtest.Component{"main": {}}
	hidden := slices.Concat(upstreamtest.Compress(text[:100], ".gz"), []byte("junk"), upstreamtest.Compress(text[100:], ".gz"))
	spec.Extra = map[string][]byte{"main/binary-amd64/Packages": text, "main/binary-amd64/Packages.gz": hidden}
	tree := upstreamtest.Build(spec)
	delete(tree, "dists/stable/main/binary-amd64/Packages")
	s.Upstream.Set(tree)
	s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
	s.Want(t, "PUT", "/api/mirrors/m", "{}", 500, `{"error":"unable to update: …`)
}

// TestKeepVersionsTakesTheNewest sets KeepVersions. LatestOnly in a request means
// 1.
func TestKeepVersionsTakesTheNewest(t *testing.T) {
	s := inMemory(t)
	spec := s.Archive(t)
	var packages []debtest.Spec
	for _, version := range []string{"1.0", "1:0.1", "1.10", "1.9"} {
		packages = append(packages, debtest.Spec{Package: "foo", Version: version}, debtest.Spec{Package: "foo", Version: version, Architecture: "amd64", Files: map[string]string{"a": version}})
	}
	spec.Components = map[string]upstreamtest.Component{"main": {Packages: append(packages, debtest.Spec{Package: "bar"})}}
	s.Upstream.Set(upstreamtest.Build(spec))
	s.Refused(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"KeepVersions":-1}`, 400,
		"unable to create mirror: KeepVersions is -1, it has to be 0 (all) or more")
	s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"KeepVersions":2}`, nil)
	for _, c := range []struct{ edit, update, want string }{
		{"", "{}", "bar_1.0_all foo_1.10_all foo_1:0.1_all foo_1.10_amd64 foo_1:0.1_amd64"},
		{"", `{"LatestOnly":true}`, "bar_1.0_all foo_1:0.1_all foo_1:0.1_amd64"},
		{`{"KeepVersions":1}`, "{}", "bar_1.0_all foo_1:0.1_all foo_1:0.1_amd64"},
		{`{"KeepVersions":3}`, "{}", "bar_1.0_all foo_1.10_all foo_1.9_all foo_1:0.1_all foo_1.10_amd64 foo_1.9_amd64 foo_1:0.1_amd64"},
	} {
		if c.edit != "" {
			s.Want(t, "POST", "/api/mirrors/m", c.edit, 200, "")
		}
		s.Want(t, "PUT", "/api/mirrors/m", c.update, 204, "")
		got := strings.Fields(s.Names(t, "/api/mirrors/m"))
		want := strings.Fields(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s %s: %v, want %v", c.edit, c.update, got, want)
		}
	}
	s.Refused(t, "POST", "/api/mirrors/m", `{"KeepVersions":-2}`, 400, "unable to edit: KeepVersions is -2, it has to be 0 (all) or more")
}

func TestFolderWithoutReleaseNeedsIgnoreSignatures(t *testing.T) {
	s := inMemory(t)
	foo := debtest.Spec{Package: "foo", Architecture: "amd64"}
	const flat = `{"Name":"m","ArchiveURL":"https://archive.example.org/debian/","Distribution":"./"`
	for suffix, dir := range map[string]string{"": "", ".gz": "sub/", ".xz": "", ".bz2": "", ".zst": ""} {
		text := []byte(stanza(foo, dir+"foo.deb", "{sha256}\n"))
		s.Upstream.Set(upstreamtest.Tree{dir + "Packages" + suffix: upstreamtest.Compress(text, suffix), dir + "foo.deb": debtest.Deb(foo)})
		create := strings.Replace(flat, "./", "./"+dir, 1)
		s.Want(t, "POST", "/api/mirrors", create+`,"IgnoreSignatures":true}`, 400, `{"error":"unable to fetch mirror: HTTP code 404…`)
		s.Refused(t, "POST", "/api/mirrors", create+`,"NoRelease":true,"IgnoreSignatures":false}`, 400,
			"unable to fetch mirror: without a Release file nothing can be verified: NoRelease needs IgnoreSignatures")
		s.Want(t, "POST", "/api/mirrors", create+`,"NoRelease":true,"IgnoreSignatures":true}`, 201, "")
		s.Want(t, "PUT", "/api/mirrors/m", `{"IgnoreSignatures":false}`, 500, `{"error":"unable to update: without a Release file…`)
		s.Want(t, "PUT", "/api/mirrors/m", `{"IgnoreSignatures":true}`, 204, "")
		if got := s.Names(t, "/api/mirrors/m"); got != "foo_1.0_amd64" {
			t.Errorf("%s: %s", suffix, got)
		}
		s.Want(t, "PUT", "/api/mirrors/m", `{"IgnoreSignatures":true}`, 204, "")
		s.Want(t, "DELETE", "/api/mirrors/m", "", 204, "")
	}
	s.Refused(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"NoRelease":true,"IgnoreSignatures":true}`, 400,
		"unable to create mirror: NoRelease is for flat repos, whose distribution ends with a slash")
}

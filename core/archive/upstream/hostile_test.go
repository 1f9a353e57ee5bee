package upstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb"
)

// hostileStanzas are stanzas of Packages that no package may come of, by their fault.
func hostileStanzas() map[string]string {
	stanza := func(version, arch, filename string) string {
		return "Package: aa\nVersion: " + version + "\nArchitecture: " + arch + "\nFilename: " + filename + "\nSize: 1\n"
	}
	return map[string]string{
		"slash in the version":        stanza("1/../../2", "amd64", "a.deb"),
		"NUL in the version":          stanza("1\x00", "amd64", "a.deb"),
		"version that is not UTF-8":   stanza("1\xff", "amd64", "a.deb"),
		"architecture elsewhere":      stanza("1", "../all", "a.deb"),
		"NUL in the path":             stanza("1", "amd64", "pool/a\x00.deb"),
		"NUL in a folder of the path": stanza("1", "amd64", "po\x00ol/a.deb"),
		"path that is not UTF-8":      stanza("1", "amd64", "pool/\xff\xfe.deb"),
		"line end in the path":        stanza("1", "amd64", "pool/a\rb.deb"),
		"path out of the archive":     stanza("1", "amd64", "pool/../../etc/a.deb"),
		"folder for a path":           stanza("1", "amd64", "pool/.."),
		"path of blanks":              stanza("1", "amd64", " / "),
	}
}

// TestHostileStanzasMakeNoPackage reads each stanza before a good one.
func TestHostileStanzasMakeNoPackage(t *testing.T) {
	signer, ring := key(t, "archive")
	const good = "Package: good\nVersion: 1\nArchitecture: amd64\nFilename: pool/good.deb\nSize: 1\n"
	for name, stanza := range hostileStanzas() {
		s := spec(signer)
		s.Suffixes = []string{""}
		s.Extra = map[string][]byte{"main/binary-amd64/Packages": []byte(stanza + "\n" + good)}
		keys, errs := packagesOnly(t, upstreamtest.Serve(root, upstreamtest.Build(s)), upstream.Trust{Ring: ring, Now: now()})
		if fmt.Sprint(keys) != "[good_1_amd64]" || len(errs) != 1 || !errors.As(errs[0], new(*upstream.StanzaError)) {
			t.Errorf("%s: %q, %v", name, keys, errs)
		}
	}
}

// TestSizeThatIsNoneIsUnknown reads stanzas whose Size is no number of bytes. The size is
// unknown, as without the field, and never negative.
func TestSizeThatIsNoneIsUnknown(t *testing.T) {
	for _, size := range []string{"-1", "99999999999999999999", "many", "0x10", "1 2", ""} {
		p, err := deb.ParseParagraph("Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: a.deb\nSize: "+size+"\n", deb.ModeControl)
		if err != nil {
			t.Fatal(err)
		}
		if pkg, _, err := deb.PackageFromIndex(p, deb.Binary); err != nil || pkg.Files[0].Size != 0 {
			t.Errorf("%q: %+v, %v", size, pkg.Files, err)
		}
	}
}

// TestFieldOfAGigabyte reads an index with one field of a gigabyte, packed to a megabyte.
// The index fails, and the memory stays bounded.
func TestFieldOfAGigabyte(t *testing.T) {
	const size = 1 << 30
	signer, ring := key(t, "archive")
	member := upstreamtest.Compress(bytes.Repeat([]byte("x"), 16<<20), ".gz")
	packed := upstreamtest.Compress([]byte("Package: aa\nDescription: "), ".gz")
	for range size / (16 << 20) {
		packed = append(packed, member...)
	}
	s := spec(signer)
	s.Suffixes = []string{".gz"}
	s.Extra = map[string][]byte{"main/binary-amd64/Packages.gz": packed}
	server := upstreamtest.Serve(root, upstreamtest.Build(s))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	keys, errs := packagesOnly(t, server, upstream.Trust{Ring: ring, Now: now()})
	runtime.ReadMemStats(&after)
	if len(keys) > 0 || len(errs) != 1 {
		t.Errorf("%q, %v", keys, errs)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d bytes are allocated", n)
	}
}

// TestReleaseOfAnotherSuiteIsTold requests a distribution and gets the Release of another
// one, with a good signature. apt warns of it; so does the output of the update.
func TestReleaseOfAnotherSuiteIsTold(t *testing.T) {
	signer, ring := key(t, "archive")
	for name, c := range map[string]struct {
		distribution, suite, codename string
		told                          bool
	}{
		"by suite":         {"stable", "stable", "trixie", false},
		"by codename":      {"trixie", "stable", "trixie", false},
		"of security":      {"trixie/updates", "stable", "trixie", false},
		"of a point":       {"trixie-security", "stable-security", "trixie-security", false},
		"another":          {"stable", "oldstable", "bookworm", true},
		"another suite":    {"stable", "oldstable", "", true},
		"another codename": {"trixie", "", "bookworm", true},
		"nameless":         {"stable", "", "", false},
		"flat":             {"./", "x", "y", false},
	} {
		s := spec(signer)
		s.Distribution = c.distribution
		if s.Distribution == "./" {
			s.Components = map[string]upstreamtest.Component{"": s.Components["main"]}
		}
		s.Fields = map[string]string{"Suite": c.suite, "Codename": c.codename}
		var said []string
		k := upstream.Asker{Fetcher: upstreamtest.Serve(root, upstreamtest.Build(s)), Say: func(line string) { said = append(said, line) }}
		a := upstream.Archive{Root: root, Distribution: c.distribution}
		if _, _, err := a.FetchRelease(t.Context(), k, upstream.Trust{Ring: ring, Now: now()}, upstream.Seen{}); err != nil {
			t.Fatal(name, err)
		}
		if told := strings.Contains(strings.Join(said, "\n"), "conflicting distribution: Release is of "); told != c.told {
			t.Errorf("%s: said %q", name, said)
		}
	}
}

// TestFilesOfReleaseLeadNowhere lists hostile names in Release. No request leaves the
// folder of the distribution.
func TestFilesOfReleaseLeadNowhere(t *testing.T) {
	sum := strings.Repeat("0", 64)
	for _, name := range []string{"../../../etc/passwd", "/etc/passwd", "main/../../../x/Packages", "http://127.0.0.1/Packages", "main/binary-amd64/Packages\x00"} {
		r, err := upstream.Archive{Root: root, Distribution: "stable"}.ParseRelease([]byte("SHA256:\n " + sum + " 5 " + name + "\n"))
		if err != nil {
			continue
		}
		server := upstreamtest.Serve(root, upstreamtest.Tree{})
		reader := upstream.Reader{Asker: upstream.Asker{Fetcher: server}, Archive: upstream.Archive{Root: root, Distribution: "stable"}, Release: r, Trust: upstream.Trust{Now: now()}}
		for range reader.Packages(t.Context(), upstream.Index{Path: "main/binary-amd64/Packages", Kind: deb.Binary}) {
		}
		for path := range server.Asked() {
			if !strings.HasPrefix(path, "dists/stable/") || strings.Contains(path, "..") {
				t.Errorf("%q: %s is requested", name, path)
			}
		}
	}
}

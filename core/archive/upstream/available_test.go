package upstream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
)

// releaseWith returns a Release file of fields that lists paths.
func releaseWith(t *testing.T, distribution, fields string, paths ...string) *upstream.Release {
	t.Helper()
	text := fields + "SHA256:\n"
	for _, p := range paths {
		text += " " + strings.Repeat("a", 64) + " 1 " + p + "\n"
	}
	r, err := upstream.Archive{Root: root, Distribution: distribution}.ParseRelease([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestIndexesFollowTheHashList holds that the list of files decides components
// and architectures, as for apt 2.6.2. Fields of Release may be absent, misspelt,
// prefixed or wrong.
func TestIndexesFollowTheHashList(t *testing.T) {
	const amd64, arm64 = "main/binary-amd64/Packages.gz", "main/binary-arm64/Packages.xz"
	for name, c := range map[string]struct {
		distribution, fields string
		listed               []string
		component, arch      string // in the request
		refused              string // "component", "architecture" or ""
		components, archs    string // the defaults
	}{
		"as usual":                     {"", "Components: main\nArchitectures: amd64\n", []string{amd64}, "main", "amd64", "", "main", "amd64"},
		"another component":            {"", "Components: main\nArchitectures: amd64\n", []string{amd64}, "contrib", "amd64", "component", "main", "amd64"},
		"another architecture":         {"", "Components: main\nArchitectures: amd64\n", []string{amd64}, "main", "arm64", "architecture", "main", "amd64"},
		"Components with a prefix":     {"", "Components: updates/main updates/contrib\nArchitectures: amd64\n", []string{amd64}, "main", "amd64", "", "main", "amd64"},
		"asked with the prefix":        {"", "Components: updates/main updates/contrib\nArchitectures: amd64\n", []string{amd64}, "updates/main", "amd64", "", "main", "amd64"},
		"prefix, nothing listed":       {"", "Components: updates/main\nArchitectures: amd64\n", nil, "main", "amd64", "", "updates/main", "amd64"},
		"folder with the prefix":       {"", "Components: updates/main\nArchitectures: amd64\n", []string{"updates/" + amd64}, "updates/main", "amd64", "", "updates/main", "amd64"},
		"distribution with a slash":    {"stretch/updates", "Components: updates/main\nArchitectures: amd64\n", []string{amd64}, "main", "amd64", "", "main", "amd64"},
		"folder of another name":       {"", "Components: mongodb\nArchitectures: amd64\n", []string{"10gen/binary-amd64/Packages.gz"}, "10gen", "amd64", "", "10gen", "amd64"},
		"field of another name":        {"", "Components: mongodb\nArchitectures: amd64\n", []string{"10gen/binary-amd64/Packages.gz"}, "mongodb", "amd64", "", "10gen", "amd64"},
		"no Components":                {"", "Architectures: amd64\n", []string{amd64, "contrib/source/Sources.bz2"}, "main", "amd64", "", "contrib main", "amd64"},
		"no Components, not listed":    {"", "Architectures: amd64\n", []string{amd64}, "contrib", "amd64", "component", "main", "amd64"},
		"singular fields":              {"", "Component: main\nArchitecture: amd64\n", []string{amd64}, "main", "amd64", "", "main", "amd64"},
		"noarch":                       {"", "Components: main\nArchitectures: noarch\n", []string{amd64}, "main", "amd64", "", "main", "amd64"},
		"architecture without indexes": {"", "Components: main\nArchitectures: all amd64 armhf\n", []string{amd64, arm64}, "main", "armhf", "", "main", "amd64"},
		"component without indexes":    {"", "Components: main contrib\nArchitectures: amd64\n", []string{amd64}, "contrib", "amd64", "", "main", "amd64"},
		"no Architectures":             {"", "Components: main\n", []string{amd64, arm64}, "main", "armhf", "", "main", "amd64 arm64"},
		"all only":                     {"", "Components: main\nArchitectures: all\n", []string{"main/binary-all/Packages.gz"}, "main", "amd64", "", "main", "all"},
		"all, and another":             {"", "Components: main\nArchitectures: all arm64\n", []string{"main/binary-all/Packages.gz", arm64}, "main", "amd64", "", "main", "all arm64"},
		"all, not listed, and another": {"", "Components: main\nArchitectures: all arm64\n", []string{arm64}, "main", "amd64", "architecture", "main", "arm64"},
		"all is of listed ones":        {"", "Components: main\nArchitectures: all arm64\nNo-Support-for-Architecture-all: Packages\n", []string{"main/binary-all/Packages.gz", arm64}, "main", "amd64", "architecture", "main", "all arm64"},
		"sources are none":             {"", "Components: main\nArchitectures: all arm64\n", []string{"main/binary-all/Packages.gz", arm64}, "main", "source", "architecture", "main", "all arm64"},
		"udebs only":                   {"", "Components: main\nArchitectures: amd64\n", []string{"main/debian-installer/binary-amd64/Packages"}, "main", "amd64", "", "main", "amd64"},
		"no list":                      {"", "Components: main\nArchitectures: amd64\n", nil, "main", "amd64", "", "main", "amd64"},
		"nothing":                      {"", "Origin: x\n", nil, "main", "amd64", "", "", ""},
	} {
		if c.distribution == "" {
			c.distribution = "stable"
		}
		r := releaseWith(t, c.distribution, c.fields, c.listed...)
		refused := ""
		switch {
		case !r.HasComponent(c.component):
			refused = "component"
		case !r.HasArchitecture(c.arch):
			refused = "architecture"
		}
		components := r.DefaultComponents()
		archs := r.DefaultArchitectures(components)
		if got := strings.Join(components, " "); refused != c.refused || got != c.components || strings.Join(archs, " ") != c.archs {
			t.Errorf("%s: refused %q, components %q, architectures %q", name, refused, got, archs)
		}
	}
}

// TestBinaryAllIsReadBesides holds when binary-all is read besides an
// architecture's index. Expected values are those of apt-get 2.6.2, for udebs
// too.
func TestBinaryAllIsReadBesides(t *testing.T) {
	const foo, doc, udeb = "main/binary-amd64/Packages", "main/binary-all/Packages", "main/debian-installer/binary-all/Packages"
	for fields, c := range map[string]struct {
		listed []string // uncompressed
		want   string
	}{
		"Architectures: all amd64\n": {[]string{foo, doc, udeb}, foo + " " + doc + " " + udeb},
		"Architectures: amd64 all\nNo-Support-for-Architecture-all: Contents\n":          {[]string{foo, doc}, foo + " " + doc},
		"Architectures: all amd64\nNo-Support-for-Architecture-all: Packages\n":          {[]string{foo, doc, udeb}, foo},
		"Architectures: all amd64\nNo-Support-For-Architecture-All: Contents Packages\n": {[]string{foo, doc}, foo},
		"Architectures: all amd64\nNo-Support-for-Architecture-all: packages\n":          {[]string{foo, doc}, foo + " " + doc},
		"Architectures: amd64\n": {[]string{foo, doc}, foo},
		"Origin: x\n":            {[]string{foo, doc}, foo + " " + doc},
		"Origin: x\nNo-Support-for-Architecture-all: Packages\n": {[]string{foo, doc}, foo},
		"Architectures: amd64 all\n":                             {[]string{foo}, foo},
		"Architectures: all\n":                                   {[]string{doc}, doc},
	} {
		r := releaseWith(t, "stable", fields, c.listed...)
		reader := upstream.Reader{Archive: upstream.Archive{Root: root, Distribution: "stable"}, Release: r}
		var got []string
		for _, x := range reader.Indexes(upstream.Wanted{Components: []string{"main"}, Architectures: []string{"amd64"}, Udebs: true}) {
			got = append(got, x.Path)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %q, want %q", fields, got, c.want)
		}
	}
	// A mirror that names "all" reads binary-all once in any case.
	r := releaseWith(t, "stable", "Architectures: all amd64\nNo-Support-for-Architecture-all: Packages\n", foo, doc)
	reader := upstream.Reader{Archive: upstream.Archive{Root: root, Distribution: "stable"}, Release: r}
	if got := reader.Indexes(upstream.Wanted{Components: []string{"main"}, Architectures: []string{"all", "amd64"}}); len(got) != 2 || got[0].Path != doc {
		t.Errorf("%v", got)
	}
}

// TestTamperedIndexNeverCounts alters indexes below a signed Release. No altered
// index counts, also if the mirror skips the check of components.
func TestTamperedIndexNeverCounts(t *testing.T) {
	signer, ring := key(t, "archive")
	evil := []byte("Package: evil\nVersion: 1\nArchitecture: amd64\nFilename: pool/evil.deb\nSize: 1\nSHA256: " + strings.Repeat("0", 64) + "\n\n")
	all := upstream.Wanted{Components: []string{"main"}, Architectures: []string{"amd64"}, Sources: true, Udebs: true, Installer: true}
	const dir = "dists/stable/"
	replace := func(name string) func(upstreamtest.Tree) {
		return func(tree upstreamtest.Tree) {
			data := evil
			if strings.Contains(name, "Sources") {
				data = []byte("Package: evil\nVersion: 1\nDirectory: pool\nFiles:\n " + strings.Repeat("0", 32) + " 1 evil.dsc\n\n")
			}
			suffix := name[strings.LastIndex(name, "/")+1:]
			_, suffix, _ = strings.Cut(suffix, ".")
			if suffix != "" {
				suffix = "." + suffix
			}
			tree[dir+name] = upstreamtest.Compress(data, suffix)
		}
	}
	for name, c := range map[string]struct {
		spoil   func(upstreamtest.Tree)
		reading string // errors: "mismatch", "unlisted", "missing" or ""
	}{
		"Packages.gz":              {replace("main/binary-amd64/Packages.gz"), "mismatch"},
		"Packages.bz2, not listed": {replace("main/binary-amd64/Packages.bz2"), ""},
		"Packages.xz, not listed":  {replace("main/binary-amd64/Packages.xz"), ""},
		"udebs":                    {replace("main/debian-installer/binary-amd64/Packages.gz"), "mismatch"},
		"Sources":                  {replace("main/source/Sources.gz"), "mismatch"},
		"Sources.zst, not listed":  {replace("main/source/Sources.zst"), ""},
		"installer, not signed": {func(tree upstreamtest.Tree) {
			tree[dir+"main/installer-amd64/current/images/SHA256SUMS"] = []byte(strings.Repeat("0", 64) + "  ./x\n")
		}, "missing"},
		"another component, not listed": {func(tree upstreamtest.Tree) {
			tree[dir+"contrib/binary-amd64/Packages"] = evil
		}, "unlisted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(signer)
			delete(s.Components, "contrib")
			tree := upstreamtest.Build(s)
			c.spoil(tree)
			w := all
			if c.reading == "unlisted" {
				w.Components = []string{"main", "contrib"}
			}
			a, k := upstream.Archive{Root: root, Distribution: "stable"}, upstream.Asker{Fetcher: upstreamtest.Serve(root, tree)}
			trust := upstream.Trust{Ring: ring, Now: now()}
			release, _, err := a.FetchRelease(t.Context(), k, trust, upstream.Seen{})
			if err != nil {
				t.Fatal(err)
			}
			// SkipComponentCheck sets Unlisted.
			r := upstream.Reader{Asker: k, Archive: a, Release: release, Trust: trust, Unlisted: true}
			reading := ""
			for _, x := range r.Indexes(w) {
				for l, err := range r.Packages(t.Context(), x) {
					switch {
					case errors.Is(err, upstream.ErrMismatch):
						reading = "mismatch"
					case upstream.Missing(err):
						reading = "missing"
					case err != nil && strings.Contains(err.Error(), "does not list it"):
						reading = "unlisted"
					case err != nil:
						reading = err.Error()
					case l.Package.Name == "evil" && reading == "":
						reading = "evil " + x.Path
					}
				}
			}
			if strings.HasPrefix(reading, "evil") && c.reading == "mismatch" {
				t.Fatalf("%s was taken, and nothing was said", reading)
			}
			if reading != c.reading {
				t.Errorf("%q, want %q", reading, c.reading)
			}
		})
	}
}

// TestUncheckedIndexes reads indexes that Release does not list, and indexes that
// differ from it. IgnoreChecksums takes both. SkipComponentCheck without
// signatures takes only an unlisted index.
func TestUncheckedIndexes(t *testing.T) {
	other := upstreamtest.Compress([]byte("Package: other\nVersion: 1\nArchitecture: amd64\nFilename: pool/o.deb\nSize: 1\n\n"), ".gz")
	for _, c := range []struct {
		listed              bool
		unlisted, unchecked bool
		want                string
	}{
		{true, false, false, "mismatch"}, {true, true, false, "mismatch"}, {true, false, true, "other_1_amd64"},
		{false, false, false, "no candidates"}, {false, true, false, "other_1_amd64"}, {false, false, true, "other_1_amd64"},
	} {
		s := spec(nil)
		s.Components = map[string]upstreamtest.Component{"main": {Packages: []debtest.Spec{{Package: "hello"}}}}
		if !c.listed {
			s.Components = map[string]upstreamtest.Component{"contrib": {}}
		}
		tree := upstreamtest.Build(s)
		tree["dists/stable/main/binary-amd64/Packages.gz"] = other
		a, k := upstream.Archive{Root: root, Distribution: "stable"}, upstream.Asker{Fetcher: upstreamtest.Serve(root, tree)}
		release, _, err := a.FetchRelease(t.Context(), k, upstream.Trust{}, upstream.Seen{})
		if err != nil {
			t.Fatal(err)
		}
		r := upstream.Reader{Asker: k, Archive: a, Release: release, Unlisted: c.unlisted, Unchecked: c.unchecked}
		var got string
		for l, err := range r.Packages(t.Context(), upstream.Index{Path: "main/binary-amd64/Packages", Kind: deb.Binary}) {
			if got = fmt.Sprint(err); err == nil {
				got = l.Package.String()
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestDatesAreReadLikeApt reads each form of Date and Valid-Until that apt 2.6.2 reads. The
// error names other forms. Only a check of Valid-Until refuses them.
func TestDatesAreReadLikeApt(t *testing.T) {
	signer, ring := key(t, "archive")
	for date, readable := range map[string]bool{
		"Thu, 01 Jan 2026 00:00:00 UTC": true, "Thu, 01 Jan 2026 00:00:00 GMT": true, "Thu, 01 Jan 2026 00:00:00 Z": true,
		"Thu, 01 Jan 2026 00:00:00 +0000": true, "Thu, 1 Jan 2026 0:00:00 UTC": true,
		"Thu Jan  1 00:00:00 2026": true, "Thursday, 01-Jan-26 00:00:00 GMT": true,
		"Thu, 01 Jan 2026 02:00:00 +0200": true, // apt 2.6 warns; aptly reads it
		"Thu., 01 Jan 2026 00:00:00 GMT":  false, "2026-01-01 00:00:00 UTC": false, "2026-01-01T00:00:00Z": false,
		"Thu, 01 Jan 2026 00:00:00 JST": false, "Thu, 01 Jan 2026 00:00:00": false, "never": false,
		"Do, 01 Jan 2026 00:00:00 UTC": false, "周四, 01 1月 2026 00:00:00 UTC": false,
	} {
		for _, field := range []string{"Date", "Valid-Until"} {
			s := spec(signer)
			s.Fields = map[string]string{field: date}
			var said []string
			k := upstream.Asker{Fetcher: upstreamtest.Serve(root, upstreamtest.Build(s)), Say: func(line string) { said = append(said, line) }}
			r, _, err := upstream.Archive{Root: root, Distribution: "stable"}.FetchRelease(t.Context(), k, upstream.Trust{Ring: ring, Now: now()}, upstream.Seen{})
			if err != nil {
				t.Errorf("%s: %s: %v", field, date, err)
				continue
			}
			got, bad := r.Date, r.BadDate
			if field == "Valid-Until" {
				got, bad = r.ValidUntil, r.BadValidUntil
			}
			warned := slices.ContainsFunc(said, func(line string) bool { return strings.Contains(line, "unable to parse "+field) })
			if readable && (bad != nil || warned || got.Unix() != 1767225600) || !readable && (bad == nil || !warned || !got.IsZero()) {
				t.Errorf("%s: %s is %v, %v, said %q", field, date, got, bad, said)
			}
			if err := r.CheckTime(got, got); (err != nil) != (field == "Valid-Until" && !readable) {
				t.Errorf("%s: %s: %v", field, date, err)
			}
		}
	}
}

// TestSizeMismatchSaysBothSizes holds that an error has the listed and the actual
// size. Without a listed size, the digests decide.
func TestSizeMismatchSaysBothSizes(t *testing.T) {
	data := []byte(strings.Repeat("x", 1234))
	h := deb.NewHasher()
	h.Write(data)
	good := h.File("a.deb")
	k := upstream.Asker{Fetcher: upstreamtest.Serve(root, upstreamtest.Tree{"a.deb": data})}
	for name, c := range map[string]struct {
		change func(*deb.File)
		want   string
	}{
		"as listed":             {func(*deb.File) {}, ""},
		"larger":                {func(f *deb.File) { f.Size = 560 }, "is 1234 bytes, listed with 560"},
		"smaller":               {func(f *deb.File) { f.Size = 5600 }, "is 1234 bytes, listed with 5600"},
		"no size":               {func(f *deb.File) { f.Size = 0 }, ""},
		"no size, other digest": {func(f *deb.File) { f.Size, f.SHA256 = 0, strings.Repeat("0", 64) }, "sha256 hash mismatch"},
	} {
		want := good
		c.change(&want)
		f, err := k.Open(t.Context(), root+"a.deb", want, true, 1<<20)
		if err == nil {
			err = read(f)
		}
		if text := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && (!errors.Is(err, upstream.ErrMismatch) || !strings.Contains(text, c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

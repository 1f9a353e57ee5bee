package upstream_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

const root = "http://deb.example.org/debian/"

func now() time.Time { return time.Date(2026, 7, 12, 0, 0, 0, 0, time.UTC) }

// key makes a key, its signer, and a ring that has it.
func key(t testing.TB, name string) (pgp.Signer, *pgp.Keyring) {
	t.Helper()
	k := secret(t, name)
	signer := signers(t, k)
	ring, err := pgp.NewKeyring(k.Key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, ring
}

// secret makes a key.
func secret(t testing.TB, name string) *pgp.SecretKey {
	t.Helper()
	k, err := pgp.Generate(name, name+"@example.org", pgp.Ed25519, now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signers returns a signer with all keys.
func signers(t testing.TB, keys ...*pgp.SecretKey) pgp.Signer {
	t.Helper()
	signer, err := pgp.NewSigner(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// id returns the ID of the only key of a signer.
func id(signer pgp.Signer) string { return signer.PublicKeys()[0].ID().String() }

func spec(signer pgp.Signer) upstreamtest.Spec {
	return upstreamtest.Spec{
		Signer: signer, At: now(),
		Components: map[string]upstreamtest.Component{
			"main": {
				Packages: []debtest.Spec{
					{Package: "hello", Version: "2.10-3", Architecture: "amd64"},
					{Package: "hello-data", Version: "1:2.10+b1"},
					{Package: "kernel", Version: "6.1", Architecture: "amd64", Udeb: true},
				},
				Sources: []debtest.SourceSpec{{Source: "hello", Version: "2.10-3"}},
			},
			"contrib": {Packages: []debtest.Spec{{Package: "other"}}},
		},
	}
}

// packages fetches Release and reads all indexes. It returns the packages and the
// errors of stanzas.
func packages(t *testing.T, server *upstreamtest.Server, a upstream.Archive, trust upstream.Trust, w upstream.Wanted) (keys []string, errs []error) {
	t.Helper()
	k := upstream.Asker{Fetcher: server}
	release, _, err := a.FetchRelease(t.Context(), k, trust, upstream.Seen{})
	if err != nil {
		return nil, []error{err}
	}
	r := upstream.Reader{Asker: k, Archive: a, Release: release, Trust: trust}
	for _, x := range a.Indexes(w) {
		for l, err := range r.Packages(t.Context(), x) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			for _, f := range l.Package.Files {
				name, err := upstream.FilePath(l.Dir, f.Name)
				if err != nil {
					t.Fatal(err)
				}
				file, err := k.Open(t.Context(), a.FileURL(name), f, true, 0)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got := read(file); got != nil {
					t.Fatalf("%s: %v", name, got)
				}
			}
			keys = append(keys, l.Package.String())
		}
	}
	return keys, errs
}

func read(f *upstream.File) error {
	defer f.Close()
	buffer := make([]byte, 100)
	for {
		if _, err := f.Read(buffer); err != nil {
			if err.Error() == "EOF" {
				return nil
			}
			return err
		}
	}
}

// TestEveryCompression reads archives with each compression, by name and by
// digest, flat and with components.
func TestEveryCompression(t *testing.T) {
	signer, ring := key(t, "archive")
	all := upstream.Wanted{Components: []string{"main", "contrib"}, Architectures: []string{"amd64"}, Sources: true, Udebs: true}
	want := []string{"hello_2.10-3_amd64", "hello-data_1:2.10+b1_all", "kernel_6.1_amd64", "hello_2.10-3_source", "other_1.0_all"}
	for _, suffix := range []string{"", ".gz", ".xz", ".zst", ".bz2"} {
		for _, byHash := range []bool{false, true} {
			t.Run(fmt.Sprint(suffix, byHash), func(t *testing.T) {
				s := spec(signer)
				s.Suffixes, s.ByHash = []string{suffix}, byHash
				keys, errs := packages(t, upstreamtest.Serve(root, upstreamtest.Build(s)), upstream.Archive{Root: root, Distribution: "stable"}, upstream.Trust{Ring: ring, Now: now()}, all)
				if !slices.Equal(keys, want) || errs != nil {
					t.Errorf("%q, %v", keys, errs)
				}
			})
		}
	}
	for _, distribution := range []string{"./", "./binary/", "./a/b/"} {
		s := spec(signer)
		s.Distribution, s.Components = distribution, map[string]upstreamtest.Component{"": s.Components["main"]}
		keys, errs := packages(t, upstreamtest.Serve(root, upstreamtest.Build(s)), upstream.Archive{Root: root, Distribution: distribution}, upstream.Trust{Ring: ring, Now: now()}, all)
		if len(keys) != 4 || errs != nil {
			t.Errorf("%s: %q, %v", distribution, keys, errs)
		}
	}
}

// TestReleaseNeedsATrustedSignature verifies Release files with several signers and rings.
func TestReleaseNeedsATrustedSignature(t *testing.T) {
	first, second := secret(t, "archive"), secret(t, "other")
	signer, other := signers(t, first), signers(t, second)
	ring, err := pgp.NewKeyring(first.Key)
	if err != nil {
		t.Fatal(err)
	}
	a := upstream.Archive{Root: root, Distribution: "stable"}
	const dir = "dists/stable/"
	for name, c := range map[string]struct {
		spoil func(upstreamtest.Tree)
		ring  *pgp.Keyring
		want  string // the error; "" if none
	}{
		"signed":           {func(upstreamtest.Tree) {}, ring, ""},
		"detached only":    {func(tree upstreamtest.Tree) { delete(tree, dir+"InRelease") }, ring, ""},
		"InRelease spoilt": {func(tree upstreamtest.Tree) { tree[dir+"InRelease"][60] ^= 1 }, ring, ""},
		"no signature":     {func(tree upstreamtest.Tree) { delete(tree, dir+"InRelease"); delete(tree, dir+"Release.gpg") }, ring, "HTTP code 404 while fetching " + root + dir + "Release.gpg"},
		"nothing":          {func(tree upstreamtest.Tree) { clear(tree) }, ring, "HTTP code 404 while fetching " + root + dir + "Release"},
		"other text": {func(tree upstreamtest.Tree) {
			delete(tree, dir+"InRelease")
			tree[dir+"Release"] = append(tree[dir+"Release"], "X: y\n"...)
		}, ring, "verification of detached signature failed: exit status 1: signature by " + id(signer) + ": bad signature"},
		"other key": {func(tree upstreamtest.Tree) {
			s := spec(other)
			maps.Copy(tree, upstreamtest.Build(s))
		}, ring, "verification of detached signature failed: exit status 2: signature by " + id(other) + ": no public key"},
		"other key, InRelease only": {func(tree upstreamtest.Tree) {
			maps.Copy(tree, upstreamtest.Build(spec(other)))
			delete(tree, dir+"Release")
		}, ring, root + dir + "InRelease: verification of clearsigned file failed: exit status 2: signature by " + id(other) + ": no public key"},
		"other key, no Release.gpg": {func(tree upstreamtest.Tree) {
			maps.Copy(tree, upstreamtest.Build(spec(other)))
			delete(tree, dir+"Release.gpg")
		}, ring, root + dir + "InRelease: verification of clearsigned file failed: exit status 2: signature by " + id(other) + ": no public key"},
		"two keys, one known": {func(tree upstreamtest.Tree) {
			maps.Copy(tree, upstreamtest.Build(spec(signers(t, second, first))))
			delete(tree, dir+"Release")
		}, ring, ""},
		"two keys, one known, detached": {func(tree upstreamtest.Tree) {
			maps.Copy(tree, upstreamtest.Build(spec(signers(t, first, second))))
			delete(tree, dir+"InRelease")
		}, ring, ""},
		"two keys, none known": {func(tree upstreamtest.Tree) {
			maps.Copy(tree, upstreamtest.Build(spec(signers(t, second, second))))
			delete(tree, dir+"Release")
		}, ring, root + dir + "InRelease: verification of clearsigned file failed: exit status 2: signature by " + id(other) + ": no public key; signature by " + id(other) + ": no public key"},
		"other key, ignored":    {func(tree upstreamtest.Tree) { maps.Copy(tree, upstreamtest.Build(spec(other))) }, nil, ""},
		"InRelease only":        {func(tree upstreamtest.Tree) { delete(tree, dir+"Release") }, nil, ""},
		"no signature, ignored": {func(tree upstreamtest.Tree) { delete(tree, dir+"InRelease"); delete(tree, dir+"Release.gpg") }, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tree := upstreamtest.Build(spec(signer))
			c.spoil(tree)
			release, _, err := a.FetchRelease(t.Context(), upstream.Asker{Fetcher: upstreamtest.Serve(root, tree)}, upstream.Trust{Ring: c.ring, Now: now()}, upstream.Seen{})
			if text := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && text != c.want {
				t.Fatal(text)
			}
			if err == nil && release.Fields["Codename"] != "trixie" {
				t.Errorf("%v", release.Fields)
			}
		})
	}
}

// TestUnchangedArchiveCostsOneRequest holds that an unchanged archive costs one request.
func TestUnchangedArchiveCostsOneRequest(t *testing.T) {
	signer, ring := key(t, "archive")
	s := spec(signer)
	server := upstreamtest.Serve(root, upstreamtest.Build(s))
	a, k, trust := upstream.Archive{Root: root, Distribution: "stable"}, upstream.Asker{Fetcher: server}, upstream.Trust{Ring: ring, Now: now()}
	_, seen, err := a.FetchRelease(t.Context(), k, trust, upstream.Seen{})
	if err != nil {
		t.Fatal(err)
	}
	server.Asked()
	for _, tag := range []string{seen.ETag, "", `"another"`} { // also for servers without ETags
		seen.ETag = tag
		release, again, err := a.FetchRelease(t.Context(), k, trust, seen)
		if err != nil || release != nil || again.SHA256 != seen.SHA256 {
			t.Errorf("%v, %v, %v", release, again, err)
		}
		if asked := server.Asked(); len(asked) != 1 || asked["dists/stable/InRelease"] != 1 {
			t.Errorf("asked for %v", asked)
		}
	}
	s.Fields = map[string]string{"Label": "new"}
	server.Set(upstreamtest.Build(s))
	if release, again, err := a.FetchRelease(t.Context(), k, trust, seen); err != nil || release == nil || again.SHA256 == seen.SHA256 {
		t.Errorf("of what has changed: %v, %v, %v", release, again, err)
	}
}

// TestAlteredIndexesNeverCount alters indexes. None of them counts.
func TestAlteredIndexesNeverCount(t *testing.T) {
	signer, ring := key(t, "archive")
	const index = "dists/stable/main/binary-amd64/Packages.gz"
	bomb := upstreamtest.Compress(make([]byte, 64<<20), ".gz")
	for name, c := range map[string]struct {
		serve func(data []byte) []byte
		want  error
	}{
		"cut":      {func(data []byte) []byte { return data[:len(data)/2] }, upstream.ErrMismatch},
		"longer":   {func(data []byte) []byte { return append(slices.Clone(data), 0) }, upstream.ErrMismatch},
		"other":    {func(data []byte) []byte { data = slices.Clone(data); data[len(data)-1] ^= 1; return data }, nil},
		"bomb":     {func([]byte) []byte { return bomb }, upstream.ErrMismatch},
		"no index": {func(data []byte) []byte { return make([]byte, len(data)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := upstreamtest.Serve(root, upstreamtest.Build(spec(signer)))
			server.Fault = func(path string, _ int, data []byte) ([]byte, error) {
				if path == index {
					data = c.serve(data)
				}
				return data, nil
			}
			_, errs := packages(t, server, upstream.Archive{Root: root, Distribution: "stable"}, upstream.Trust{Ring: ring, Now: now()},
				upstream.Wanted{Components: []string{"main"}, Architectures: []string{"amd64"}})
			if len(errs) != 1 || c.want != nil && !errors.Is(errs[0], c.want) {
				t.Errorf("%v", errs)
			}
		})
	}
}

// TestIndexUnpacksAtMostToItsListedSize holds that an index unpacks at most to the size that Release lists.
func TestIndexUnpacksAtMostToItsListedSize(t *testing.T) {
	signer, ring := key(t, "archive")
	s := spec(signer)
	stanza := "Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: a.deb\nSize: 1\nSHA256: " + strings.Repeat("0", 64) + "\n\n"
	bomb := upstreamtest.Compress([]byte(strings.Repeat(stanza, 100000)), ".gz")
	s.Extra = map[string][]byte{"main/binary-amd64/Packages.gz": bomb}
	keys, errs := packagesOnly(t, upstreamtest.Serve(root, upstreamtest.Build(s)), upstream.Trust{Ring: ring, Now: now()})
	if len(errs) != 1 || len(keys) > 100 {
		t.Errorf("%d packages, %v", len(keys), errs)
	}
}

// packagesOnly reads the index of main without fetching files.
func packagesOnly(t *testing.T, server *upstreamtest.Server, trust upstream.Trust) (keys []string, errs []error) {
	t.Helper()
	a, k := upstream.Archive{Root: root, Distribution: "stable"}, upstream.Asker{Fetcher: server}
	release, _, err := a.FetchRelease(t.Context(), k, trust, upstream.Seen{})
	if err != nil {
		t.Fatal(err)
	}
	r := upstream.Reader{Asker: k, Archive: a, Release: release, Trust: trust}
	for l, err := range r.Packages(t.Context(), upstream.Index{Path: "main/binary-amd64/Packages", Kind: deb.Binary}) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		keys = append(keys, l.Package.String())
	}
	return keys, errs
}

// TestInvalidStanzasAreReported reads invalid stanzas.
func TestInvalidStanzasAreReported(t *testing.T) {
	signer, ring := key(t, "archive")
	const good = "Package: good\nVersion: 1\nArchitecture: amd64\nFilename: pool/good.deb\nSize: 1\n"
	for name, c := range map[string]struct {
		stanza string
		keys   int
		want   error // nil: none
	}{
		"outside":         {"Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: ../../x.deb\nSize: 1\n", 1, upstream.ErrPath},
		"outside inside":  {"Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: pool/../../x.deb\nSize: 1\n", 1, upstream.ErrPath},
		"source outside":  {"Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: a/..\nSize: 1\n", 1, deb.ErrInvalid},
		"absolute":        {"Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: /pool/x.deb\nSize: 1\n", 2, nil},
		"bad name":        {"Package: ../a\nVersion: 1\nArchitecture: amd64\nFilename: x.deb\nSize: 1\n", 1, deb.ErrInvalid},
		"bad digest":      {"Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: x.deb\nSize: 1\nSHA256: 1\n", 1, deb.ErrInvalid},
		"long path":       {"Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: " + strings.Repeat("x/", 500) + "x.deb\nSize: 1\n", 1, upstream.ErrPath},
		"no name":         {"Version: 1\nArchitecture: amd64\nFilename: x.deb\nSize: 1\n", 1, deb.ErrNoName},
		"no version":      {"Package: aa\nArchitecture: amd64\nFilename: x.deb\nSize: 1\n", 1, deb.ErrNoVersion},
		"no architecture": {"Package: aa\nVersion: 1\nFilename: x.deb\nSize: 1\n", 1, deb.ErrNoArchitecture},
		"no size":         {"Package: aa\nVersion: 1\nArchitecture: amd64\nFilename: x.deb\n", 2, nil},
		"no colon":        {"Package: aa\nVersion\n", 1, deb.ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(signer)
			s.Extra = map[string][]byte{"main/binary-amd64/Packages": []byte(c.stanza + "\n" + good)}
			s.Suffixes = []string{""}
			keys, errs := packagesOnly(t, upstreamtest.Serve(root, upstreamtest.Build(s)), upstream.Trust{Ring: ring, Now: now()})
			if len(keys) != c.keys || (len(errs) == 1) != (c.want != nil) || c.want != nil && !errors.Is(errs[0], c.want) {
				t.Errorf("%q, %v", keys, errs)
			}
		})
	}
}

// TestOutdatedReleasesAreRefused reads outdated Release files.
func TestOutdatedReleasesAreRefused(t *testing.T) {
	date := now().Add(-time.Hour)
	for name, c := range map[string]struct {
		release upstream.Release
		last    time.Time
		want    error
	}{
		"fresh":      {upstream.Release{Date: date, ValidUntil: now().Add(time.Hour)}, date, nil},
		"says none":  {upstream.Release{}, date, nil},
		"expired":    {upstream.Release{Date: date, ValidUntil: now().Add(-time.Second)}, date, upstream.ErrExpired},
		"older":      {upstream.Release{Date: date}, date.Add(time.Second), upstream.ErrReplayed},
		"first time": {upstream.Release{Date: date}, time.Time{}, nil},
	} {
		if err := c.release.CheckTime(now(), c.last); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRelease(t *testing.T) {
	text := "Architectures: amd64 source all\nComponents: updates/main updates/contrib\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nAcquire-By-Hash: yes\nSHA256:\n " +
		strings.Repeat("A", 64) + " 5 main/binary-amd64/Packages\n"
	r, err := upstream.Archive{Distribution: "stretch/updates"}.ParseRelease([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Architectures, []string{"all", "amd64"}) || !slices.Equal(r.Components, []string{"main", "contrib"}) || !r.ByHash || r.Date.Unix() != 1783764997 {
		t.Errorf("%+v", r)
	}
	if f, ok := r.Find("dists/x/main/binary-amd64/Packages"); !ok || f.Size != 5 || f.SHA256 != strings.Repeat("a", 64) {
		t.Errorf("%+v %v", f, ok)
	}
	if _, ok := r.Fields["SHA256"]; ok {
		t.Error("lists are fields")
	}
	for bad, want := range map[string]string{
		"SHA256:\n a b\n":                `unparseable hash sum line: " a b"`,
		"SHA256:\n a b c\n":              `unable to parse size: "b"`,
		"MD5Sum:\n a -1 c\n":             `unable to parse size: "-1"`,
		"MD5Sum:\n a 1 c\nSHA1:\n a 2 c": "unable to parse size: c is listed with 1 and with 2 bytes",
		"no field\n":                     "malformed stanza syntax",
	} {
		if _, err := (upstream.Archive{}).ParseRelease([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestURLsStayBelowTheRoot parses URLs of archives and of files below them.
func TestURLsStayBelowTheRoot(t *testing.T) {
	for _, bad := range []string{"", "ftp://x/", "file:///etc/", "http://", "http://x/?a", "http://x/#a", "//x/", "http://x/%zz", "http://u:secret@x/%zz"} {
		if _, err := upstream.ParseRoot(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, c := range []struct{ distribution, stored, release string }{
		{"bookworm", "bookworm", "dists/bookworm/Release"},
		{"stretch/updates", "stretch/updates", "dists/stretch/updates/Release"},
		{"", "", "Release"},
		{"./", "./", "Release"},
		{"binary/", "./binary/", "binary/Release"},
		{"./a b+c/", "./a b+c/", "a%20b%2bc/Release"},
	} {
		a, err := upstream.ParseArchive("http://u:pw@deb.example.org/debian", c.distribution)
		if err != nil || a.Distribution != c.stored || a.IndexURL("Release") != "http://u:pw@deb.example.org/debian/"+c.release {
			t.Errorf("%q: %q, %s, %v", c.distribution, a.Distribution, a.IndexURL("Release"), err)
		}
	}
	if _, err := upstream.ParseArchive(root, "../x/"); err == nil {
		t.Error("a distribution may lead out of the archive")
	}
	if got := upstream.Shown("https://u:pw@h/x"); got != "https://h/x" {
		t.Error(got)
	}
}

func TestPPAExpandsToAnArchive(t *testing.T) {
	archive, distribution, components, err := upstream.PPA{Codename: "noble"}.Expand("ppa:gladky-anton/gnuplot")
	if err != nil || archive != "http://ppa.launchpad.net/gladky-anton/gnuplot/ubuntu" || distribution != "noble" || !slices.Equal(components, []string{"main"}) {
		t.Errorf("%s %s %q %v", archive, distribution, components, err)
	}
	for address, want := range map[string]string{
		"ppa:gladky":   "unable to parse ppa URL: ppa:gladky",
		"ppa:/gnuplot": "unable to parse ppa URL: ppa:/gnuplot",
	} {
		if _, _, _, err := (upstream.PPA{Codename: "noble"}).Expand(address); fmt.Sprint(err) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, _, _, err := (upstream.PPA{}).Expand("ppa:a/b"); err == nil || !strings.HasSuffix(err.Error(), "please set config option ppaCodename (aptless serve --ppa-codename)") {
		t.Error(err)
	}
}

// TestInstallerFilesAreOnePackage holds that the files of an installer are one package.
func TestInstallerFilesAreOnePackage(t *testing.T) {
	signer, ring := key(t, "archive")
	s := spec(signer)
	tree := upstreamtest.Build(s)
	const images = "dists/stable/main/installer-amd64/current/images/"
	sum := strings.Repeat("ab", 32)
	tree[images+"SHA256SUMS"] = []byte(sum + "  ./netboot/mini.iso\n" + sum + "  ./SHA256SUMS\n" + sum + "  ./by-hash/SHA256/x\n")
	tree[images+"netboot/mini.iso"] = []byte("12345")
	wanted := upstream.Wanted{Components: []string{"main"}, Architectures: []string{"amd64"}, Installer: true}
	a, server := upstream.Archive{Root: root, Distribution: "stable"}, upstreamtest.Serve(root, tree)
	k := upstream.Asker{Fetcher: server}
	for _, trust := range []upstream.Trust{{Ring: ring, Now: now()}, {}} {
		release, _, err := a.FetchRelease(t.Context(), k, trust, upstream.Seen{})
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		k.Say = func(text string) { said = append(said, text) }
		r := upstream.Reader{Asker: k, Archive: a, Release: release, Trust: trust}
		for l, err := range r.Packages(t.Context(), a.Indexes(wanted)[1]) {
			switch {
			case trust.Ring != nil:
				if !upstream.Missing(err) {
					t.Errorf("without a signature: %v, %v", l.Package, err)
				}
			case err != nil || len(l.Package.Files) != 1 || l.Package.Files[0].Size != 5 || l.Package.Files[0].SHA256 != sum || l.Dir+"/" != images:
				t.Errorf("%+v, %v", l, err)
			}
		}
		const warning = "@y[!]@| @!skipping 2 installer files that cannot be beside their list, such as ./SHA256SUMS@|"
		if skipped := slices.Contains(said, warning); skipped != (trust.Ring == nil) {
			t.Errorf("said %q", said)
		}
	}
	delete(tree, images+"SHA256SUMS")
	if keys, errs := packages(t, server, a, upstream.Trust{Ring: ring, Now: now()}, wanted); len(keys) != 2 || errs != nil {
		t.Errorf("without an installer: %q, %v", keys, errs)
	}
}

func FuzzParseRelease(f *testing.F) {
	for _, seed := range []string{"", "Date: Sat, 11 Jul 2026 10:16:37 UTC\n", "SHA256:\n a 1 b\n", "Components: x/y\nArchitectures: a source\n",
		"SHA256:\n a 1 ../../x\n a 1 /etc/passwd\n", "MD5Sum:\n a 9223372036854775808 b\n", "Suite: \x00\nCodename: \xff\n", "Valid-Until: never\nDate: Thu., 01 Jan 2026\n"} {
		f.Add(seed, "stretch/updates")
	}
	f.Fuzz(func(t *testing.T, text, distribution string) {
		r, err := upstream.Archive{Distribution: distribution}.ParseRelease([]byte(text))
		if err != nil {
			return
		}
		for name, file := range r.Files {
			if file.Size < 0 || file.Name != name {
				t.Errorf("%q: %+v", name, file)
			}
		}
		if slices.Contains(r.Architectures, "source") {
			t.Error("source is an architecture")
		}
	})
}

// FuzzFilePath holds that no path leads out of the archive.
func FuzzFilePath(f *testing.F) {
	f.Add("pool/main", "a.deb")
	f.Add("../..", "x")
	f.Add("/a/../..", "b/../../c")
	f.Add("", "/")
	f.Add("", "/../x")
	f.Fuzz(func(t *testing.T, dir, name string) {
		p, err := upstream.FilePath(dir, name)
		if err == nil && (p == "" || p[0] == '/' || p == "." || p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "/../")) {
			t.Errorf("%q", p)
		}
	})
}

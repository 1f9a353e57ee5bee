package mirror_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// TestAppStreamFilesArePublished mirrors AppStream files. Files that Release
// lists and the archive lacks are skipped. Snapshots have the others.
func TestAppStreamFilesArePublished(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		spec.Extra = map[string][]byte{
			"main/dep11/Components-amd64.yml": []byte("plain"), "main/dep11/Components-amd64.yml.gz": []byte("packed"),
			"contrib/dep11/Components-amd64.yml.gz": []byte("packed too"), "contrib/dep11/same": []byte("packed"), "free/dep11/other": []byte("x"), "main/other": []byte("y"),
		}
		tree := upstreamtest.Build(spec)
		delete(tree, "dists/stable/main/dep11/Components-amd64.yml")
		s.Upstream.Set(tree)
		s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"DownloadAppStream":true}`, nil)
		output, d := updated(t, s, "m", `{}`)
		for _, line := range []string{
			"Downloading AppStream file contrib/dep11/Components-amd64.yml.gz...\n",
			"@y[!]@| @!skipping AppStream file main/dep11/Components-amd64.yml: not found@|\n",
		} {
			if !strings.Contains(output, line) {
				t.Errorf("output %q lacks %q", output, line)
			}
		}
		if d.TotalNumberOfPackages != 3 || d.RemainingNumberOfPackages != 0 || d.RemainingDownloadSize != 0 {
			t.Errorf("detail %+v", d)
		}
		var shot struct{ AppStreamFiles map[string]string }
		s.Must(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, &shot)
		want := map[string]string{}
		for _, name := range []string{"main/dep11/Components-amd64.yml.gz", "contrib/dep11/Components-amd64.yml.gz", "contrib/dep11/same"} {
			sum := sha256.Sum256(spec.Extra[name])
			want[name] = hex.EncodeToString(sum[:])
		}
		if !maps.Equal(shot.AppStreamFiles, want) {
			t.Errorf("snapshot %v", shot)
		}
		// They are published in their component and listed in Release, also by
		// hash.
		s.Must(t, "POST", "/api/publish/parts", `{"SourceKind":"snapshot","Distribution":"x","Sources":[{"Name":"s","Component":"main"}],`+apptest.Unsigned+`}`, nil)
		if got := s.File(t, "/parts/dists/x/main/dep11/Components-amd64.yml.gz"); got != "packed" {
			t.Errorf("published %q", got)
		}
		digest := shot.AppStreamFiles["main/dep11/Components-amd64.yml.gz"]
		if release := s.File(t, "/parts/dists/x/Release"); !strings.Contains(release, " "+digest+"        6 main/dep11/Components-amd64.yml.gz\n") || strings.Contains(release, "contrib") {
			t.Errorf("Release:\n%s", release)
		}
		if got := s.File(t, "/parts/dists/x/main/dep11/by-hash/SHA256/"+digest); got != "packed" {
			t.Errorf("by hash %q", got)
		}
		spec.Fields = map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
		spec.Extra = nil
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		if _, got := s.Ask(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"t"}`); strings.Contains(got, "AppStream") {
			t.Errorf("snapshot %s", got)
		}
		s.Must(t, "PUT", "/api/publish/parts/x", `{"Snapshots":[{"Name":"t","Component":"main"}],`+apptest.Unsigned+`}`, nil)
		if got := s.File(t, "/parts/dists/x/Release"); strings.Contains(got, "dep11") {
			t.Errorf("after a switch, Release:\n%s", got)
		}
		s.Want(t, "GET", "/parts/dists/x/main/dep11/Components-amd64.yml.gz", "", 404, "")
	})
}

func TestInstallerIsOnePackage(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		const images = "main/installer-amd64/current/images/"
		kernel := []byte("a kernel")
		sum := sha256.Sum256(kernel)
		spec.Extra = map[string][]byte{
			images + "SHA256SUMS":    []byte(hex.EncodeToString(sum[:]) + "  ./netboot/linux\n"),
			images + "netboot/linux": kernel,
		}
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Must(t, "POST", "/api/mirrors", strings.TrimSuffix(apptest.CreateMirror, "}")+`,"DownloadInstaller":true,"Components":["main"]}`, nil)
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		keys := s.Keys(t, "/api/mirrors/m")
		if len(keys) != 3 || !strings.HasPrefix(keys[2], "Pamd64 installer  ") {
			t.Fatalf("packages %q", keys)
		}
		if asked := s.Upstream.Asked(); asked["dists/stable/"+images+"netboot/linux"] != 2 { // its size, then its bytes
			t.Errorf("asked for %v", asked)
		}
		s.Want(t, "PUT", "/api/mirrors/m", `{"LatestOnly":true}`, 204, "")
		if asked := s.Upstream.Asked(); asked["dists/stable/"+images+"netboot/linux"] != 1 {
			t.Errorf("asked for %v", asked)
		}
		s.Want(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, 201, "")
		s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Sources":[{"Name":"s"}]}`, 201, "")
		sums := hex.EncodeToString(sum[:]) + "  ./netboot/linux\n"
		published := func(wantSums, wantKernel string) {
			t.Helper()
			if got := s.File(t, "/dists/stable/"+images+"SHA256SUMS"); got != wantSums {
				t.Errorf("SHA256SUMS %q", got)
			}
			if got := s.File(t, "/dists/stable/"+images+"netboot/linux"); got != wantKernel {
				t.Errorf("the kernel is %q", got)
			}
			release := s.File(t, "/dists/stable/Release")
			if listed := strings.Contains(release, images+"SHA256SUMS\n"); listed != (wantSums != "") || strings.Contains(release, "SHA256SUMS.gpg") || strings.Contains(release, "linux") {
				t.Errorf("Release:\n%s", release)
			}
		}
		published(sums, "a kernel")
		if got := s.File(t, "/dists/stable/"+images+"SHA256SUMS.gpg"); !strings.HasPrefix(got, "-----BEGIN PGP SIGNATURE") {
			t.Errorf("SHA256SUMS.gpg %q", got)
		}
		if got := s.File(t, "/pool/main/i/installer/netboot/linux"); got != "" {
			t.Errorf("in the pool there is %q", got)
		}
		// A newer installer has its files under the same names.
		newer := sha256.Sum256([]byte("a newer kernel"))
		spec.Fields = map[string]string{"Date": "Sun, 12 Jul 2026 10:16:37 UTC"}
		newSums := hex.EncodeToString(newer[:]) + "  ./netboot/linux\n"
		// The list also names itself and its signature, which must not be replaced.
		hostile := hex.EncodeToString(newer[:]) + "  ./SHA256SUMS\n" + hex.EncodeToString(newer[:]) + "  ./SHA256SUMS.gpg\n"
		spec.Extra = map[string][]byte{images + "SHA256SUMS": []byte(hostile + newSums), images + "netboot/linux": []byte("a newer kernel")}
		s.Upstream.Set(upstreamtest.Build(spec))
		if output, _ := updated(t, s, "m", `{}`); !strings.Contains(output, "skipping 2 installer files that cannot be beside their list, such as ./SHA256SUMS@|\n") {
			t.Errorf("output %q", output)
		}
		s.Want(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"t"}`, 201, "")
		s.Must(t, "PUT", "/api/publish/:./stable", `{"Snapshots":[{"Name":"t","Component":"main"}]}`, nil)
		published(newSums, "a newer kernel")
		s.Must(t, "POST", "/api/publish/:./stable/rollback", `{"Generation":1}`, nil)
		published(sums, "a kernel")
		s.Must(t, "POST", "/api/snapshots", `{"Name":"none"}`, nil)
		s.Must(t, "PUT", "/api/publish/:./stable", `{"Snapshots":[{"Name":"none","Component":"main"}]}`, nil)
		published("", "")
		gone := func() {
			t.Helper()
			for _, name := range []string{"SHA256SUMS", "SHA256SUMS.gpg", "netboot/linux"} {
				s.Want(t, "GET", "/dists/stable/"+images+name, "", 404, "")
			}
		}
		gone()
		s.Must(t, "POST", "/api/publish/:./stable/rollback", `{"Generation":2}`, nil)
		published(newSums, "a newer kernel")
		s.Must(t, "DELETE", "/api/publish/:./stable", "", nil)
		gone()
	})
}

// TestSnapshotOfMirrorHasContents publishes a snapshot of a mirror. Distribution
// and component are the mirror's. Contents has the paths of its packages.
func TestSnapshotOfMirrorHasContents(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		main := spec.Components["main"]
		main.Packages[0].Files = map[string]string{"usr/bin/hello": "x"}
		spec.Distribution = "bookworm"
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Must(t, "POST", "/api/mirrors", strings.Replace(strings.TrimSuffix(apptest.CreateMirror, "}"), `"stable"`, `"bookworm"`, 1)+`,"Components":["main"]}`, nil)
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		s.Want(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, 201, "")
		s.Want(t, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Sources":[{"Name":"s"}],"Signing":{"Skip":true}}`, 201, "")
		code, packed := s.Ask(t, "GET", "/dists/bookworm/main/Contents-amd64.gz", "")
		unpacked, err := gzip.NewReader(bytes.NewReader([]byte(packed)))
		if code != 200 || err != nil {
			t.Fatalf("Contents: %d, %v", code, err)
		}
		if text, err := io.ReadAll(unpacked); err != nil || !strings.Contains(string(text), "usr/bin/hello") {
			t.Errorf("Contents: %q, %v", text, err)
		}
	})
}

// TestFailuresInARowStopTheUpdate lets downloads fail. All files are tried unless
// too many in a row fail. Fetched files stay in the pool.
func TestFailuresInARowStopTheUpdate(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		main := spec.Components["main"]
		for i := range 200 {
			p := main.Packages[0]
			p.Package = fmt.Sprint("many", i)
			main.Packages = append(main.Packages, p)
		}
		spec.Components["main"] = main
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Upstream.Fault = func(path string, _ int, data []byte) ([]byte, error) {
			if strings.HasPrefix(path, "pool/") {
				return nil, errors.New("no route to " + path)
			}
			return data, nil
		}
		s.Upstream.Asked()
		code, got := s.Ask(t, "PUT", "/api/mirrors/m", `{}`)
		if files := packageFiles(s.Upstream.Asked()); code != 500 || strings.Count(got, `\n  no route to pool/`) < 50 || len(files) > 60 {
			t.Errorf("%d %s, asked for %d", code, got, len(files))
		}
		spoil := s.Upstream.Fault
		s.Upstream.Fault = func(path string, before int, data []byte) ([]byte, error) {
			if strings.Contains(path, "5") {
				return data, nil
			}
			return spoil(path, before, data)
		}
		code, got = s.Ask(t, "PUT", "/api/mirrors/m", `{}`)
		files := packageFiles(s.Upstream.Asked())
		if code != 500 || strings.Count(got, `\n  no route to pool/`) != 50 || !strings.Contains(got, `\n  and `) || len(files) != 203 {
			t.Errorf("%d %s, asked for %d", code, got, len(files))
		}
		s.Upstream.Fault = nil
		s.Want(t, "PUT", "/api/mirrors/m", `{}`, 204, "")
		if again := packageFiles(s.Upstream.Asked()); len(again) == 0 || len(again) > 190 {
			t.Errorf("%d files after %d", len(again), len(files))
		}
	})
}

// TestFilesOfThePoolAreNotFetched holds that known files are neither fetched nor
// counted.
func TestFilesOfThePoolAreNotFetched(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		imported(t, s, debtest.Deb(spec.Components["main"].Packages[0]))
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Upstream.Asked()
		_, d := updated(t, s, "m", `{}`)
		if files := packageFiles(s.Upstream.Asked()); len(files) != 2 || files["pool/main/hello_2.10-3_amd64.deb"] != 0 || d.TotalNumberOfPackages != 2 {
			t.Errorf("asked for %v, detail %+v", files, d)
		}
		if got := s.Names(t, "/api/mirrors/m"); got != "hello-data_1:2.10+b1_all other_1.0_all hello_2.10-3_amd64" {
			t.Errorf("packages %s", got)
		}
	})
}

func TestTranslationsAreKeptOnRequest(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec := s.Archive(t)
		spec.Extra = map[string][]byte{"main/i18n/Translation-de.bz2": []byte("deutsch"), "main/dep11/x": []byte("x")}
		s.Upstream.Set(upstreamtest.Build(spec))
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Must(t, "POST", "/api/mirrors/m", `{"DownloadTranslations":true}`, nil)
		if output, _ := updated(t, s, "m", `{}`); !strings.Contains(output, "Downloading translation file main/i18n/Translation-de.bz2...\n") {
			t.Errorf("output %q", output)
		}
		var shot struct{ AppStreamFiles map[string]string }
		if s.Must(t, "POST", "/api/mirrors/m/snapshots", `{"Name":"s"}`, &shot); len(shot.AppStreamFiles) != 1 || shot.AppStreamFiles["main/i18n/Translation-de.bz2"] == "" {
			t.Errorf("snapshot %v", shot)
		}
	})
}

// TestChangedFieldsFetchNoFiles changes control fields only. The mirror gets them
// without any download.
func TestChangedFieldsFetchNoFiles(t *testing.T) {
	apptest.EachDriver(t, func(t *testing.T, s *apptest.Process) {
		spec, aa := s.Archive(t), debtest.Spec{Package: "aa"}
		entry := stanza(aa, "aa_1.0_all.deb", "{sha256}\n")
		files := map[string][]byte{"aa_1.0_all.deb": debtest.Deb(aa)}
		lists(s, spec, []string{entry}, files)
		s.Must(t, "POST", "/api/mirrors", apptest.CreateMirror, nil)
		s.Want(t, "PUT", "/api/mirrors/m", "{}", 204, "")
		key := s.Keys(t, "/api/mirrors/m")[0]
		lists(s, spec, []string{"Task: fresh\n" + entry}, files)
		s.Upstream.Asked()
		s.Want(t, "PUT", "/api/mirrors/m", "{}", 204, "")
		if asked := s.Upstream.Asked(); asked["aa_1.0_all.deb"] != 0 || s.Keys(t, "/api/mirrors/m")[0] != key {
			t.Errorf("asked for %v, key %s", asked, s.Keys(t, "/api/mirrors/m")[0])
		}
		for _, path := range []string{"/api/mirrors/m/packages?format=details", "/api/packages/" + strings.ReplaceAll(key, " ", "%20")} {
			if _, got := s.Ask(t, "GET", path, ""); !strings.Contains(got, `"Task":"fresh"`) {
				t.Errorf("%s: %s", path, got)
			}
		}
	})
}

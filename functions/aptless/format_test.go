package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aptless/core/formats/deb/debtest"
)

// TestDataOfOlderVersions holds that a folder of each format is served as it was. Then the
// next version is published, publications are switched and dropped, and a collection runs.
// Afterwards the check finds nothing.
func TestDataOfOlderVersions(t *testing.T) {
	archives, err := filepath.Glob("testdata/data-*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatal("there are no folders", err)
	}
	for _, archive := range archives {
		t.Run(filepath.Base(archive), func(t *testing.T) {
			data := t.TempDir()
			unpack(t, archive, data)
			before := served(t, data)
			r := newRunning(t, data).started()
			for path, want := range before {
				if got := r.must("GET", path, ""); digestOf(got) != want {
					t.Errorf("%s has changed", path)
				}
			}
			for path, want := range map[string]string{
				"/api/repos/demo/packages":     "hello-old 1.1 ",
				"/api/repos":                   "of the older version",
				"/api/snapshots/first":         "one package",
				"/api/snapshots/of-m/packages": "hello-old 1.1 ",
				"/api/mirrors":                 `"Name":"m"`,
				"/api/publish":                 `"PoolLayout":"hash"`,
				"/api/files/left":              "hello-old_1.1_amd64.deb",
			} {
				if got := r.must("GET", path, ""); !strings.Contains(got, want) {
					t.Errorf("%s: %s", path, got)
				}
			}
			r.must("PUT", "/api/files/next/hello-old_2.0_amd64.deb", string(debtest.Deb(debtest.Spec{Package: "hello-old", Version: "2.0", Architecture: "amd64"})))
			r.must("POST", "/api/repos/demo/file/next", "")
			r.must("PUT", "/api/publish/:./stable", `{}`)
			if got := r.must("GET", "/dists/stable/main/binary-amd64/Packages", ""); strings.Count(got, "Package: hello-old") != 3 {
				t.Errorf("the updated publication has\n%s", got)
			}
			r.must("POST", "/api/repos/demo/snapshots", `{"Name":"second"}`)
			r.must("PUT", "/api/publish/team_a/frozen", `{"Snapshots":[{"Name":"second"}]}`)
			r.consistent("/team/a/dists/frozen", "/dists/stable")
			r.must("DELETE", "/api/publish/:./stable", "")
			r.must("POST", "/api/db/cleanup", "")
			if code, _ := r.ask("GET", "/dists/stable/InRelease", ""); code != 404 {
				t.Errorf("a dropped publication is served: %d", code)
			}
			if got := r.must("POST", "/api/db/repair?dryRun=1", ""); strings.Contains(got, "hello") || strings.Contains(got, "dists") {
				t.Errorf("the check finds %s", got)
			}
			r.consistent("/team/a/dists/frozen")
			r.end()
			if text, err := os.ReadFile(filepath.Join(data, formatName)); err != nil || !strings.HasPrefix(string(text), fmt.Sprint(dataFormat, " ")) {
				t.Errorf("the mark is %q, %v", text, err)
			}
		})
	}
}

// TestDataOfLaterVersions holds that each command refuses a folder of a later program. The
// error has the version that is needed, and the folder stays as it is.
func TestDataOfLaterVersions(t *testing.T) {
	data := withKey(t)
	mark := fmt.Sprintf("%d 9.9.9+aptless7.0\n", dataFormat+1)
	put(t, filepath.Join(data, formatName), mark, 0o600)
	err := start(t, "--listen", "127.0.0.1:0", "--data", data)
	if err == nil || !strings.Contains(err.Error(), "9.9.9+aptless7.0") || !strings.Contains(err.Error(), "or a later one") {
		t.Error(err)
	}
	if _, _, err := stopped(data); err == nil {
		t.Error("a command opens it")
	}
	entries, err := os.ReadDir(data)
	if text, readErr := os.ReadFile(filepath.Join(data, formatName)); err != nil || readErr != nil || string(text) != mark || len(entries) != 2 {
		t.Errorf("%q, %v, %v", text, entries, errors.Join(err, readErr))
	}
	for _, damaged := range []string{"", "x", "0 a", "-1", strings.Repeat("9", maxMark+1)} {
		put(t, filepath.Join(data, formatName), damaged, 0o600)
		if err := checkFormat(data); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %v", damaged, err)
		}
	}
}

// unpack unpacks a folder of the test's data.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeLink:
			err = os.Link(filepath.Join(dir, filepath.FromSlash(h.Linkname)), path)
		case tar.TypeReg:
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// served returns the digests of the public files of a folder, by their paths.
func served(t *testing.T, data string) map[string]string {
	t.Helper()
	files := map[string]string{}
	public := filepath.Join(data, "public")
	err := filepath.Walk(public, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, public)] = digestOf(string(content))
		return err
	})
	if err != nil || len(files) < 10 {
		t.Fatal(len(files), err)
	}
	return files
}

func digestOf(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

// sumLine is a line of the field SHA256 of a Release file, and pathLine of Packages.
var (
	sumLine  = regexp.MustCompile(`(?m)^ ([0-9a-f]{64}) +[0-9]+ (\S+)$`)
	pathLine = regexp.MustCompile(`(?m)^Filename: (\S+)$`)
)

// consistent checks that each file that a publication names is served with its digest.
func (r *running) consistent(dists ...string) {
	r.t.Helper()
	for _, dist := range dists {
		sums := sumLine.FindAllStringSubmatch(r.must("GET", dist+"/Release", ""), -1)
		if len(sums) == 0 {
			r.t.Errorf("%s lists nothing", dist)
		}
		for _, sum := range sums {
			code, content := r.ask("GET", dist+"/"+sum[2], "")
			if code == 404 && strings.HasPrefix(filepath.Base(sum[2]), "Contents-") && filepath.Ext(sum[2]) == "" {
				continue // Release lists the plain form of a file that is only packed
			}
			if digestOf(content) != sum[1] {
				r.t.Errorf("%s/%s has another digest: %d", dist, sum[2], code)
			}
			if strings.HasSuffix(sum[2], "/Packages") {
				for _, file := range pathLine.FindAllStringSubmatch(content, -1) {
					prefix, _, _ := strings.Cut(dist, "dists/")
					r.must("GET", prefix+file[1], "")
				}
			}
		}
	}
}

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const version = "0.1.0"

// built is the folder of a release for the architecture of this machine. All tests share it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "aptless-release-")
	if err != nil {
		return "", err
	}
	return dir, run(context.Background(), []string{"-version", version, "-arch", runtime.GOARCH, "-out", dir}, epoch)
})

func epoch(name string) string { return map[string]string{"SOURCE_DATE_EPOCH": "1790000000"}[name] }

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := built(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// shared returns the files of the shared release.
func shared(t *testing.T) *release {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return &release{version: version, out: dir, source: "../..", archs: []string{runtime.GOARCH}}
}

// TestReleaseIsReproducible holds that a second run makes equal files.
func TestReleaseIsReproducible(t *testing.T) {
	first, dir := shared(t), t.TempDir()
	if err := run(t.Context(), []string{"-version", version, "-arch", runtime.GOARCH, "-out", dir, "-parts", "programs,debs,image,provenance,sums"}, epoch); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(first.out, sumsName))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, sumsName))
	if err != nil || string(got) != string(want) || bytes.Count(got, []byte("\n")) != 5 {
		t.Errorf("%v\n%s\n%s", err, want, got)
	}
	check := exec.Command("sha256sum", "--check", "--strict", sumsName)
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestNothingOfTheMachine holds that no path of this machine is in the program or the image.
func TestNothingOfTheMachine(t *testing.T) {
	r := shared(t)
	source, err := filepath.Abs(r.source)
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(r.program(runtime.GOARCH))
	if err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output() // a test with -trimpath does not know it
	if err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{source + "/", home + "/go/", strings.TrimSpace(string(goroot)) + "/src"} {
		if bytes.Contains(program, []byte(trace)) {
			t.Errorf("the program has the text %s", trace)
		}
	}
	if out, err := exec.Command("file", "--brief", r.program(runtime.GOARCH)).Output(); err != nil || !strings.Contains(string(out), "statically linked") {
		t.Errorf("%s, %v", out, err)
	}
}

// TestComponentsAreListed holds that the list of components has each module that is linked.
func TestComponentsAreListed(t *testing.T) {
	r := shared(t)
	text, err := os.ReadFile(r.program(runtime.GOARCH) + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Format     string `json:"bomFormat"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &list); err != nil || list.Format != "CycloneDX" {
		t.Fatal(list.Format, err)
	}
	listed := map[string]string{}
	for _, c := range list.Components {
		listed[c.Name] = c.Version
	}
	out, err := exec.Command("go", "version", "-m", r.program(runtime.GOARCH)).Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(string(out), -1)
	if len(modules) < 10 {
		t.Fatalf("%s", out)
	}
	for _, module := range modules {
		if listed[module[1]] != module[2] {
			t.Errorf("%s is %s, and is listed as %q", module[1], module[2], listed[module[1]])
		}
	}
}

// TestDebHasFiles holds that the Debian package has its files, of root, with modes that do
// not depend on the machine.
func TestDebHasFiles(t *testing.T) {
	r := shared(t)
	out, err := exec.Command("dpkg-deb", "--contents", r.deb(runtime.GOARCH)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`-rwxr-xr-x root/root +\d+ .* \./usr/bin/aptless\n`,
		`-rw-r--r-- root/root +\d+ .* \./etc/aptless/aptless.toml\n`,
		`-rw-r--r-- root/root +\d+ .* \./usr/lib/systemd/system/aptless.service\n`,
		`-rw-r--r-- root/root +\d+ .* \./usr/lib/sysusers.d/aptless.conf\n`,
		`-rw-r--r-- root/root +\d+ .* \./usr/share/bash-completion/completions/aptless\n`,
		`-rw-r--r-- root/root +\d+ .* \./usr/share/doc/aptless/copyright\n`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("nothing matches %s in\n%s", want, out)
		}
	}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "drwxr-xr-x root/root") && !strings.HasPrefix(line, "-rw") {
			t.Errorf("%s", line)
		}
	}
}

// TestLintian holds that lintian finds nothing in the Debian package.
func TestLintian(t *testing.T) {
	out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", shared(t).deb(runtime.GOARCH)).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnitIsHardened holds that systemd rates the exposure of the unit as low.
func TestUnitIsHardened(t *testing.T) {
	root := t.TempDir()
	if out, err := exec.Command("dpkg-deb", "--extract", shared(t).deb(runtime.GOARCH), root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	unit := filepath.Join(root, "usr/lib/systemd/system/aptless.service")
	if out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=15", unit).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// The server has 30 seconds to end its requests and tasks.
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindSubmatch(text)
	if stop == nil {
		t.Fatal("the unit has no TimeoutStopSec")
	}
	if seconds, err := strconv.Atoi(string(stop[1])); err != nil || seconds < 35 {
		t.Errorf("TimeoutStopSec=%s, %v", stop[1], err)
	}
}

// unpackImage unpacks the layers of the image, and returns its settings.
func unpackImage(t *testing.T, archive, root string) (config struct {
	User, WorkingDir string
	Entrypoint, Cmd  []string
	Volumes          map[string]struct{}
	Healthcheck      struct{ Test []string }
}) {
	t.Helper()
	blobs := map[string][]byte{}
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if blobs[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	type descriptor struct {
		Digest    string
		MediaType string
	}
	get := func(d descriptor, into any) {
		t.Helper()
		if err := json.Unmarshal(blobs["blobs/"+strings.ReplaceAll(d.Digest, ":", "/")], into); err != nil {
			t.Fatalf("%s: %v", d.Digest, err)
		}
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(blobs["index.json"], &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("%s, %v", blobs["index.json"], err)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	get(index.Manifests[0], &manifest)
	var file struct{ Config json.RawMessage }
	get(manifest.Config, &file)
	if err := json.Unmarshal(file.Config, &config); err != nil {
		t.Fatal(err)
	}
	for _, layer := range manifest.Layers {
		z, err := gzip.NewReader(bytes.NewReader(blobs["blobs/"+strings.ReplaceAll(layer.Digest, ":", "/")]))
		if err != nil {
			t.Fatal(err)
		}
		untar(t, tar.NewReader(z), root)
	}
	return config
}

func untar(t *testing.T, r *tar.Reader, root string) {
	t.Helper()
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(root, filepath.FromSlash(path.Clean("/"+h.Name)))
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(name, 0o755)
		} else {
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(name, content, 0o644)
			}
		}
		if err == nil {
			err = os.Chmod(name, os.FileMode(h.Mode&0o777))
		}
		if err == nil {
			err = os.Lchown(name, h.Uid, h.Gid)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests of this file install a system by debootstrap, and need root for it. One variable
// keeps the system for the next run, and the other selects the release of Debian.
const (
	systemVariable = "APTLESS_CHROOT"
	suiteVariable  = "APTLESS_SUITE" // bookworm without it; trixie is Debian 13
)

// system returns the root of a new Debian system.
func system(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a system is installed by root only: sudo make test-package")
	}
	root := filepath.Join(t.TempDir(), "system")
	kept := os.Getenv(systemVariable)
	if kept == "" {
		kept = root
	}
	if _, err := os.Stat(filepath.Join(kept, "usr/bin/dpkg")); err != nil {
		must(t, "debootstrap", "--variant=minbase", "--include=ca-certificates,curl,gnupg,gpgv,openssl", cmp.Or(os.Getenv(suiteVariable), "bookworm"), kept)
	}
	if name, err := os.ReadFile(filepath.Join(kept, "etc/debian_version")); err == nil {
		t.Logf("the system is Debian %s", bytes.TrimSpace(name))
	}
	if kept != root {
		must(t, "cp", "-a", kept, root)
	}
	// The tests install no other package: its lists of Debian are not needed.
	if err := os.WriteFile(filepath.Join(root, "etc/apt/sources.list"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// must runs a command and returns its output.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// unit is the service of an installed system, run as its unit says, without systemd.
type unit struct {
	t      *testing.T
	root   string
	cmd    *exec.Cmd
	output bytes.Buffer
}

// startUnit starts the service: its user, its umask, its folders and its command are the
// unit's.
func startUnit(t *testing.T, root string) *unit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/aptless.service"))
	if err != nil {
		t.Fatal(err)
	}
	setting := func(name string) string {
		found := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(string(text))
		if found == nil {
			t.Fatalf("the unit has no %s", name)
		}
		return found[1]
	}
	for name, parent := range map[string]string{"StateDirectory": "var/lib", "RuntimeDirectory": "run"} {
		must(t, "chroot", root, "install", "-d", "-o", setting("User"), "-g", setting("Group"), "-m", setting(name+"Mode"), "/"+parent+"/"+setting(name))
	}
	u := &unit{t: t, root: root}
	u.cmd = exec.Command("chroot", "--userspec="+setting("User")+":"+setting("Group"), root, "/bin/sh", "-c", "umask "+setting("UMask")+"; exec "+setting("ExecStart"))
	u.cmd.Stdout, u.cmd.Stderr = &u.output, &u.output
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if exec.Command("chroot", root, "/usr/bin/aptless", "healthcheck", "--url", "unix:///run/aptless/api.sock").Run() == nil {
			return u
		}
		time.Sleep(100 * time.Millisecond)
	}
	u.stop()
	t.Fatalf("the service does not start\n%s", u.output.String())
	return nil
}

// stop stops the service as systemd does.
func (u *unit) stop() {
	u.t.Helper()
	err := errors.Join(u.cmd.Process.Signal(syscall.SIGTERM), u.cmd.Wait())
	if err != nil {
		u.t.Fatalf("%v\n%s", err, u.output.String())
	}
}

// in runs a command in the system.
func (u *unit) in(args ...string) string {
	u.t.Helper()
	return must(u.t, "chroot", append([]string{u.root}, args...)...)
}

// settings replaces the address in the settings of the system by a free one, and returns it.
func settings(t *testing.T, root string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(root, "etc/aptless/aptless.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "127.0.0.1:8080", l.Addr().String(), 1)
	if changed == string(text) {
		t.Fatalf("the settings have no address\n%s", text)
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return "http://" + l.Addr().String()
}

// TestInstallUpgradePurge installs the Debian package in a new system, serves as the unit
// does, and installs a package from it. Then it opens the data of an older version, upgrades
// with a running client, and purges.
func TestInstallUpgradePurge(t *testing.T) {
	r, root := shared(t), system(t)
	install := func() string {
		t.Helper()
		must(t, "cp", r.deb(runtime.GOARCH), filepath.Join(root, "aptless.deb"))
		return must(t, "chroot", root, "sh", "-c", "dpkg --unpack --no-triggers /aptless.deb && dpkg --force-depends --configure aptless")
	}
	install()
	if got := must(t, "chroot", root, "stat", "-c", "%U:%G %a", "/var/lib/aptless"); got != "aptless:aptless 750\n" {
		t.Errorf("the folder of the data is of %s", got)
	}
	url := settings(t, root)
	u := startUnit(t, root)
	if got := must(t, "stat", "-c", "%a", filepath.Join(root, "run/aptless/api.sock")); got != "770\n" {
		t.Errorf("the socket has the mode %s", got)
	}
	hello(t, root, "hello-aptless", "1.0")
	u.in("aptless", "push", "--create", "--repo", "demo", "--publish", "stable", "/hello.deb")
	sources := get(t, url+"/aptless.sources")
	if err := os.WriteFile(filepath.Join(root, "etc/apt/sources.list.d/aptless.sources"), []byte(sources), 0o644); err != nil {
		t.Fatal(err)
	}
	u.in("apt-get", "update")
	u.in("apt-get", "install", "-y", "hello-aptless")
	if got := u.in("cat", "/usr/share/hello-aptless"); got != "1.0\n" {
		t.Errorf("installed is %q", got)
	}
	hello(t, root, "hello-aptless", "2.0")
	u.in("aptless", "push", "--repo", "demo", "--publish", "stable", "/hello.deb")
	u.in("apt-get", "update")
	u.in("apt-get", "upgrade", "-y")
	if got := u.in("cat", "/usr/share/hello-aptless"); got != "2.0\n" {
		t.Errorf("upgraded is %q", got)
	}
	u.stop()

	t.Run("upgrade", func(t *testing.T) { upgrade(t, root, url, install) })
	t.Run("purge", func(t *testing.T) {
		must(t, "chroot", root, "dpkg", "--remove", "--force-depends", "aptless")
		if _, err := os.Stat(filepath.Join(root, "etc/aptless/aptless.toml")); err != nil {
			t.Error("a removal takes the settings:", err)
		}
		if out := must(t, "chroot", root, "dpkg", "--purge", "aptless"); !strings.Contains(out, "stay in /var/lib/aptless") {
			t.Errorf("purge says\n%s", out)
		}
		if _, err := os.Stat(filepath.Join(root, "var/lib/aptless/signing-key.asc")); err != nil {
			t.Error("a purge takes the key:", err)
		}
		if _, err := os.Stat(filepath.Join(root, "etc/aptless/aptless.toml")); err == nil {
			t.Error("a purge leaves the settings")
		}
	})
}

// upgrade replaces the data by those of an older version, and installs the package over
// itself: the settings of the administrator stay.
func upgrade(t *testing.T, root, url string, install func() string) {
	data := filepath.Join(root, "var/lib/aptless")
	must(t, "rm", "-rf", data)
	must(t, "install", "-d", data)
	must(t, "tar", "-xzf", "../../functions/aptless/testdata/data-e9d7009.tar.gz", "-C", data)
	must(t, "chroot", root, "chown", "-R", "aptless:aptless", "/var/lib/aptless")
	before, err := os.ReadFile(filepath.Join(root, "etc/aptless/aptless.toml"))
	if err != nil {
		t.Fatal(err)
	}
	install()
	if after, err := os.ReadFile(filepath.Join(root, "etc/aptless/aptless.toml")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the upgrade changes the settings: %v", err)
	}
	// The lists of the former data are newer, and apt would keep them.
	must(t, "sh", "-c", "rm -rf "+filepath.Join(root, "var/lib/apt/lists")+"/*_*")
	u := startUnit(t, root)
	defer u.stop()
	if err := os.WriteFile(filepath.Join(root, "etc/apt/sources.list.d/aptless.sources"), []byte(get(t, url+"/aptless.sources")), 0o644); err != nil {
		t.Fatal(err)
	}
	u.in("apt-get", "update")
	if got := u.in("apt-cache", "policy", "hello-old"); !strings.Contains(got, "Candidate: 1.1") {
		t.Errorf("%s", got)
	}
	hello(t, root, "hello-aptless", "3.0")
	u.in("aptless", "push", "--repo", "demo", "--publish", "stable", "/hello.deb")
	u.in("apt-get", "update")
	u.in("apt-get", "install", "-y", "hello-aptless")
	if got := u.in("cat", "/usr/share/hello-aptless"); got != "3.0\n" {
		t.Errorf("installed is %q", got)
	}
}

// hello writes a version of a package to hello.deb of a folder. The package has one file,
// /usr/share/<name>, with the version.
func hello(t *testing.T, to, name, version string) {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"DEBIAN/control":    fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Tests <tests@example.org>\nDescription: a test\n", name, version, runtime.GOARCH),
		"usr/share/" + name: version + "\n",
	} {
		if err := place(dir, file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "dpkg-deb", "--root-owner-group", "--build", dir, filepath.Join(to, "hello.deb"))
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s, %v", url, resp.Status, text, err)
	}
	return string(text)
}

// TestImageServes runs the program of the image as its user, with a read-only root. A package
// is published in it.
func TestImageServes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("an image is unpacked by root only: sudo make test-package")
	}
	r, root := shared(t), filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	config := unpackImage(t, r.imagePath(), root)
	if config.User != "65532:65532" || config.Healthcheck.Test[0] != "CMD" {
		t.Errorf("%+v", config)
	}
	hello(t, filepath.Join(root, "tmp"), "hello-aptless", "1.0")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	command := append(config.Entrypoint, config.Cmd...)
	for i, word := range command {
		if word == "0.0.0.0:8080" {
			command[i] = l.Addr().String()
		}
	}
	// In its own mount namespace the root is read-only, but for the volume and /tmp.
	const mounts = `set -e
mount --bind "$1" "$1"
for d in var/lib/aptless tmp; do mount --bind "$1/$d" "$1/$d"; done
mount -o remount,bind,ro "$1"
root=$1; shift
exec chroot --userspec=65532:65532 --groups= "$root" "$@"`
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--propagation=private", "sh", "-c", mounts, "sh", root}, command...)...)
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	program := r.program(runtime.GOARCH)
	for i := 0; exec.Command(program, append(config.Healthcheck.Test[2:], "--url", url)...).Run() != nil; i++ {
		if i == 600 {
			t.Fatalf("the image does not start\n%s", log.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
	token, err := os.ReadFile(filepath.Join(root, "var/lib/aptless/admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	push := exec.Command(program, "push", "--url", url, "--create", "--repo", "demo", "--publish", "stable", filepath.Join(root, "tmp/hello.deb"))
	push.Env = append(os.Environ(), "APTLESS_TOKEN="+strings.TrimSpace(string(token)))
	if out, err := push.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := get(t, url+"/dists/stable/main/binary-"+runtime.GOARCH+"/Packages"); !strings.Contains(got, "hello-aptless") {
		t.Errorf("%s", got)
	}
	push = exec.Command(program, "push", "--url", url, "--repo", "demo", filepath.Join(root, "tmp/hello.deb"))
	if out, err := push.CombinedOutput(); err == nil {
		t.Errorf("the image answers without a token\n%s", out)
	}
	cancel()
	server.Wait()
	if !strings.Contains(log.String(), "stopping") {
		t.Errorf("log\n%s", log.String())
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v, %v", entries, err)
	}
}

package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
)

// TestPushBesideAptly pushes a folder of packages by one command, and adds and publishes
// the same folder by aptly. Both publish all packages. PUSH_PACKAGES is their number.
func TestPushBesideAptly(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("PUSH_PACKAGES"))
	n = max(n, 25)
	f := newForeign(t)
	for i := range n {
		name := fmt.Sprintf("p%d", i)
		spec := debtest.Spec{Package: name, Version: "1.0", Architecture: []string{"amd64", "arm64", "all"}[i%3],
			Files: map[string]string{"usr/share/" + name + "/file": strings.Repeat(name+" ", 200)}, Compression: "packed xz"}
		f.write("debs/"+debtest.FileName(spec), debtest.Deb(spec))
	}
	s := newServer(t)
	timed := func(what string, cmd *exec.Cmd) {
		t.Helper()
		began := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, out)
		}
		used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		t.Logf("%-28s %8v, %8v of processor in the command", what, time.Since(began).Round(10*time.Millisecond), used.Round(10*time.Millisecond))
	}
	before := used(t, s.cmd.Process.Pid)
	timed("aptless push", exec.Command(s.bin, "push", "--url", s.url, "--repo", "r", "--create", "--publish", "stable", filepath.Join(f.dir, "debs")))
	t.Logf("the server used %v of processor", (used(t, s.cmd.Process.Pid) - before).Round(10*time.Millisecond))
	timed("the same push again", exec.Command(s.bin, "push", "--url", s.url, "--repo", "r", "--publish", "stable", filepath.Join(f.dir, "debs")))
	f.write("aptly.conf", fmt.Appendf(nil, `{"rootDir":%q}`, filepath.Join(f.dir, "root")))
	f.run("aptly", "-config=aptly.conf", "repo", "create", "-distribution=stable", "r")
	timed("aptly repo add", f.command("aptly", "-config=aptly.conf", "repo", "add", "r", "debs"))
	timed("aptly publish repo", f.command("aptly", "-config=aptly.conf", "publish", "repo", "-batch", "-gpg-key="+f.key, "-architectures=amd64,arm64", "r"))
	for _, arch := range []string{"amd64", "arm64"} {
		path := "dists/stable/main/binary-" + arch + "/Packages"
		ours, err := s.fetch(t.Context(), "/"+path)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join(f.dir, "root/public", path))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := bytes.Count(ours, []byte("Package: ")), bytes.Count(theirs, []byte("Package: ")); a != b || a < n/2 {
			t.Errorf("%s: %d packages here, %d of aptly", path, a, b)
		}
	}
}

// used returns the processor time of a process, by /proc/PID/stat (proc(5)).
func used(t *testing.T, pid int) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // a tick of Linux
}

package tests

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
)

// dated is the line of a Release that two servers never share.
var dated = regexp.MustCompile(`(?m)^Date: .*\n`)

// publicTree returns the digest of each published file of a server's folder. Signed files
// are left out, and Release counts without its date.
func publicTree(t *testing.T, data string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	root := filepath.Join(data, "public")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if base := filepath.Base(path); err != nil || d.IsDir() || base == "InRelease" || base == "Release.gpg" {
			return err
		}
		text, err := os.ReadFile(path)
		if filepath.Base(path) == "Release" {
			text = dated.ReplaceAll(text, nil)
		}
		tree[strings.TrimPrefix(path, root)] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestTransferKeepsTheTree exports TRANSFER_PACKAGES (40) packages, and imports them into
// a second server. Its public tree is byte-equal, by-hash names included, but for dates
// and signatures. make transfer-drill does so with 50,000 packages.
func TestTransferKeepsTheTree(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("TRANSFER_PACKAGES"))
	n = max(n, 40)
	from, to := newServer(t), newServer(t)
	from.must(from.json("POST", "/api/repos", `{"Name":"r"}`, nil))
	for first := 0; first < n; first += 500 {
		var specs []debtest.Spec
		for i := first; i < min(n, first+500); i++ {
			specs = append(specs, debtest.Spec{Package: fmt.Sprintf("p%d", i), Architecture: []string{"amd64", "all"}[i%2], Files: map[string]string{fmt.Sprintf("usr/share/p%d/f", i): "x"}, Compression: "none"})
		}
		from.must(from.upload("d", specs...))
		from.must(from.json("POST", "/api/repos/r/file/d", "", nil))
	}
	from.must(from.json("POST", "/api/repos/r/snapshots", `{"Name":"s"}`, nil))
	from.must(from.json("POST", "/api/publish/team", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64","i386"],"Sources":[{"Name":"r"}]}`, nil))
	from.must(from.json("POST", "/api/publish", `{"SourceKind":"snapshot","Distribution":"frozen","Architectures":["amd64"],"SkipContents":true,"Sources":[{"Name":"s"}]}`, nil))
	dir := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"export", dir, "--url", from.url}, {"import", "--empty", dir, "--url", to.url}} {
		began, cmd := time.Now(), exec.Command(from.bin, args...)
		out, peak, err := peakOf(cmd)
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		t.Logf("%s of %d packages: %v, peak of the command %d MiB", args[0], n, time.Since(began).Round(time.Millisecond), peak)
	}
	was, is := publicTree(t, from.data), publicTree(t, to.data)
	if len(was) < n || !maps.Equal(was, is) {
		for _, name := range slices.Sorted(maps.Keys(was)) {
			if was[name] != is[name] {
				t.Errorf("%s differs", name)
			}
		}
		t.Errorf("%d files of %d", len(is), len(was))
	}
	to.verify("frozen")
	for name, s := range map[string]*server{"exporting": from, "importing": to} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
		s.must(err)
		_, peak, _ := strings.Cut(string(status), "VmHWM:")
		peak, _, _ = strings.Cut(peak, "\n")
		t.Logf("peak of the %s server: %s", name, strings.TrimSpace(peak))
	}
}

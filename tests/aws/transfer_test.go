package aws

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

var transferPackages = flag.Int("transfer-packages", 40, "packages that TestThereAndBack exports and imports")

// machine is "aptless serve" on a folder.
type machine struct {
	program, data, url string
	cmd                *exec.Cmd
}

// newMachine starts the program on a new folder, with the key of the deployment.
func newMachine(t *testing.T, program string) *machine {
	t.Helper()
	m := &machine{program: program, data: t.TempDir()}
	if out, err := exec.Command(program, "key", "new", "--data", m.data).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.cmd = exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--data", m.data)
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.cmd.Process.Signal(os.Interrupt)
		_ = m.cmd.Wait()
	})
	text := make([]byte, 4096)
	for said := ""; m.url == ""; {
		n, err := out.Read(text)
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		said += string(text[:n])
		m.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(said)
	}
	return m
}

// peak returns the greatest memory of the process, in MiB.
func (m *machine) peak(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`VmHWM:\s*(\d+ kB)`).FindStringSubmatch(string(status))[1]
}

// command runs a command line for a server.
func command(t *testing.T, program, url, token string, args ...string) string {
	t.Helper()
	cmd, began := exec.Command(program, args...), time.Now()
	cmd.Env = append(os.Environ(), "APTLESS_URL="+url, "APTLESS_TOKEN="+token, "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("aptless %s: %v\n%s", strings.Join(args, " "), err, out[max(0, len(out)-4000):])
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.Logf("aptless %s: %v, peak %d MiB", args[0], time.Since(began).Round(time.Millisecond), usage.Maxrss>>10)
	}
	return string(out)
}

// own are the lines of a Release that no two servers share: its date, and its address.
var own = regexp.MustCompile(`(?m)^(Date|Snapshots): .*\n`)

// undated returns the digest of each published file by its path, and the text of each
// Release. Signatures, dates and addresses do not count.
func undated(files map[string][]byte) map[string]string {
	tree := map[string]string{}
	for name, data := range files {
		switch path.Base(name) {
		case "InRelease", "Release.gpg":
			continue
		case "Release":
			tree[name] = own.ReplaceAllString(string(data), "")
			continue
		}
		sum := sha256.Sum256(data)
		tree[name] = hex.EncodeToString(sum[:])
	}
	return tree
}

// tree returns the published files below a prefix.
func (m *machine) tree(t *testing.T, prefix string) map[string]string {
	t.Helper()
	files, root := map[string][]byte{}, filepath.Join(m.data, "public")
	err := filepath.WalkDir(filepath.Join(root, prefix), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return undated(files)
}

// contents returns all of a transfer folder that does not depend on times.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "manifest") {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return undated(files)
}

// same fails the test where two sets of files differ.
func same(t *testing.T, name string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	t.Errorf("%s: %d files, want %d", name, len(got), len(want))
	for _, sum := range slices.Sorted(maps.Keys(want)) {
		if got[sum] != want[sum] {
			t.Errorf("%s: %s is missing or differs: %.2000s, want %.2000s", name, sum, got[sum], want[sum])
			return
		}
	}
}

// fill imports n packages into the repository, and publishes it and a snapshot. One more
// package is in the repository only.
func (m *machine) fill(t *testing.T, name string, n int) {
	t.Helper()
	files := t.TempDir()
	for i := range n {
		spec := debtest.Spec{Package: fmt.Sprintf("p%d", i), Architecture: []string{"amd64", "all"}[i%2], Files: map[string]string{fmt.Sprintf("usr/share/p%d/f", i): "x"}, Compression: "none"}
		if err := os.WriteFile(filepath.Join(files, debtest.FileName(spec)), debtest.Deb(spec), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	late := debtest.Spec{Package: "late", Architecture: "amd64"}
	lateFile := filepath.Join(t.TempDir(), debtest.FileName(late))
	if err := os.WriteFile(lateFile, debtest.Deb(late), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"repo", "create", "-comment=moves", name}, {"repo", "add", name, files}, {"snapshot", "create", name + "-s", "from", "repo", name},
		{"publish", "repo", "-architectures=amd64,i386", "-distribution=stable", name, name}, {"publish", "snapshot", "-architectures=amd64", "-skip-contents", "-distribution=frozen", name + "-s", name},
		{"repo", "add", name, lateFile}} {
		command(t, m.program, m.url, "", args...)
	}
}

// TestThereAndBack exports from one machine, imports on AWS, exports there, and imports on
// a second machine. All three have equal lists, and equal published trees with the same
// names by hash, but for dates and signatures. A further export of each is equal to the
// first byte for byte: so are UUIDs, revisions and lists.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil)
	program := aptless(t)
	name := fmt.Sprint("moved", time.Now().UnixNano())
	from, to := newMachine(t, program), newMachine(t, program)
	from.fill(t, name, *transferPackages)
	folder := func(n int) string { return filepath.Join(from.data, "..", fmt.Sprint("folder", n)) }
	only := []string{"--only", "repo/" + name, "--only", "snapshot/" + name + "-s", "--only", "publication/" + name + "/*"}
	export := func(n int, url, token string) map[string]string {
		command(t, program, url, token, append([]string{"export", folder(n)}, only...)...)
		return contents(t, folder(n))
	}
	want, tree := export(1, from.url, ""), from.tree(t, name)
	if len(tree) < *transferPackages+20 || len(want) < *transferPackages+4 {
		t.Fatalf("%d published files, %d files in the folder", len(tree), len(want))
	}
	command(t, program, p.api.URL, p.token, "import", folder(1))
	same(t, "tree on AWS", undated(below(p.objects("public/"+name+"/"), "public/")), tree)
	same(t, "folder from AWS", export(2, p.api.URL, p.token), want)
	command(t, program, to.url, "", "import", folder(2))
	same(t, "tree of the second machine", to.tree(t, name), tree)
	same(t, "folder from the second machine", export(3, to.url, ""), want)
	if err := (apt.Tree{Fetch: apt.FetchHTTP(http.DefaultClient, p.public.URL+"/"+name)}).Verify(t.Context(), "stable"); err != nil {
		t.Error(err)
	}
	out := command(t, program, p.api.URL, p.token, "repo", "show", "--json", name)
	var repo struct{ Name, Comment string }
	if err := json.Unmarshal([]byte(out), &repo); err != nil || repo.Comment != "moves" {
		t.Errorf("%s: %v", out, err)
	}
	t.Logf("%d packages; peak of the first machine %s, of the second %s", *transferPackages, from.peak(t), to.peak(t))
}

// below removes a prefix of keys.
func below(objects map[string][]byte, prefix string) map[string][]byte {
	all := map[string][]byte{}
	for key, data := range objects {
		all[strings.TrimPrefix(key, prefix)] = data
	}
	return all
}

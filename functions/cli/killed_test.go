package cli_test

import (
	"context"
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/engine/driver/drivertest"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/functions/cli"
)

// killAfter is the variable with the number of steps after which a process kills itself,
// and the words of its command line follow as arguments.
const killAfter = "TEST_KILL_AFTER"

// TestMain runs the tests, or a command line that ends by SIGKILL after some steps.
func TestMain(m *testing.M) {
	limit, err := strconv.ParseInt(os.Getenv(killAfter), 10, 64)
	if err != nil {
		os.Exit(m.Run())
	}
	var steps atomic.Int64
	code := cli.Main(context.Background(), cli.Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now, Version: "1.6.3+aptless",
		Terminal: func(any) (int, bool) { return 0, false },
		Step: func() {
			if steps.Add(1) == limit {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}}, os.Args[1:], func() []*cobra.Command { return nil })
	fmt.Fprintf(os.Stderr, "steps: %d\n", steps.Load())
	os.Exit(code)
}

// process runs a command line in a process of its own, which kills itself at a step; 0
// is none. It returns whether that happened, and the number of steps otherwise.
func (b *bench) process(t *testing.T, at int, words ...string) (killed bool, steps int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"aptless"}, words...)...)
	cmd.Env = append(os.Environ(), "APTLESS_URL="+b.url, "HOME="+b.home, killAfter+"="+strconv.Itoa(at))
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true, 0
	}
	if err != nil {
		t.Fatalf("aptless %s: %v\n%s", strings.Join(words, " "), err, out)
	}
	_, count, _ := strings.Cut(string(out), "steps: ")
	steps, err = strconv.Atoi(strings.TrimSpace(count))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false, steps
}

// folderOf returns the digest of each file of a transfer folder, and the target of each
// link. The manifest counts without its time.
func folderOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all, made := map[string]string{}, regexp.MustCompile(`"Made": ".*"`)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			all[name], err = os.Readlink(path)
			return err
		}
		data, err := os.ReadFile(path)
		all[name] = fmt.Sprintf("%x", sha256.Sum256(made.ReplaceAll(data, nil)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var datedLine = regexp.MustCompile(`(?m)^Date: .*\n`)

// treeOf returns the published files of a storage, without dates and signatures.
func treeOf(m *drivertest.Memory) map[string]string {
	tree := m.Objects("public/")
	for name, data := range tree {
		switch filepath.Base(name) {
		case "InRelease", "Release.gpg":
			delete(tree, name)
		case "Release":
			tree[name] = datedLine.ReplaceAllString(data, "")
		}
	}
	return tree
}

// equalMaps fails the test where two maps differ.
func equalMaps(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s is too much", what, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s: %s is missing or differs", what, name)
		}
	}
}

// stored starts a server, and returns its memory too.
func stored(t *testing.T, set ...func(*app.Config)) (*bench, *drivertest.Memory) {
	t.Helper()
	m := drivertest.NewMemory(time.Now)
	return newBenchOn(t, m, set...), m
}

// between is the number of steps between two kills.
const between = 50

// many writes n packages to a folder.
func many(t *testing.T, prefix string, n int) string {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d_1_%s", prefix, i, []string{"amd64", "all"}[i%2])
	}
	return debs(t, names...)
}

// TestKilledMigrationEndsTheSame: the command dies by SIGKILL at every 50th step, each
// time with a server and a folder of its own. Repeated, it leaves the folder, the objects
// and the published tree of a run that nothing disturbed, byte for byte.
func TestKilledMigrationEndsTheSame(t *testing.T) {
	old := newOldAptly(t)
	old.fill(t)
	old.run(t, "repo", "create", "big")
	old.run(t, "repo", "add", "big", many(t, "p", 60))
	old.run(t, "publish", "repo", "-distribution=big", "-architectures=amd64", "big")
	words := func(work string) []string {
		return []string{"migrate", "aptly", "--conf", old.config, "--work", work, "-j", "2", old.root}
	}
	begin := func() (*bench, *drivertest.Memory, string) {
		b, m := stored(t, withWWW)
		return b, m, filepath.Join(t.TempDir(), "work")
	}
	b, m, work := begin()
	_, steps := b.process(t, 0, words(work)...)
	folder, tree, objects := folderOf(t, work), treeOf(m), state(t, b)
	if steps < 4*between || len(tree) < 60 || len(folder) < 60 {
		t.Fatalf("%d steps, %d published files, %d files in the folder", steps, len(tree), len(folder))
	}
	for at := between; at < steps; at += between {
		b, m, work := begin()
		if killed, _ := b.process(t, at, words(work)...); !killed {
			break // requests at a time differ
		}
		b.process(t, 0, words(work)...)
		what := fmt.Sprintf("killed at step %d of %d", at, steps)
		equalMaps(t, what+": folder", folderOf(t, work), folder)
		equalMaps(t, what+": tree", treeOf(m), tree)
		if got := state(t, b); got != objects {
			t.Errorf("%s\n%s\nwant\n%s", what, got, objects)
		}
		if left := b.must(t, "files", "list"); left != "" {
			t.Errorf("%s: left in the upload area: %s", what, left)
		}
	}
	// One folder and one server see all kills.
	b, m, work = begin()
	kills := 0
	for at := between / 2; ; at += between {
		killed, _ := b.process(t, at, words(work)...)
		if !killed {
			break
		}
		kills++
	}
	if equalMaps(t, "killed again and again: folder", folderOf(t, work), folder); kills < 4 {
		t.Errorf("%d kills", kills)
	}
	equalMaps(t, "killed again and again: tree", treeOf(m), tree)
}

// TestKilledTransferEndsTheSame is the same for an export and for the import of its folder.
func TestKilledTransferEndsTheSame(t *testing.T) {
	from := filled(t)
	apptest.Signer(t)
	from.must(t, "repo", "create", "big")
	from.must(t, "repo", "add", "big", many(t, "p", 60))
	from.must(t, "publish", "repo", "-distribution=big", "-architectures=amd64", "big")
	whole := filepath.Join(t.TempDir(), "whole")
	_, steps := from.process(t, 0, "export", "-j", "2", whole)
	folder := folderOf(t, whole)
	if steps < 3*between || len(folder) < 60 {
		t.Fatalf("an export of %d steps and %d files", steps, len(folder))
	}
	for at := between; at < steps; at += between {
		dir := filepath.Join(t.TempDir(), "out")
		if killed, _ := from.process(t, at, "export", "-j", "2", dir); killed {
			from.process(t, 0, "export", "-j", "2", dir)
		}
		equalMaps(t, fmt.Sprintf("export killed at step %d of %d", at, steps), folderOf(t, dir), folder)
	}
	to, m := stored(t)
	_, steps = to.process(t, 0, "import", "-j", "2", whole)
	tree, objects := treeOf(m), state(t, to)
	for at := between / 5; at < steps; at += between / 5 { // uploads of small files share a request
		to, m := stored(t)
		if killed, _ := to.process(t, at, "import", "-j", "2", whole); killed {
			to.process(t, 0, "import", "-j", "2", whole)
		}
		what := fmt.Sprintf("import killed at step %d of %d", at, steps)
		equalMaps(t, what, treeOf(m), tree)
		if got := state(t, to); got != objects {
			t.Errorf("%s\n%s\nwant\n%s", what, got, objects)
		}
		if left := to.must(t, "files", "list"); left != "" {
			t.Errorf("%s: left in the upload area: %s", what, left)
		}
	}
}

// TestKilledKeepingEndsTheSame: an export that forgets an older one dies by SIGKILL at
// every 50th step. At no step a manifest names a file that is gone: both the last export
// and the kept one can be imported. Repeated, the command leaves the folder of a run that
// nothing disturbed, byte for byte, and no file that no manifest names.
func TestKilledKeepingEndsTheSame(t *testing.T) {
	from := newBench(t)
	apptest.Signer(t)
	from.must(t, "repo", "create", "old")
	from.must(t, "repo", "add", "old", many(t, "p", 60))
	base := filepath.Join(t.TempDir(), "base")
	from.must(t, "export", "--keep", "1", base)
	from.must(t, "repo", "create", "new")
	from.must(t, "repo", "add", "new", many(t, "q", 60))
	from.must(t, "repo", "drop", "-force", "old")
	copied := func() string {
		dir := filepath.Join(t.TempDir(), "out")
		if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	undated := func(dir string) map[string]string {
		all, time := map[string]string{}, regexp.MustCompile(`^manifest-.*\.json$`)
		for name, sum := range folderOf(t, dir) {
			if name = time.ReplaceAllString(name, "manifest-TIME.json"); all[name] != "" {
				t.Errorf("two exports are kept")
			}
			all[name] = sum
		}
		return all
	}
	whole := copied()
	_, steps := from.process(t, 0, "export", "--keep", "1", "-j", "2", whole)
	folder := undated(whole)
	if steps < 3*between || len(folder) < 60 || len(folder) > 100 {
		t.Fatalf("an export of %d steps and %d files", steps, len(folder))
	}
	forgets := 0
	for at := between; at < steps; at += between {
		dir := copied()
		if killed, _ := from.process(t, at, "export", "--keep", "1", "-j", "2", dir); killed {
			manifests, err := filepath.Glob(filepath.Join(dir, "manifest-*.json"))
			if err != nil || len(manifests) == 0 {
				t.Fatal(manifests, err)
			}
			newBench(t).must(t, "import", "--manifest", filepath.Base(manifests[0]), dir)
			newBench(t).must(t, "import", dir)
			if len(undated(dir)) > len(folder) && len(folderOf(t, dir)) < len(folder)+60 {
				forgets++
			}
			from.process(t, 0, "export", "--keep", "1", "-j", "2", dir)
		}
		equalMaps(t, fmt.Sprintf("export that keeps one, killed at step %d of %d", at, steps), undated(dir), folder)
	}
	if forgets == 0 {
		t.Error("no kill was between the removals of files")
	}
}

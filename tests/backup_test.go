package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"aptless/core/formats/deb/debtest"
)

// sound fails the test unless a check of the whole storage finds no damage.
func (s *server) sound(when string) {
	s.t.Helper()
	if out, err := exec.Command(s.bin, "fsck", "--url", s.url).CombinedOutput(); err != nil {
		s.t.Errorf("%s: %v\n%s", when, err, out)
	}
}

// TestBackupRestoresOneMoment: clients import, publish, drop and clean up while backups
// are made. Then the data folder is destroyed. Each backup restores a storage without
// damage: each file of a row is there, and each tree is as its row says.
func TestBackupRestoresOneMoment(t *testing.T) {
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "backups")
	s.must(s.json("POST", "/api/repos", `{"Name":"steady"}`, nil))
	s.must(s.upload("steady", debtest.Spec{Package: "steady", Architecture: "amd64"}))
	s.must(s.json("POST", "/api/repos/steady/file/steady", "", nil))
	s.must(s.json("POST", "/api/publish", `{"SourceKind":"local","Distribution":"steady","Architectures":["amd64"],"Sources":[{"Name":"steady"}]}`, nil))
	stop, done := make(chan struct{}), make(chan error, 4)
	var wait sync.WaitGroup
	for w := range 3 {
		wait.Go(func() { done <- s.writes(w, stop) })
	}
	wait.Go(func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if err := s.json("POST", "/api/db/cleanup", "", nil); err != nil {
					done <- err
					return
				}
			}
		}
	})
	backups := 4
	var made []string
	for range backups {
		var b struct {
			Name         string
			Files, Fresh int
		}
		cmd := exec.Command(s.bin, "backup", "--json", "--with-keys", "--url", s.url, dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &b)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if len(made) > 0 && b.Fresh >= b.Files {
			t.Errorf("a further backup copies all: %+v", b)
		}
		made = append(made, b.Name)
	}
	close(stop)
	wait.Wait()
	for range cap(done) {
		s.must(<-done)
	}
	for _, name := range made {
		s.kill()
		s.must(os.RemoveAll(s.data))
		if out, err := exec.Command(s.bin, "restore", filepath.Join(dir, name), "--data", s.data).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		s.restart()
		s.must(s.json("GET", "/api/tasks-wait", "", nil))
		s.sound("backup " + name)
		s.verify("steady")
	}
	if left, err := filepath.Glob(filepath.Join(s.data, "tmp", "frozen-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// writes imports, publishes, takes snapshots and drops, again and again.
func (s *server) writes(worker int, stop chan struct{}) error {
	name := fmt.Sprintf("w%d", worker)
	err := s.json("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name), nil)
	for n := 0; err == nil; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		err = s.upload(name, debtest.Spec{Package: name, Version: fmt.Sprint(n), Architecture: "amd64"})
		calls := [][3]string{{"POST", "/api/repos/" + name + "/file/" + name, ""},
			{"POST", "/api/repos/" + name + "/snapshots", fmt.Sprintf(`{"Name":"%s-%d"}`, name, n)},
			{"PUT", "/api/publish/:./" + name, "{}"}}
		switch n % 4 {
		case 0:
			calls[2] = [3]string{"POST", "/api/publish", fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Architectures":["amd64"],"Sources":[{"Name":%[1]q}]}`, name)}
		case 3:
			calls = append(calls, [3]string{"DELETE", "/api/publish/:./" + name, ""}, [3]string{"DELETE", fmt.Sprintf("/api/snapshots/%s-%d", name, n-1), ""})
		}
		for _, c := range calls {
			err = errors.Join(err, s.json(c[0], c[1], c[2], nil))
		}
	}
	return err
}

// TestRestoreRefuses a folder with files, and a backup with a damaged file. A stopped
// server is copied from its folder.
func TestRestoreRefuses(t *testing.T) {
	s := newServer(t)
	s.must(s.json("POST", "/api/repos", `{"Name":"r"}`, nil))
	dir := filepath.Join(t.TempDir(), "backups")
	run := func(want string, args ...string) {
		t.Helper()
		out, err := exec.Command(s.bin, args...).CombinedOutput()
		if !strings.Contains(string(out), want) || want == "" != (err == nil) && want != "new (" {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	run("give --url", "backup", dir, "--data", s.data)
	s.must(s.cmd.Process.Signal(os.Interrupt))
	_ = s.cmd.Wait()
	run("new (", "backup", dir, "--data", s.data)
	run("is not empty", "restore", dir, "--data", s.data)
	found, err := filepath.Glob(filepath.Join(dir, "*", "data", "table.db"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q, %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	s.must(err)
	data[len(data)/2] ^= 1
	s.must(os.WriteFile(found[0], data, 0o600))
	run("is damaged", "restore", dir, "--data", filepath.Join(t.TempDir(), "new"))
	run("has no whole backup", "restore", t.TempDir(), "--data", filepath.Join(t.TempDir(), "new"))
	s.restart()
}

// TestRunbookOfBackups runs the commands of docs/how-to/backup.md as they are, on a server with a
// publication whose data folder is destroyed in between.
func TestRunbookOfBackups(t *testing.T) {
	s := newServer(t)
	s.publish("stable")
	text, err := os.ReadFile("../docs/how-to/backup.md")
	s.must(err)
	env := append(os.Environ(), "BACKUPS="+filepath.Join(t.TempDir(), "b"), "DATA="+s.data, "APTLESS_URL="+s.url, "PATH="+filepath.Dir(s.bin)+":"+os.Getenv("PATH"))
	run := func(block string) {
		t.Helper()
		_, lines, found := strings.Cut(string(text), "```sh not run: TestRunbookOfBackups runs it with its folders: "+block+"\n")
		lines, _, closed := strings.Cut(lines, "```")
		if !found || !closed {
			t.Fatalf("docs/how-to/backup.md has no block %s", block)
		}
		cmd := exec.Command("bash", "-ec", lines)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", block, err, out)
		}
	}
	run("backup")
	s.kill()
	s.must(os.RemoveAll(s.data))
	run("restore")
	s.restart()
	run("check")
	s.verify("stable")
}

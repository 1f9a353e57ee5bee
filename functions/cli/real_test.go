package cli_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"aptless/tests/freeport"
)

// realAptly starts the API of the installed aptly, and returns its address.
func realAptly(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("aptly"); err != nil {
		t.Skip("aptly is not installed: there is no server of it")
	}
	home := t.TempDir()
	config := filepath.Join(home, "aptly.conf")
	if err := os.WriteFile(config, []byte(`{"rootDir":"`+home+`/root","gpgDisableSign":true,"gpgDisableVerify":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("aptly", "-config="+config, "api", "serve", "-listen="+at)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for range 2400 { // a minute: the machine may be busy
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return "http://" + at
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("aptly does not listen")
	return ""
}

// TestAptlysServerIsDriven: the calls that aptly 1.5.0 has succeed, the others fail with
// the exit code 1 or 3.
func TestAptlysServerIsDriven(t *testing.T) {
	at := realAptly(t)
	b, files := newBench(t), map[string]string{"{dir}": debs(t, "aa_1_amd64", "bb_2_all"), "{archive}": archiveServer(t)}
	b.env["APTLESS_URL"] = at
	for _, s := range []step{
		{"repo create -comment=first r", 0}, {"repo create r", 5}, {"repo list -raw", 0}, {"repo add r {dir}", 0}, {"repo show -with-packages r", 0}, {"repo search r aa", 0},
		{"repo edit -comment=x r", 0}, {"snapshot create s1 from repo r", 0}, {"repo remove r bb", 0}, {"snapshot create s2 from repo r", 0}, {"snapshot list", 0}, {"snapshot diff s1 s2", 0},
		{"snapshot rename s2 s3", 0}, {"publish snapshot -skip-signing -distribution=x s1", 0}, {"publish repo -skip-signing -distribution=stable -architectures=amd64 r team", 0},
		{"publish list -raw", 0}, {"publish update -skip-signing stable team", 0}, {"publish switch -skip-signing x s3", 0}, {"publish show x", 0}, {"publish drop x", 0},
		{"mirror create -ignore-signatures m {archive} stable main", 0}, {"mirror show m", 0}, {"mirror update -ignore-signatures m", 0}, {"mirror search m hello", 0}, {"snapshot create sm from mirror m", 0},
		{"snapshot show -with-packages sm", 0}, {"mirror drop -force m", 0}, {"files upload d {dir}", 0}, {"files list d", 0}, {"task list", 0},
		{"snapshot drop s1", 0}, {"repo show none", 3}, {"mirror list", 0}, {"graph -format=gv", 0}, {"db cleanup", 0}, {"version", 0},
		{"push --repo r --publish stable@team --skip-signing {dir}", 0}, {"repo drop -force r", 5},
	} {
		if r := b.run(t.Context(), 0, append([]string{"aptless"}, fill(t, s.words, files)...)...); r.code != s.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", s.words, r.code, s.code, r.out, r.err)
		}
	}
	for _, words := range []string{"publish history stable", "key list", "fsck", "package search aa", "snapshot filter s3 s9 aa"} {
		r := b.aptless(t, strings.Fields(words)...)
		if r.code != 1 || !strings.Contains(r.err, "needs aptless") {
			t.Errorf("%s: exit code %d, want 1\n%s%s", words, r.code, r.out, r.err)
		}
	}
}

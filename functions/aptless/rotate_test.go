package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/functions/cli"
)

// line runs a command line in this process, as main does. now is its clock.
func line(t *testing.T, now time.Time, words ...string) (out string, code int) {
	t.Helper()
	var b bytes.Buffer
	code = cli.Main(t.Context(), cli.Env{In: strings.NewReader(""), Out: &b, Err: &b, Getenv: func(string) string { return "" }, Now: func() time.Time { return now }, Version: "test",
		Keys: signingKeys{}, OpenData: openData, Terminal: func(any) (int, bool) { return 0, false }}, append([]string{"aptless"}, words...), commands)
	return b.String(), code
}

// TestKeyRotation goes through the four steps, each of them twice. Both keys sign in
// between, a Signed-By follows, and the old key stays in a file of its own.
func TestKeyRotation(t *testing.T) {
	data := withKey(t)
	path := filepath.Join(data, keyName)
	prints := func() []string {
		keys, err := signingKeys{}.List(data, "")
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, k := range keys {
			all = append(all, k.Fingerprint)
		}
		return all
	}
	old := prints()[0]
	r := newRunning(t, data)
	r.must("POST", "/api/repos", `{"Name":"r"}`)
	r.must("POST", "/api/publish", strings.Replace(createEmpty, "{", `{"SignedBy":"`+old+`",`, 1))
	signedBy := func() string {
		_, release := r.ask("GET", "/dists/stable/Release", "")
		_, after, _ := strings.Cut(release, "Signed-By: ")
		value, _, _ := strings.Cut(after, "\n")
		return value
	}
	now := time.Now()
	step := func(r *running, want string, code int) {
		t.Helper()
		out, got := line(t, now, "key", "rotate", "--data", data, "--type", "ed25519", "--wait", "24h", "--url", "unix://"+r.socket)
		if got != code || !strings.Contains(out, want) {
			t.Fatalf("exit code %d, want %d and %q:\n%s", got, code, want, out)
		}
	}
	restart := func() {
		r.end()
		r = newRunning(t, data)
		r.must("GET", "/api/version", "")
	}
	step(r, "step 1 of 4", 0)
	both := prints()
	if len(both) != 2 || both[0] != old {
		t.Fatalf("keys %q", both)
	}
	step(r, "restart it", 1) // the server has the old key only
	restart()
	for range 2 {
		step(r, "step 2 of 4", 0)
		if got := signedBy(); !strings.Contains(got, both[0]) || !strings.Contains(got, both[1]) {
			t.Errorf("Signed-By: %q", got)
		}
	}
	now = now.Add(25 * time.Hour)
	step(r, "step 3 of 4", 0)
	if got := prints(); len(got) != 1 || got[0] != both[1] {
		t.Errorf("keys %q", got)
	}
	step(r, "restart it", 1)
	restart()
	step(r, "step 4 of 4", 0)
	if got := signedBy(); got != both[1] {
		t.Errorf("Signed-By: %q", got)
	}
	kept, err := filepath.Glob(path + ".*.retired")
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %q, %v", kept, err)
	}
	if info, err := os.Stat(kept[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	keys, err := keyFile{path: kept[0]}.read()
	if err != nil || len(keys) != 1 || keys[0].Fingerprint() != old {
		t.Errorf("kept %v, %v", keys, err)
	}
	step(r, "step 1 of 4", 0) // the next rotation
	r.end()
}

// TestFsckOfAStoppedServer checks a data folder without a server, finds a damage, repairs
// it, and refuses the folder of a server that runs.
func TestFsckOfAStoppedServer(t *testing.T) {
	data := withKey(t)
	r := newRunning(t, data)
	r.must("POST", "/api/repos", `{"Name":"r"}`)
	r.must("POST", "/api/publish", createEmpty)
	if out, code := line(t, time.Now(), "fsck", "--data", data); code != 1 || !strings.Contains(out, "a server runs on") {
		t.Errorf("beside a server: exit code %d\n%s", code, out)
	}
	r.end()
	if out, code := line(t, time.Now(), "fsck", "--data", data); code != 0 || !strings.Contains(out, "The storage is sound.") {
		t.Errorf("sound: exit code %d\n%s", code, out)
	}
	found := ""
	err := filepath.WalkDir(data, func(p string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(p, "public/dists/stable/main/binary-amd64/Packages") {
			found = p
		}
		return err
	})
	if err == nil {
		err = os.Remove(found)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, code := line(t, time.Now(), "fsck", "--data", data); code != 1 || !strings.Contains(out, "missing published file") {
		t.Errorf("damaged: exit code %d\n%s", code, out)
	}
	if out, code := line(t, time.Now(), "fsck", "--data", data, "--repair"); code != 0 {
		t.Errorf("repaired: exit code %d\n%s", code, out)
	}
	if out, code := line(t, time.Now(), "fsck", "--data", data); code != 0 {
		t.Errorf("after the repair: exit code %d\n%s", code, out)
	}
	if out, code := line(t, time.Now(), "fsck", "--data", t.TempDir()); code != 1 || !strings.Contains(out, "is no data folder") {
		t.Errorf("no folder: exit code %d\n%s", code, out)
	}
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/pgp"
)

// TestKeysComeFromGnuPGAndGoBack: a key of GnuPG gets beside the key of the folder, only
// once. It is exported as it was, with a passphrase and without.
func TestKeysComeFromGnuPGAndGoBack(t *testing.T) {
	home, err := os.MkdirTemp("/tmp", "gpg") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() {
		if err := exec.Command("gpgconf", "--kill", "all").Run(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(home)
	})
	gpg := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.Command("gpg", append([]string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %q: %v\n%s", args, err, errs.String())
		}
		return string(out)
	}
	run := func(want string, code int, words ...string) string {
		t.Helper()
		out, got := line(t, time.Now(), append([]string{"key"}, words...)...)
		if got != code || !strings.Contains(out, want) {
			t.Fatalf("%q: exit code %d, want %d and %q:\n%s", words, got, code, want, out)
		}
		return out
	}
	gpg("", "--quick-generate-key", "Old <old@example.org>", "ed25519", "sign", "never")
	keys, err := pgp.ParseKeys([]byte(gpg("", "--armor", "--export", "old@example.org")))
	if err != nil {
		t.Fatal(err)
	}
	old, empty, data := keys[0].Fingerprint(), t.TempDir(), withKey(t)
	for _, dir := range []string{empty, data} {
		run("added "+old, 0, "import", "--gpg", old, "--data", dir)
		run("nothing new", 0, "import", "--gpg", "old@example.org", "--data", dir)
	}
	if made, err := (signingKeys{}).List(data, ""); err != nil || len(made) != 2 || made[1].Fingerprint != old {
		t.Errorf("%v, %v", made, err)
	}
	if alone, err := (signingKeys{}).List(empty, ""); err != nil || len(alone) != 1 {
		t.Errorf("%v, %v", alone, err)
	}
	if info, err := os.Stat(filepath.Join(empty, keyName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	public := run("PUBLIC KEY", 0, "export", "--data", data, old)
	if found, err := pgp.ParseKeys([]byte(public)); err != nil || len(found) != 1 || found[0].Fingerprint() != old || strings.Contains(public, "PRIVATE") {
		t.Errorf("%v, %v", found, err)
	}
	if both, err := pgp.ParseKeys([]byte(run("PUBLIC KEY", 0, "export", "--data", data))); err != nil || len(both) != 2 {
		t.Errorf("%v, %v", both, err)
	}
	run("has no key", 1, "export", "--data", data, "none@example.org")

	secret := run("PRIVATE KEY", 0, "export", "--secret", "--data", data, old)
	gpg("", "--yes", "--delete-secret-and-public-key", old)
	run("no secret key", 1, "import", "--gpg", old, "--data", data)
	gpg(secret, "--import")
	if got := gpg("", "--with-colons", "--list-secret-keys"); !strings.Contains(got, old) {
		t.Errorf("the key did not go back: %s", got)
	}
	lockedImport(t, run, secret, old)
}

// lockedImport locks a key by a passphrase, and takes it from a file.
func lockedImport(t *testing.T, run func(want string, code int, words ...string) string, secret, print string) {
	t.Helper()
	dir := t.TempDir()
	pass, from := filepath.Join(dir, "pass"), filepath.Join(dir, "from.asc")
	for name, text := range map[string]string{pass: "open sesame\n", from: secret} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	locked, next := t.TempDir(), t.TempDir()
	run("added "+print, 0, "import", from, "--data", locked, "--passphrase-file", pass)
	run("is locked", 1, "import", filepath.Join(locked, keyName), "--data", next)
	run("is locked", 1, "export", "--secret", "--data", locked)
	run("PUBLIC KEY", 0, "export", "--data", locked)
	if _, err := os.Stat(filepath.Join(next, keyName)); err == nil {
		t.Error("a refused key is in the folder")
	}
	run("added "+print, 0, "import", filepath.Join(locked, keyName), "--data", next, "--passphrase-file", pass)
	again := run("PRIVATE KEY", 0, "export", "--secret", "--data", next, "--passphrase-file", pass)
	if keys, err := pgp.ParseSecretKeys([]byte(again)); err != nil || !keys[0].Locked() {
		t.Errorf("the key is not locked: %v", err)
	}
	run("give one file", 2, "import", "--data", next)
	run("give one file", 2, "import", from, "--gpg", "x", "--data", next)
	run("no secret keys", 1, "import", pass, "--data", next)
}

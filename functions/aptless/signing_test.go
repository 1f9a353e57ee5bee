package main

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/pgp"
)

// small is a key that is generated fast.
var small = newKey{"Test", "test@example.org", pgp.Ed25519}

// testKeyFile returns a key file in its own folder, and its log.
func testKeyFile(t *testing.T) (keyFile, *bytes.Buffer) {
	var log bytes.Buffer
	return keyFile{path: filepath.Join(t.TempDir(), keyName), log: slog.New(slog.NewTextHandler(&log, nil))}, &log
}

func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestSigningKey holds that the key is made once and readable only for its owner. An
// existing key file is never replaced, not even an invalid one.
func TestSigningKey(t *testing.T) {
	f, log := testKeyFile(t)
	if _, err := f.read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that is missing: %v", err)
	}
	put(t, f.path+".new", "half", 0o644) // left by a crash before the rename
	made, err := f.make(t.Context(), small)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file has mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(f.path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second file is left: %v", err)
	}
	again, err := f.read()
	if err != nil || len(again) != 1 || again[0].Fingerprint() != made[0].Fingerprint() {
		t.Errorf("the second start has the keys %v, %v", again, err)
	}
	if log.Len() > 0 {
		t.Errorf("log %s", log)
	}
	put(t, f.path, "damaged", 0o600)
	if _, err := f.read(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a damaged key: %v", err)
	}
	if _, err := f.make(t.Context(), small); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key is made: %v", err)
	}
	if data, err := os.ReadFile(f.path); err != nil || string(data) != "damaged" {
		t.Errorf("the damaged key was written over: %q, %v", data, err)
	}
}

// TestLockedKey holds that only the passphrase unlocks the key. Each message names the
// flag or the file to correct.
func TestLockedKey(t *testing.T) {
	f, log := testKeyFile(t)
	f.passphraseFile = filepath.Join(t.TempDir(), "passphrase")
	put(t, f.passphraseFile, "correct horse\r\nsecond line\n", 0o600)
	if _, err := f.make(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	keys, err := f.read()
	if err != nil || keys[0].Locked() {
		t.Fatal(keys, err)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := pgp.ParseSecretKeys(text)
	if err != nil || !stored[0].Locked() {
		t.Errorf("the key is stored in clear: %v", err)
	}
	for name, want := range map[string]string{"": "--passphrase-file", "wrong": "not unlocked", "empty": "is empty", "none": "no such file"} {
		g := f
		if g.passphraseFile = ""; name != "" {
			g.passphraseFile = filepath.Join(t.TempDir(), "passphrase")
		}
		switch name {
		case "wrong":
			put(t, g.passphraseFile, "wrong", 0o600)
		case "empty":
			put(t, g.passphraseFile, "\ncorrect horse\n", 0o600)
		}
		_, err := g.read()
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "correct horse") {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	if log.Len() > 0 {
		t.Errorf("log %s", log)
	}
}

// TestPublicKeyIsNoSigningKey holds that the message distinguishes a public key from a
// damaged one.
func TestPublicKeyIsNoSigningKey(t *testing.T) {
	f, _ := testKeyFile(t)
	key, err := pgp.Generate("A", "a@example.org", pgp.Ed25519, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{key.Armor(), key.Binary()} {
		put(t, f.path, string(data), 0o600)
		if _, err := f.read(); err == nil || !strings.Contains(err.Error(), "public key") || !strings.Contains(err.Error(), key.ID().String()) {
			t.Errorf("%v", err)
		}
	}
}

// TestReadableKey holds that the log warns of secrets that every user can read.
func TestReadableKey(t *testing.T) {
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o404: true} {
		f, log := testKeyFile(t)
		if _, err := f.make(t.Context(), small); err != nil {
			t.Fatal(err)
		}
		f.passphraseFile = filepath.Join(t.TempDir(), "passphrase")
		put(t, f.passphraseFile, "x", 0o600)
		for _, path := range []string{f.path, f.passphraseFile} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			log.Reset()
			if _, err := f.read(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(log.String(), "chmod 600 "+path); got != warned {
				t.Errorf("mode %o of %s: log %q", mode, filepath.Base(path), log)
			}
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestKeyNew(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := keyCommand()
		cmd.SetArgs(append([]string{"new", "--data", dir}, args...))
		cmd.SetOut(&out)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	if _, err := run("--type", "dsa"); err == nil || !strings.Contains(err.Error(), "ed25519") {
		t.Errorf("%v", err)
	}
	out, err := run("--type", "ed25519", "--name", "Team Archive", "--email", "team@example.org")
	if err != nil {
		t.Fatal(err)
	}
	public, err := pgp.ParseKeys([]byte(out))
	if err != nil || public[0].UserIDs()[0] != "Team Archive <team@example.org>" {
		t.Errorf("%v, %v", public, err)
	}
	keys, err := keyFile{path: filepath.Join(dir, keyName), log: slog.New(slog.DiscardHandler)}.read()
	if err != nil || keys[0].Fingerprint() != public[0].Fingerprint() {
		t.Errorf("%v, %v", keys, err)
	}
	if _, err := run(); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a second key: %v", err)
	}
}

package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestSigningKey holds that the key is made once, kept readable for its owner
// only, and never made anew over one that cannot be read.
func TestSigningKey(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	path := filepath.Join(t.TempDir(), "signing-key.asc")
	public := func() []byte {
		t.Helper()
		signer, err := signingKey(path, log)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for _, key := range signer.PublicKeys() {
			b.Write(key.Armor())
		}
		return b.Bytes()
	}
	made := public()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file has mode %v, %v", info.Mode(), err)
	}
	if again := public(); !bytes.Equal(made, again) {
		t.Error("the second start has another key")
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signingKey(path, log); err == nil {
		t.Error("a damaged key is taken")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "damaged" {
		t.Errorf("the damaged key was written over: %q, %v", data, err)
	}
	// What a crash left before the key had its name is not a key.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	public()
}

package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestArchives holds the form that Lambda takes, and that equal programs make equal archives.
func TestArchives(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, io.Discard); err == nil {
		t.Error("a folder without programs is packed")
	}
	program := filepath.Join(dir, "api", "bootstrap")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	var first []byte
	for at := range 2 {
		if err := os.WriteFile(program, []byte("program"), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(int64(1e9*(at+1)), 0)
		if err := os.Chtimes(program, when, when); err != nil {
			t.Fatal(err)
		}
		if err := run(dir, io.Discard); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "api.zip"))
		if err != nil {
			t.Fatal(err)
		}
		if at == 1 && !bytes.Equal(data, first) {
			t.Error("the archive depends on the time")
		}
		first = data
	}
	r, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil || len(r.File) != 1 || r.File[0].Name != "bootstrap" || r.File[0].Mode().Perm() != 0o755 {
		t.Fatalf("%+v, %v", r, err)
	}
}

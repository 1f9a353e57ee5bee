package services

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServiceThatEndsIsStartedAgain: another program has taken the port of a service, which
// ends. That is found at once, and the services are started again.
func TestServiceThatEndsIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	// The programs only count their starts. None of them listens.
	java := filepath.Join(dir, "bin", "java")
	if err := os.MkdirAll(filepath.Dir(java), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{java, filepath.Join(dir, "versitygw")} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$*\" >> "+filepath.Join(dir, "starts")+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Dir(java)+":"+os.Getenv("PATH"))
	l, err := Start(t.Context(), dir, t.TempDir())
	if !errors.Is(err, errEnded) {
		t.Fatalf("%v, %v", l, err)
	}
	out, err := os.ReadFile(filepath.Join(dir, "starts"))
	if n := strings.Count(string(out), "ServerRunner"); err != nil || n != starts {
		t.Errorf("%d starts, want %d, %v: %s", n, starts, err, out)
	}
	if listener, err := net.Listen("tcp", l.front.Addr); err != nil {
		t.Errorf("the front of a failed start goes on: %v", err)
	} else {
		listener.Close()
	}
}

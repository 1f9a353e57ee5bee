package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program writes a shell script that takes the place of dot.
func program(t *testing.T, script string) dot {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dot")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	d := newDot()
	d.program = path
	return d
}

func TestDraw(t *testing.T) {
	t.Setenv("DISPLAY", ":0")
	graph := strings.Repeat("graph ", 100_000) // exceeds the buffer of a pipe
	got, err := program(t, `echo "$1 [$DISPLAY]"; cat`).draw(t.Context(), "svg:cairo", []byte(graph))
	if want := "-Tsvg:cairo []\n" + graph; err != nil || string(got) != want {
		t.Errorf("%.40q, %v", got, err)
	}
	_, err = program(t, "echo 'Format: \"x\" not recognized.' >&2; exit 1").draw(t.Context(), "x", []byte(graph))
	if err == nil || err.Error() != `exit status 1 Format: "x" not recognized.` {
		t.Error(err)
	}
	_, err = program(t, "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1").draw(t.Context(), "x", nil)
	if err == nil || len(err.Error()) != len("exit status 1 ")+maxComplaint {
		t.Error(err)
	}
	for _, as := range []string{"", "-o/etc/passwd", "a b", "a/b", strings.Repeat("x", 33)} {
		if _, err := program(t, "exit 0").draw(t.Context(), as, nil); err == nil {
			t.Errorf("format %q is drawn", as)
		}
	}
	missing := newDot()
	missing.program = filepath.Join(t.TempDir(), "dot")
	if _, err := missing.draw(t.Context(), "svg", nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := program(t, "cat").draw(ctx, "svg", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestDrawEndless holds that a program without end is stopped.
func TestDrawEndless(t *testing.T) {
	if _, err := program(t, "exec cat /dev/zero").draw(t.Context(), "svg", nil); err == nil || !strings.HasPrefix(err.Error(), "picture has more than") {
		t.Error(err)
	}
}

// TestGraphviz renders with Graphviz, if it is installed. The names contain characters
// that are special in DOT.
func TestGraphviz(t *testing.T) {
	if _, err := exec.LookPath("dot"); err != nil {
		t.Skip("graphviz is not installed")
	}
	got, err := newDot().draw(t.Context(), "svg", []byte(`digraph aptly { "r" [label="{Repo \{a\|b\}\<c\>\"\\|comment: |pkgs: 1}", shape=Mrecord, style=filled]; }`))
	if err != nil || !strings.HasPrefix(string(got), "<?xml") || !strings.Contains(string(got), "Repo {a|b}&lt;c&gt;&quot;\\</text>") {
		t.Errorf("%s, %v", got, err)
	}
}

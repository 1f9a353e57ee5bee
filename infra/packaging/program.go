package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program returns the path of the program for an architecture.
func (r *release) program(arch string) string {
	return filepath.Join(r.out, "aptless-linux-"+arch)
}

// programs builds the program for each architecture, and lists its components.
func (r *release) programs(ctx context.Context) error {
	for _, arch := range r.archs {
		build := command(ctx, r.source, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", r.program(arch), "./functions/aptless")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=")
		if err := build.Run(); err != nil {
			return fmt.Errorf("go build for %s: %w", arch, err)
		}
		list := command(ctx, "", "go", "tool", "cyclonedx-gomod", "bin", "-json", "-std", "-noserial", "-notimestamp",
			"-version", "v"+r.version, "-output", r.program(arch)+".cdx.json", r.program(arch))
		if err := list.Run(); err != nil {
			return fmt.Errorf("cyclonedx-gomod for %s: %w", arch, err)
		}
	}
	return nil
}

// command returns a command in a folder, "" for the current one, whose output is shown.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	return cmd
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// startWithin bounds the start of the server that makes the repository.
const startWithin = time.Minute

// repository publishes the Debian packages by the program of this machine's architecture.
// The data of the server stay in dist/repository: the next release is added to it. The
// tree is copied to dist/apt.
func (r *release) repository(ctx context.Context) error {
	program := r.program(runtime.GOARCH)
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("the program of this machine is missing: %w", err)
	}
	data, dir := filepath.Join(r.out, "repository"), ""
	dir, err := os.MkdirTemp("", "aptless-repository-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	socket := "unix://" + filepath.Join(dir, "api.sock")
	var log bytes.Buffer
	server := exec.CommandContext(ctx, program, "serve", "--listen", socket, "--data", data)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		return err
	}
	err = r.push(ctx, program, socket)
	err = errors.Join(err, server.Process.Signal(syscall.SIGTERM), server.Wait())
	if err != nil {
		return fmt.Errorf("%w\n%s", err, log.Bytes())
	}
	tree := filepath.Join(r.out, "apt")
	if err := os.RemoveAll(tree); err != nil {
		return err
	}
	return os.CopyFS(tree, os.DirFS(filepath.Join(data, "public")))
}

// push waits for the server, and delivers the packages to the distribution stable.
func (r *release) push(ctx context.Context, program, socket string) error {
	ready, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for exec.CommandContext(ready, program, "healthcheck", "--url", socket).Run() != nil {
		select {
		case <-ready.Done():
			return errors.New("the server did not start")
		case <-time.After(100 * time.Millisecond):
		}
	}
	args := []string{"push", "--url", socket, "--no-progress", "--create", "--repo", "aptless", "--publish", "stable"}
	for _, arch := range r.archs {
		args = append(args, r.deb(arch))
	}
	return command(ctx, "", program, args...).Run()
}

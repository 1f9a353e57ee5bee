package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// figures are the measures of one operation.
type figures struct {
	wall time.Duration
	cpu  time.Duration // of user and system
	peak int64         // of the resident memory, in bytes; 0 if it is unknown
}

// process is a running peer.
type process struct {
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{} // closed when it has ended
}

// start starts a program. The memory of the process is not that of its parent, so
// the peak is read from /proc.
func start(env []string, dir string, argv ...string) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = env, dir
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the process, at last by force.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(40 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// tick is the unit of times in /proc/<pid>/stat on Linux.
const tick = 10 * time.Millisecond

// cpu returns the time of the process and of its children that have ended.
func (p *process) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(data), ") ")
	var sum time.Duration
	if fields := strings.Fields(after); len(fields) > 14 {
		for _, field := range fields[11:15] {
			n, _ := strconv.ParseInt(field, 10, 64)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// resetPeak makes the peak the present size.
func (p *process) resetPeak() {
	// Without the permission, the peak is that since the start.
	os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// peak returns the peak of the resident memory in bytes.
func (p *process) peak() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// look is the time between two looks at the peak of a program that ends by itself.
const look = 3 * time.Millisecond

// run runs a program to its end.
func run(env []string, dir string, argv ...string) (figures, error) {
	began := time.Now()
	p, err := start(env, dir, argv...)
	if err != nil {
		return figures{}, err
	}
	var f figures
	for ended := false; !ended; {
		select {
		case <-p.done:
			ended = true
		case <-time.After(look):
			f.peak = max(f.peak, p.peak())
		}
	}
	f.wall = time.Since(began)
	f.cpu = p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	if !p.cmd.ProcessState.Success() {
		return f, fmt.Errorf("%s: %v: %s", argv[0], p.cmd.ProcessState, tail(p.log.Bytes()))
	}
	return f, nil
}

// tail returns the end of a text.
func tail(text []byte) []byte {
	const most = 500
	return bytes.TrimSpace(text[max(0, len(text)-most):])
}

package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aptless/core/front/app/apptest"
)

// atTerminal runs a command of the program at a pseudo-terminal (pty(7)) of 60 columns, and
// returns the bytes that reach it.
func atTerminal(t *testing.T, env []string, words ...string) (text string, code int) {
	t.Helper()
	main, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer main.Close()
	fd := int(main.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 60})
	}
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], words...)
	cmd.Args[0] = "aptless" // the name that hints have
	cmd.Env = append(append(os.Environ(), "TEST_AS_APTLESS=1", "TERM=xterm", "CI=", "NO_COLOR=", "XDG_CONFIG_HOME="+t.TempDir()), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	err = cmd.Start()
	side.Close()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, _ = io.Copy(&out, main) // EIO is the end of a terminal
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

// pipe runs the same with pipes.
func pipe(t *testing.T, words ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], words...)
	cmd.Env = append(os.Environ(), "TEST_AS_APTLESS=1", "XDG_CONFIG_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestTerminalAndPipeGolden has the bytes of the same commands at a pseudo-terminal and in
// a pipe. No escape byte is in a pipe, nor at a terminal with NO_COLOR.
func TestTerminalAndPipeGolden(t *testing.T) {
	r := newRunning(t, withKey(t))
	r.must("POST", "/api/repos", `{"Name":"tools","Comment":"one two three four five six seven eight","DefaultDistribution":"stable","DefaultComponent":"main"}`)
	at := "--url=unix://" + r.socket
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "aa_1_amd64.deb"), apptest.Deb("aa", "1", "amd64"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, code := atTerminal(t, nil, "repo", "list", at)
	if want := "NAME   PACKAGES  DISTRIBUTION  COMPONENT  COMMENT          ~\ntools  0         stable        main       one two three fo ~\n"; code != 0 || got != want {
		t.Errorf("repo list at a terminal: exit code %d\n%q, want\n%q", code, got, want)
	}
	if got, want := pipe(t, "repo", "list", at), "tools\t0\tstable\tmain\tone two three four five six seven eight\n"; got != want {
		t.Errorf("repo list in a pipe: %q, want %q", got, want)
	}
	if got, want := textOf(atTerminal(t, nil, "repo", "show", "tools", at)), "Name: tools\nComment: one two three four five six seven eight\nDefault Distribution: stable\nDefault Component: main\n"; got != want {
		t.Errorf("repo show at a terminal: %q, want %q", got, want)
	}
	if got, want := pipe(t, "repo", "show", "tools", at), "Name\ttools\nComment\tone two three four five six seven eight\nDefault Distribution\tstable\nDefault Component\tmain\n"; got != want {
		t.Errorf("repo show in a pipe: %q, want %q", got, want)
	}
	if got, want := pipe(t, "repo", "add", "tools", dir, at), "[+] aa_1_amd64 added\n1 files sent (SIZE), 1 added, 0 failed\n"; regexp.MustCompile(`\(.*\)`).ReplaceAllString(got, "(SIZE)") != want {
		t.Errorf("repo add in a pipe: %q, want %q", got, want)
	}
	if got, code := atTerminal(t, nil, "repo", "add", "tools", dir, at); code != 0 || !strings.Contains(got, "\x1b[32m[+]\x1b[0m aa_1_amd64 added\n") {
		t.Errorf("repo add at a terminal: exit code %d\n%q", code, got)
	}
	if got, code := atTerminal(t, []string{"NO_COLOR=1"}, "repo", "add", "tools", dir, at); code != 0 || strings.Contains(got, "\x1b") || !strings.Contains(got, "[+] aa_1_amd64 added\n") {
		t.Errorf("with NO_COLOR: exit code %d\n%q", code, got)
	}
	r.end()
}

func textOf(text string, _ int) string { return text }

// meter is a proxy before a server that notes the files that have arrived, and kills a
// client.
type meter struct {
	mu      sync.Mutex
	arrived map[string]int // answered with a success, by name
	peak    func()         // is called at the import
}

func (m *meter) names(r *http.Request, body []byte) (names []string) {
	if r.Method == http.MethodPut {
		return []string{r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]}
	}
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil
	}
	for in := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		part, err := in.NextPart()
		if err != nil {
			return names
		}
		names = append(names, part.FileName())
	}
}

// TestKilledUploadGoesOn: an upload of 200 files and a large one is killed at five moments
// and repeated. No file that has arrived is sent again, and the client's memory stays below
// 64 MiB. Without -short the large file has 1 GiB.
func TestKilledUploadGoesOn(t *testing.T) {
	large := int64(1 << 30)
	if testing.Short() {
		large = 64 << 20
	}
	r := newRunning(t, withKey(t), "--max-upload", "2048")
	r.must("POST", "/api/repos", `{"Name":"r"}`)
	dir := t.TempDir()
	for i := range 200 {
		deb := append(apptest.Deb(fmt.Sprintf("p%03d", i), "1", "amd64"), make([]byte, 30<<10)...)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("p%03d_1_amd64.deb", i)), deb, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	big, err := os.Create(filepath.Join(dir, "zz_1_amd64.deb"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = big.WriteString("!<arch>\n")
	if err = errors.Join(err, big.Truncate(large), big.Close()); err != nil {
		t.Fatal(err)
	}
	m := &meter{arrived: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "aptless"})
	proxy.Transport = r.client.Transport
	proxy.ErrorLog = nil
	child := &child{}
	var moment atomic.Int32
	var peak atomic.Value
	m.peak = func() {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", child.process().Pid))
		peak.Store(string(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).Find(status)))
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		isUpload := strings.HasPrefix(q.URL.Path, "/api/files/") && (q.Method == http.MethodPut || q.Method == http.MethodPost)
		if strings.HasPrefix(q.URL.Path, "/api/repos/r/file/") && m.peak != nil {
			m.peak()
		}
		if !isUpload {
			proxy.ServeHTTP(w, q)
			return
		}
		var body []byte
		if q.Method == http.MethodPost {
			body, _ = io.ReadAll(q.Body)
			q.Body = io.NopCloser(bytes.NewReader(body))
		} else if now := moment.Load(); now >= 3 && now < 5 { // within the large file
			q.Body = &cutting{q.Body, 16 << 20, func() { _ = child.process().Kill() }}
		}
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, q)
		m.mu.Lock()
		if answer.Code < 300 {
			for _, name := range m.names(q, body) {
				m.arrived[name]++
			}
			if moment.Load() < 3 {
				_ = child.process().Kill()
			}
		}
		m.mu.Unlock()
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	defer front.Close()
	for run := range 6 {
		moment.Store(int32(run))
		cmd := exec.Command(os.Args[0], "repo", "add", "--url", front.URL, "-j", "1", "r", dir)
		cmd.Env = append(os.Environ(), "TEST_AS_APTLESS=1", "XDG_CONFIG_HOME="+t.TempDir())
		out, err := child.run(cmd)
		killed := cmd.ProcessState != nil && cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
		if killed != (run < 5) {
			t.Fatalf("run %d: killed %v, %v\n%s", run, killed, err, out)
		}
		if run == 5 && !strings.Contains(string(out), "201 files sent") && !strings.Contains(string(out), " 200 added, 1 failed") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, n := range m.arrived {
		if n > 1 {
			t.Errorf("%s was sent %d times", name, n)
		}
	}
	if len(m.arrived) != 201 {
		t.Errorf("%d files have arrived", len(m.arrived))
	}
	var kib int
	seen, _ := peak.Load().(string)
	if _, err := fmt.Sscanf(seen, "VmHWM: %d kB", &kib); err != nil || kib > 64<<10 && !raced() {
		t.Errorf("peak %q, %v", seen, err)
	}
	r.end()
}

// child is a command that handlers of requests look at and kill while it runs.
type child struct {
	mu  sync.Mutex
	cmd *exec.Cmd
}

// run runs a command and returns its output.
func (c *child) run(cmd *exec.Cmd) ([]byte, error) {
	var out writer
	cmd.Stdout, cmd.Stderr = &out, &out
	c.mu.Lock()
	c.cmd = cmd
	err := cmd.Start()
	c.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	return []byte(out.String()), err
}

// process returns the process of the command that runs.
func (c *child) process() *os.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cmd.Process
}

// raced reports whether the program has the race detector, which needs memory of its own.
func raced() bool {
	info, err := buildinfo.ReadFile(os.Args[0])
	if err != nil {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}

// cutting is a body that calls a function after some bytes.
type cutting struct {
	io.ReadCloser
	left int
	then func()
}

func (c *cutting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= n; c.left <= 0 && c.then != nil {
		c.then()
		c.then = nil
	}
	return n, err
}

// TestSignalEndsAMirrorUpdate: the first interrupt ends the command with 130 and the command
// that follows the task.
func TestSignalEndsAMirrorUpdate(t *testing.T) {
	asked := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/version":
			io.WriteString(w, `{"Version":"1.6.3+aptless"}`)
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"ID":7,"State":0,"Name":"Update mirror m"}`)
		case r.URL.Path == "/api/tasks/7":
			select {
			case asked <- struct{}{}:
			default:
			}
			io.WriteString(w, `{"ID":7,"State":1,"Name":"Update mirror m"}`)
		default:
			io.WriteString(w, `""`)
		}
	}))
	defer s.Close()
	cmd := exec.Command(os.Args[0], "mirror", "update", "--url", s.URL, "m")
	cmd.Env = append(os.Environ(), "TEST_AS_APTLESS=1", "XDG_CONFIG_HOME="+t.TempDir())
	var out writer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Error("the task is not looked at")
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 130 || !strings.HasSuffix(out.String(), "\n  aptless task wait 7\n") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), out.String())
	}
}

// TestTokenIsInNoListOfProcesses: it is read from the environment or a file, and no argument
// has it. A server that sends a request to another host gets no further one.
func TestTokenIsInNoListOfProcesses(t *testing.T) {
	args, child := make(chan string, 100), &child{}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a request to another host: %v", r.Header)
	}))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child.process().Pid))
		if err != nil || r.Header.Get("Authorization") != "Bearer t0psecret" {
			t.Errorf("%v, %v", err, r.Header)
		}
		args <- string(line)
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	cmd := exec.Command(os.Args[0], "repo", "list", "-v", "--url", s.URL)
	cmd.Env = append(os.Environ(), "TEST_AS_APTLESS=1", "APTLESS_TOKEN=t0psecret", "XDG_CONFIG_HOME="+t.TempDir())
	out, err := child.run(cmd)
	s.Close()
	close(args)
	var lines []string
	for line := range args {
		lines = append(lines, line)
	}
	if err == nil || len(lines) == 0 || strings.Contains(string(out)+strings.Join(lines, ""), "t0psecret") {
		t.Errorf("%v, %q\n%s", err, lines, out)
	}
}

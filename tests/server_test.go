package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

// server is the real program on a folder. It can be killed and started again.
type server struct {
	t    *testing.T
	bin  string
	data string
	args []string // further arguments of serve
	env  []string // further variables of serve
	cmd  *exec.Cmd
	url  string

	authorize func(*http.Request) // puts credentials into a request; nil for an open server
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "aptless-test-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "aptless")
	out, err := exec.Command("go", "build", "-o", bin, "../functions/aptless").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// signingKey returns a key file as a first start makes it. All servers share it, because
// a key of this size takes seconds to make.
var signingKey = sync.OnceValues(func() ([]byte, error) {
	bin, err := build()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "aptless-key-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command(bin, "key", "new", "--data", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "signing-key.asc"))
})

func newServer(t *testing.T, args ...string) *server {
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	key, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, bin: bin, data: t.TempDir(), args: args}
	if err := os.WriteFile(filepath.Join(s.data, "signing-key.asc"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	s.start(lasting(t))
	return s
}

// addresses are the results of lasting in all tests, which may run in parallel.
var addresses sync.Map

// lasting returns an address for a server that is killed and started again. Its port is
// below 32768, so no other process gets it as an ephemeral port meanwhile (ip(7),
// ip_local_port_range).
func lasting(t *testing.T) string {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))
		if _, taken := addresses.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (s *server) start(listen string) {
	s.t.Helper()
	s.cmd = exec.Command(s.bin, append([]string{"serve", "--listen", listen, "--data", s.data}, s.args...)...)
	s.cmd.Stderr, s.cmd.Env = io.Discard, append(os.Environ(), s.env...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatalf("server did not start: %v", err)
	}
	s.url = strings.TrimSuffix(strings.Fields(line)[4], ",")
	go io.Copy(io.Discard, out)
}

// kill kills the server with SIGKILL.
func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	http.DefaultClient.CloseIdleConnections()
}

func (s *server) restart() {
	s.kill()
	s.start(strings.TrimPrefix(s.url, "http://"))
}

// call sends a request and decodes the answer into v, if v is not nil.
func (s *server) call(method, path, contentType string, body []byte, v any) error {
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	if s.authorize != nil {
		s.authorize(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, data)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(data, v)
}

func (s *server) json(method, path, body string, v any) error {
	return s.call(method, path, "application/json", []byte(body), v)
}

func (s *server) upload(dir string, packages ...debtest.Spec) error {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, p := range packages {
		w, err := form.CreateFormFile("file", debtest.FileName(p))
		if err != nil {
			return err
		}
		w.Write(debtest.Deb(p))
	}
	form.Close()
	return s.call("POST", "/api/files/"+dir, form.FormDataContentType(), b.Bytes(), nil)
}

// fetch reads a file of the published tree.
func (s *server) fetch(ctx context.Context, path string) ([]byte, error) {
	resp, err := http.Get(s.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, fs.ErrNotExist
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// publish makes a repository and publishes it empty.
func (s *server) publish(name string) {
	s.t.Helper()
	s.must(s.json("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name), nil))
	s.must(s.json("POST", "/api/publish", fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Architectures":["amd64"],"Sources":[{"Name":%[1]q}]}`, name), nil))
}

func (s *server) verify(suite string) {
	s.t.Helper()
	key, err := s.fetch(s.t.Context(), "key.asc")
	s.must(err)
	clear, detached := apt.GPGVBytes(s.t, key)
	s.must(apt.Tree{Fetch: s.fetch, InRelease: clear, Release: detached}.Verify(s.t.Context(), suite))
}

// TestTorture has eight clients upload, import and publish to two repositories at once,
// while apt-get updates from both. No package is lost, and apt never gets a mixture of
// states. Tasks have their effects in the order of their numbers.
func TestTorture(t *testing.T) {
	const clients, rounds = 8, 2
	s := newServer(t)
	suites := []string{"one", "two"}
	for _, name := range suites {
		s.publish(name)
	}
	key, err := s.fetch(t.Context(), "key.asc")
	s.must(err)
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	updates := make([]int, len(suites))
	for i, suite := range suites {
		client := apt.New(t, apt.Options{URL: s.url, Suite: suite, SignedBy: key, Deb822: true})
		readers.Go(func() {
			for ctx.Err() == nil {
				if res := client.Update(context.WithoutCancel(ctx)); res.Err() != nil {
					t.Errorf("apt-get update of %s: %v", suite, res.Err())
				}
				updates[i]++
			}
		})
	}
	order := newTicketOrder(s)
	for _, suite := range suites {
		readers.Go(func() { order.watch(ctx, suite) })
	}
	for c := range clients {
		writers.Go(func() {
			repo := suites[c%2]
			for round := range rounds {
				p := debtest.Spec{Package: fmt.Sprintf("pkg%d-%d", c, round), Version: "1.0"}
				dir := fmt.Sprintf("c%d", c)
				var report struct{ FailedFiles []string }
				err := errors.Join(s.upload(dir, p),
					order.mark(repo, fmt.Sprintf("%d-%d", c, round)),
					s.json("POST", "/api/repos/"+repo+"/file/"+dir, "", &report),
					s.json("PUT", "/api/publish/:./"+repo, "{}", nil))
				if err != nil || len(report.FailedFiles) > 0 {
					t.Errorf("client %d: %v, %v", c, err, report.FailedFiles)
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	t.Logf("apt-get update ran %v times", updates)
	order.check()
	for i, suite := range suites {
		var keys []string
		s.must(s.json("GET", "/api/repos/"+suite+"/packages", "", &keys))
		if want := clients / 2 * rounds; len(keys) != want {
			t.Errorf("%s has %d packages, want %d", suite, len(keys), want)
		}
		s.verify(suite)
		client := apt.New(t, apt.Options{URL: s.url, Suite: suite, SignedBy: key})
		s.must(client.Update(t.Context()).Err())
		name := fmt.Sprintf("pkg%d-%d", i, rounds-1)
		s.must(client.Download(t.Context(), name).Err())
		want := debtest.Deb(debtest.Spec{Package: name, Version: "1.0"})
		for file, data := range client.Files(t) {
			if strings.HasPrefix(filepath.Base(file), name) && !bytes.Equal(data, want) {
				t.Errorf("%s is not as it was uploaded", file)
			}
		}
	}
}

// TestKilled kills the server repeatedly in the middle of imports and publications. Every
// admitted task is finished after the start.
func TestKilled(t *testing.T) {
	s := newServer(t)
	s.publish("one")
	const rounds = 6
	for i := range rounds {
		if i == rounds/2 { // a task is given up after five deaths
			s.must(s.json("GET", "/api/tasks-wait", "", nil))
		}
		p := debtest.Spec{Package: fmt.Sprintf("killed%d", i), Version: "1.0"}
		s.must(s.upload("d", p))
		s.must(s.json("POST", "/api/repos/one/file/d?_async=1", "", nil))
		s.must(s.json("PUT", "/api/publish/:./one?_async=1", "{}", nil))
		time.Sleep(time.Duration(i*7) * time.Millisecond) // any varying point of the kill is good
		s.restart()
	}
	s.must(s.json("GET", "/api/tasks-wait", "", nil))
	var tasks []struct {
		ID, State int
		Name      string
	}
	s.must(s.json("GET", "/api/tasks", "", &tasks))
	if len(tasks) != 2*rounds {
		t.Errorf("%d tasks, want %d", len(tasks), 2*rounds)
	}
	for _, task := range tasks {
		if task.State != 2 {
			var out string
			s.must(s.json("GET", fmt.Sprintf("/api/tasks/%d/output", task.ID), "", &out))
			t.Errorf("task %d, %s, is in state %d: %s", task.ID, task.Name, task.State, out)
		}
	}
	var keys []string
	s.must(s.json("GET", "/api/repos/one/packages", "", &keys))
	if len(keys) != rounds {
		t.Errorf("%d packages, want %d", len(keys), rounds)
	}
	s.verify("one")
	packages, err := s.fetch(t.Context(), "dists/one/main/binary-amd64/Packages")
	s.must(err)
	if n := strings.Count(string(packages), "Package: killed"); n != rounds {
		t.Errorf("%d packages are published, want %d", n, rounds)
	}
}

// TestStopped stops the server while clients wait for their tasks. They get their answers,
// the exit status is 0, and no task is lost.
func TestStopped(t *testing.T) {
	s := newServer(t)
	s.publish("one")
	const clients = 4
	var waiting sync.WaitGroup
	for i := range clients {
		s.must(s.upload(fmt.Sprint("d", i), debtest.Spec{Package: fmt.Sprint("stopped", i), Version: "1.0"}))
	}
	for i := range clients {
		waiting.Go(func() {
			if err := s.json("POST", fmt.Sprintf("/api/repos/one/file/d%d?_async=1", i), "", nil); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	answered := make(chan error, 1)
	go func() { answered <- s.json("PUT", "/api/publish/:./one", "{}", nil) }()
	// Its task follows the tasks of the repository, the publication and the imports.
	for len(answered) == 0 && s.json("GET", "/api/tasks/"+fmt.Sprint(3+clients), "", nil) != nil {
	}
	s.must(s.cmd.Process.Signal(syscall.SIGTERM))
	if err := <-answered; err != nil {
		t.Errorf("a request was broken off: %v", err)
	}
	s.must(s.cmd.Wait())
	s.start(strings.TrimPrefix(s.url, "http://"))
	s.verify("one")
	packages, err := s.fetch(t.Context(), "dists/one/main/binary-amd64/Packages")
	s.must(err)
	if n := strings.Count(string(packages), "Package: stopped"); n != clients {
		t.Errorf("%d packages are published, want %d", n, clients)
	}
}

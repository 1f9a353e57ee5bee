package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/freeport"
)

// shared is the folder of files that all tests use.
var shared = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "aptless-browser-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := shared(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// program is the built binary. It has no tables for debuggers, so it is linked faster.
var program = sync.OnceValues(func() (string, error) {
	dir, err := shared()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "aptless")
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "../../functions/aptless").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// server is the program on a folder of its own.
type server struct {
	url   string
	token string // of an administrator; "" for an open server
	data  string
	pid   int
	stop  func() // ends the process, and waits for it
}

// serve starts the program with an ephemeral port.
func serve(t testing.TB, args ...string) *server {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	if out, err := exec.Command(bin, "key", "new", "--type", "ed25519", "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return serveData(t, data, args...)
}

// serveData starts the program with a data folder that has a signing key.
func serveData(t testing.TB, data string, args ...string) *server {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{data: data}
	line, pid, stop := start(t, bin, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", s.data, "--allow-upstream", "127.0.0.1", "--console", "full"}, args...)...)
	s.pid, s.stop = pid, stop
	for _, word := range strings.Fields(line) {
		if word = strings.TrimSuffix(word, ","); strings.HasPrefix(word, "http://") {
			s.url = word
		}
	}
	if secret, err := os.ReadFile(filepath.Join(s.data, "admin-token")); err == nil {
		s.token = strings.TrimSpace(string(secret))
	}
	return s
}

// filled has the data of a server with objects of all kinds, once a test has made them.
var filled struct {
	sync.Mutex
	data string
}

// serveFilled starts the program on a copy of the data of a server with objects of all
// kinds. The archives of its mirrors are gone.
func serveFilled(t testing.TB, args ...string) *server {
	t.Helper()
	filled.Lock()
	defer filled.Unlock()
	if filled.data == "" {
		dir, err := shared()
		if err != nil {
			t.Fatal(err)
		}
		s := serve(t)
		s.fill(t)
		s.stop()
		data := filepath.Join(dir, "filled")
		copyFolder(t, s.data, data)
		filled.data = data
	}
	data := filepath.Join(t.TempDir(), "data")
	copyFolder(t, filled.data, data)
	return serveData(t, data, args...)
}

func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// start starts a program for the length of a test. It returns its first line, its ID, and
// the function that ends it earlier.
func start(t testing.TB, bin string, args ...string) (line string, pid int, stop func()) {
	t.Helper()
	cmd := exec.Command(bin, args...)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("log of the server:\n%s", lastLines(log.String(), 8))
		}
	})
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v\n%s", err, log.String())
	}
	go io.Copy(io.Discard, out)
	return line, cmd.Process.Pid, stop
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// send sends a request, and fails the test if the answer is a refusal.
func (s *server) send(t testing.TB, method, path, contentType string, body []byte, into any) http.Header {
	t.Helper()
	status, header, data := s.try(t, method, path, contentType, body)
	if status >= 400 {
		t.Fatalf("%s %s: %d %s", method, path, status, data)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return header
}

func (s *server) try(t testing.TB, method, path, contentType string, body []byte) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, data
}

func (s *server) json(t testing.TB, method, path, body string) {
	t.Helper()
	s.send(t, method, path, "application/json", []byte(body), nil)
}

// add uploads packages and imports them into a repository.
func (s *server) add(t testing.TB, repo string, specs ...debtest.Spec) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, spec := range specs {
		w, err := form.CreateFormFile("file", debtest.FileName(spec))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(debtest.Deb(spec))
	}
	form.Close()
	s.send(t, "POST", "/api/files/x-"+repo, form.FormDataContentType(), b.Bytes(), nil)
	s.json(t, "POST", "/api/repos/"+repo+"/file/x-"+repo, "")
}

// hostile is a package whose fields attack a page.
func hostile() debtest.Spec {
	depends := make([]string, 10_000)
	for i := range depends {
		depends[i] = fmt.Sprintf("a-very-long-name-of-a-dependency-%d (>= 1.0)", i)
	}
	return debtest.Spec{Package: "hostile-" + strings.Repeat("long-name-", 12) + "end", Version: "1:2.0+" + strings.Repeat("git20260101", 6), Architecture: "amd64", Fields: map[string]string{
		"Description": "<script>document.title='taken'</script> \u202Eright to left\n <img src=x onerror=\"document.title='taken'\">\n .\n second paragraph",
		"Homepage":    "javascript:document.title='taken'", "Maintainer": "\"><script>alert(1)</script> <a@example.org>", "Depends": strings.Join(depends, ", ")}}
}

// fill gives a server objects of all kinds.
func (s *server) fill(t testing.TB) {
	t.Helper()
	s.json(t, "POST", "/api/repos", `{"Name":"stable","Comment":"Packages of the platform team","DefaultDistribution":"stable","DefaultComponent":"main"}`)
	s.json(t, "POST", "/api/repos", `{"Name":"empty","Comment":""}`)
	var specs []debtest.Spec
	for i, name := range []string{"hello", "hello-doc", "libgreeting1", "libgreeting-dev", "greeter", "greeter-data"} {
		specs = append(specs, debtest.Spec{Package: name, Version: "2.10-3", Architecture: []string{"amd64", "all"}[i%2], Fields: map[string]string{
			"Section": "misc", "Homepage": "https://www.example.org/" + name, "Depends": "libc6 (>= 2.36), libgreeting1 (= 2.10-3) | libgreeting0",
			"Description": "a friendly program that greets\n It prints a greeting, and does so\n in many languages.\n .\n The second paragraph says more."},
			Files: map[string]string{"usr/bin/" + name: "x", "usr/share/doc/" + name + "/copyright": "x"}})
	}
	s.add(t, "stable", append(specs, hostile())...)
	s.json(t, "POST", "/api/repos/stable/snapshots", `{"Name":"stable-2026-11-01","Description":"before the update"}`)
	s.json(t, "POST", "/api/publish/:.", `{"SourceKind":"local","Distribution":"stable","Origin":"Example","Label":"Example packages","Architectures":["amd64","arm64","all"],"Sources":[{"Name":"stable","Component":"main"}]}`)
	s.json(t, "POST", "/api/publish/team_a", `{"SourceKind":"snapshot","Distribution":"bookworm","ValidFor":"14d","Architectures":["amd64","all"],"Sources":[{"Name":"stable-2026-11-01","Component":"main"}]}`)
	s.add(t, "stable", debtest.Spec{Package: "hello", Version: "2.12-1", Architecture: "amd64", Fields: map[string]string{"Description": "a friendly program that greets"}})
	s.json(t, "POST", "/api/repos/stable/snapshots", `{"Name":"stable-2026-11-20","Description":"with hello 2.12"}`)
	s.json(t, "POST", "/api/publish/:./stable/update", `{}`)
	s.json(t, "POST", "/api/mirrors", `{"Name":"upstream","ArchiveURL":"`+s.url+`/","Distribution":"stable","Components":["main"],"Architectures":["amd64"],"IgnoreSignatures":true}`)
	s.json(t, "PUT", "/api/mirrors/upstream", `{"IgnoreSignatures":true}`)
	s.json(t, "POST", "/api/mirrors", `{"Name":"never-updated","ArchiveURL":"`+s.url+`/","Distribution":"stable","Components":["main"],"Architectures":["amd64"],"IgnoreSignatures":true}`)
	s.try(t, "PUT", "/api/mirrors/never-updated?_async=1", "application/json", []byte(`{"IgnoreSignatures":false}`)) // fails: no key is trusted
}

// freeAddress returns an address at which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	at, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// answers waits until a server listens at an address.
func answers(t *testing.T, at string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("nothing listens at %s", at)
}

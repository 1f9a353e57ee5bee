package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// echo builds the function of testdata. It returns the function and an HTTP API for it.
func echo(t *testing.T, timeout time.Duration) (*Function, *httptest.Server) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "bootstrap")
	if out, err := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", program, "./testdata/echo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f := &Function{Program: program, Timeout: timeout, Log: io.Discard}
	server := httptest.NewServer(Gateway{Function: f})
	t.Cleanup(func() {
		server.Close()
		f.Close()
	})
	return f, server
}

func send(t *testing.T, server *httptest.Server, path string, body []byte) (*http.Response, string) {
	t.Helper()
	resp, err := http.Post(server.URL+path, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(out)
}

// TestCalls holds every outcome of a call, with one program.
func TestCalls(t *testing.T) {
	f, server := echo(t, time.Minute)
	first, body := send(t, server, "/echo", []byte("\xff\x00bytes"))
	if first.StatusCode != http.StatusTeapot || body != "\xff\x00bytes" {
		t.Fatalf("%d %q", first.StatusCode, body)
	}
	if warm, _ := send(t, server, "/echo", nil); warm.Header.Get("X-Pid") != first.Header.Get("X-Pid") {
		t.Error("the second call started another process")
	}
	for path, status := range map[string]int{"/exit": 500, "/panic": 500, "/large": 500, "/nowhere": 404} {
		if resp, body := send(t, server, path, nil); resp.StatusCode != status {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, body := send(t, server, "/echo", make([]byte, maxRequest/2)); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that becomes too large an event: %d %.100s", resp.StatusCode, body)
	}
	if resp, _ := send(t, server, "/echo", nil); resp.Header.Get("X-Pid") == first.Header.Get("X-Pid") || resp.StatusCode != http.StatusTeapot {
		t.Error("no other process follows one that has exited")
	}
	if _, err := f.Invoke(t.Context(), []byte(`{"rawPath":1}`)); !errors.Is(err, ErrFunction) {
		t.Errorf("an event that is none: %v", err)
	}
}

// TestParallel holds that concurrent calls have one process each and get their own answers.
func TestParallel(t *testing.T) {
	f, server := echo(t, time.Minute)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, body := send(t, server, "/echo", []byte(strconv.Itoa(i))); body != strconv.Itoa(i) {
				t.Errorf("%d got %q", i, body)
			}
		})
	}
	wg.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) < 1 || len(f.all) > 40 || len(f.idle) != len(f.all) {
		t.Errorf("%d processes, %d of them idle", len(f.all), len(f.idle))
	}
}

// TestKilled holds that a process that exceeds its timeout is killed. A killed process
// fails only its own call.
func TestKilled(t *testing.T) {
	f, server := echo(t, 300*time.Millisecond)
	f.Timeout = time.Minute
	pid, _ := send(t, server, "/echo", nil)
	done := make(chan error)
	hang := []byte(`{"rawPath":"/hang","requestContext":{"http":{"method":"GET"}}}`)
	go func() {
		_, err := f.Invoke(context.Background(), hang)
		done <- err
	}()
	random := rand.New(rand.NewPCG(1, 2))
	for !f.Kill(random) {
		time.Sleep(time.Millisecond)
	}
	if err := <-done; !errors.Is(err, ErrDied) {
		t.Errorf("killed: %v", err)
	}
	f.Timeout = 300 * time.Millisecond
	if _, err := f.Invoke(t.Context(), hang); !errors.Is(err, ErrTimeout) {
		t.Errorf("over its time: %v", err)
	}
	f.Timeout = time.Minute
	if resp, _ := send(t, server, "/echo", nil); resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Pid") == pid.Header.Get("X-Pid") {
		t.Error("no other process follows one that was killed")
	}
}

// TestFrozen holds that nothing runs between two calls.
func TestFrozen(t *testing.T) {
	f, server := echo(t, time.Minute)
	send(t, server, "/beats", nil)
	f.mu.Lock()
	pid := f.idle[0].cmd.Process.Pid
	f.mu.Unlock()
	for range 1000 { // a signal is delivered asynchronously
		out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(out), "T") {
			return
		}
	}
	t.Error("the process goes on after its answer")
}

// TestMemory holds that a call fails whose process has more memory than its function.
func TestMemory(t *testing.T) {
	f, server := echo(t, time.Minute)
	for limit, want := range map[int]int{1024: http.StatusOK, 256: http.StatusInternalServerError} {
		f.Close()
		f.Memory = limit
		if resp, body := send(t, server, "/memory", nil); resp.StatusCode != want {
			t.Errorf("%d MB: %d %s", limit, resp.StatusCode, body)
		}
	}
	if got := f.peak.Load() >> 10; got < 300 {
		t.Errorf("the largest process had %d MB", got)
	}
}

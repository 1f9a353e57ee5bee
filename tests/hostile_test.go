package tests

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// listing is the state of a server that bad requests must not change.
func listing(t *testing.T, s *server) string {
	t.Helper()
	text := ""
	for _, path := range []string{"/api/repos", "/api/snapshots", "/api/mirrors", "/api/publish", "/api/files", "/api/tasks"} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		text += path + " " + string(body) + "\n"
	}
	return text
}

// sendRaw sends text over a connection of its own and returns the first line of the answer.
// The server may answer and close before it has read all. A client that then reads too late
// loses the answer with the connection, so it tries again.
func sendRaw(t *testing.T, s *server, text string) string {
	t.Helper()
	var err error
	for range 10 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err != nil {
			t.Fatal(err)
		}
		go io.WriteString(conn, text) // ends when the connection is closed
		answer, n := make([]byte, 64), 0
		n, err = io.ReadAtLeast(conn, answer, len("HTTP/1.1 400"))
		conn.Close()
		if err == nil {
			return string(answer[:n])
		}
	}
	t.Fatalf("%.80q: no answer: %v", text, err)
	return ""
}

// TestHostileConnectionsChangeNothing sends requests that no library sends. Each gets a
// refusal, and changes nothing.
func TestHostileConnectionsChangeNothing(t *testing.T) {
	s := newServer(t)
	before, long := listing(t, s), strings.Repeat("x", 1<<20)
	head := func(line string, fields ...string) string {
		return line + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(append(fields, "\r\n"), "\r\n")
	}
	form := func(parts string) string {
		return head("POST /api/files/d", "Content-Type: multipart/form-data; boundary=b", fmt.Sprint("Content-Length: ", len(parts))) + parts
	}
	const put, chunked, js = "PUT /api/files/d/f", "Transfer-Encoding: chunked", "Content-Type: application/json"
	for name, tc := range map[string]struct{ text, code string }{
		"a header of 1 MB":               {head("GET /api/repos", "X-A: "+long), "431"},
		"10,000 headers":                 {head("GET /api/repos", strings.Repeat("X-A: b\r\n", 10_000)+"X-B: c"), "431"},
		"a query of 1 MB":                {head("GET /api/packages?q=" + long), "431"},
		"two hosts":                      {head("GET /api/repos", "Host: other"), "400"},
		"a negative length":              {head(put, "Content-Length: -1") + "x", "400"},
		"two lengths":                    {head(put, "Content-Length: 1", "Content-Length: 2") + "xx", "400"},
		"a length beyond 2^63":           {head(put, "Content-Length: 99999999999999999999") + "x", "400"},
		"a length of 2^62":               {head(put, "Content-Length: 4611686018427387904") + "x", "413"},
		"JSON with a length of 2^62":     {head("POST /api/repos", js, "Content-Length: 4611686018427387904") + "{}", "413"},
		"an unknown transfer":            {head(put, "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", "501"},
		"a chunk without a number":       {head(put, chunked) + "zz\r\nx\r\n0\r\n\r\n", "400"},
		"a chunk with 1 MB of extension": {head(put, chunked) + "1;" + long + "\r\nx\r\n0\r\n\r\n", "400"},
		"chunks with many extensions":    {head(put, chunked) + strings.Repeat("1;"+long[:3000]+"\r\nx\r\n", 1000) + "0\r\n\r\n", "400"},
		"trailers of 1 MB":               {head(put, chunked) + "1\r\nx\r\n0\r\n" + strings.Repeat("T: x\r\n", 200_000) + "\r\n", "400"},
		"100,000 parts without names":    {form(strings.Repeat("--b\r\nX: y\r\n\r\nv\r\n", 100_000) + "--b--"), "400"},
		"a form that is cut":             {form("--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nx\r\n"), "400"},
		"text without a boundary":        {form(strings.Repeat(long, 8)), "400"},
		"20,000 headers of a part":       {form("--b\r\n" + strings.Repeat("X: y\r\n", 20_000) + "\r\nv\r\n--b--"), "400"},
	} {
		if got := sendRaw(t, s, tc.text); !strings.HasPrefix(got, "HTTP/1.1 "+tc.code) {
			t.Errorf("%s: %q, want %s", name, got, tc.code)
		}
	}
	sendRaw(t, s, head("DELETE /api/files/d")) // the empty directory of the refused uploads
	if after := listing(t, s); after != before {
		t.Errorf("state\n%s\nwas\n%s", after, before)
	}
}

// TestLargeBodiesKeepToTheMemory sends bodies of 31 MB at the same time to a server of
// 256 MiB. They are read one after another. One that waits too long is refused, and its
// client may lose the answer while it sends.
func TestLargeBodiesKeepToTheMemory(t *testing.T) {
	s := newServer(t, "--memory", "256MiB")
	body := []byte(`{"Name":"` + strings.Repeat("x", 31_000_000) + `"}`)
	var all sync.WaitGroup
	var read atomic.Int32
	for range 8 {
		all.Go(func() {
			resp, err := http.Post(s.url+"/api/repos", "application/json", bytes.NewReader(body))
			if err != nil {
				return
			}
			defer resp.Body.Close()
			if text, _ := io.ReadAll(resp.Body); resp.StatusCode == http.StatusBadRequest {
				read.Add(1)
			} else if resp.StatusCode != http.StatusTooManyRequests {
				t.Errorf("%d %.200s", resp.StatusCode, text)
			}
		})
	}
	all.Wait()
	if read.Load() == 0 {
		t.Error("no body was read")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	peak, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	if peak > 384<<10 { // 8 bodies, each held twice, are 484 MiB
		t.Errorf("the server had %d KiB at its peak", peak)
	}
}

package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	port "aptless/core/archive/upstream"
)

// TestRaw has servers that violate the protocol.
func TestRaw(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		answer func(w io.Writer)
		body   string
		fails  bool
	}{
		"as it should be":   {answer: says(head + "Content-Length: 5\r\n\r\nhello"), body: "hello"},
		"more than it says": {answer: says(head + "Content-Length: 5\r\n\r\nhello, world"), body: "hello"},
		"two lengths":       {answer: says(head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), fails: true},
		"negative length":   {answer: says(head + "Content-Length: -1\r\n\r\nhello"), fails: true},
		"huge length":       {answer: says(head + "Content-Length: 9223372036854775807\r\n\r\nhello"), fails: true},
		"less than it says": {answer: says(head + "Content-Length: 6\r\n\r\nhello"), fails: true},
		"gzip is not undone": {answer: says(head + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"),
			body: "hello"},
		"bad chunk":        {answer: says(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello"), fails: true},
		"no HTTP":          {answer: says("220 mail.example ESMTP\r\n"), fails: true},
		"nothing":          {answer: says(""), fails: true},
		"control location": {answer: says("HTTP/1.1 302 Found\r\nLocation: http://x/\x01y\r\nContent-Length: 0\r\n\r\n"), fails: true},
		"no location":      {answer: says("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), fails: true},
		"head without end": {answer: func(w io.Writer) {
			io.WriteString(w, head)
			for {
				if _, err := io.WriteString(w, "X: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}, fails: true},
		"interim answers without end": {answer: func(w io.Writer) {
			for {
				if _, err := io.WriteString(w, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				var running sync.WaitGroup
				running.Go(func() {
					for {
						conn, err := network.Accept()
						if err != nil {
							return
						}
						running.Go(func() {
							defer conn.Close()
							if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
								c.answer(conn)
							}
						})
					}
				})
				client := newClient(network.dial, nil)
				defer running.Wait()
				defer network.Close()
				defer client.http.CloseIdleConnections()
				begun := time.Now()
				body, err := get(t, client, address)
				if (err != nil) != c.fails || err == nil && body != c.body || errors.Is(err, port.ErrForbidden) {
					t.Errorf("%q, %v", body, err)
				}
				if d := time.Since(begun); d > 10*time.Minute {
					t.Errorf("it takes %v", d)
				}
			})
		})
	}
}

func says(text string) func(io.Writer) {
	return func(w io.Writer) { io.WriteString(w, text) }
}

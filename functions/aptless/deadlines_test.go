package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// piped is a listener of connections inside the process.
type piped struct {
	conns chan net.Conn
	ended chan struct{}
}

func newPiped() *piped { return &piped{make(chan net.Conn, 10), make(chan struct{})} }

func (p *piped) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *piped) Close() error   { close(p.ended); return nil }
func (p *piped) Addr() net.Addr { return &net.UnixAddr{} }

// between runs a function with a connection to a server of a handler. Clocks stand while
// the server or the client works.
func between(t *testing.T, h http.HandlerFunc, client func(t *testing.T, c net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPiped()
		server := (&server{log: slog.New(slog.DiscardHandler)}).httpServer(h)
		go server.Serve(l)
		c, other := net.Pipe()
		l.conns <- other
		client(t, c)
		c.Close()
		server.Close()
		time.Sleep(2 * moveWithin) // a client that writes sees the end
	})
}

// answered reads one answer, or tells that the server has closed the connection.
func answered(c io.Reader) (string, error) {
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, body), err
}

// store reads a body as an upload does.
func store(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprint(w, n)
}

// TestBodyThatHardlyMovesIsEnded: a byte a minute holds no connection.
func TestBodyThatHardlyMovesIsEnded(t *testing.T) {
	between(t, store, func(t *testing.T, c net.Conn) {
		began := time.Now()
		go func() {
			fmt.Fprint(c, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
			for range 1000 {
				if _, err := fmt.Fprint(c, "x"); err != nil {
					return
				}
				time.Sleep(30 * time.Second)
			}
		}()
		answer, err := answered(c)
		if took := time.Since(began); err != nil || !strings.HasPrefix(answer, "400 ") || took > 2*moveWithin {
			t.Errorf("%q, %v after %v", answer, err, took)
		}
	})
}

// TestBodyThatMovesMayLast: an upload of an hour ends well.
func TestBodyThatMovesMayLast(t *testing.T) {
	between(t, store, func(t *testing.T, c net.Conn) {
		began := time.Now()
		go func() {
			fmt.Fprintf(c, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 70*step)
			for range 70 {
				time.Sleep(50 * time.Second)
				fmt.Fprint(c, strings.Repeat("x", step))
			}
		}()
		answer, err := answered(c)
		if took := time.Since(began); err != nil || answer != fmt.Sprintf("200 %d", 70*step) || took < 55*time.Minute {
			t.Errorf("%q, %v after %v", answer, err, took)
		}
	})
}

// TestSlowHandlerIsNoSlowClient: the handler takes longer than a client may, before,
// between and after its reads.
func TestSlowHandlerIsNoSlowClient(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			time.Sleep(5 * moveWithin)
			if _, err := r.Body.Read(make([]byte, 10)); err != nil && err != io.EOF {
				t.Error(err)
			}
		}
		time.Sleep(5 * moveWithin)
		if r.Context().Err() != nil {
			t.Error("the request was ended")
		}
		fmt.Fprint(w, "done")
	}
	between(t, slow, func(t *testing.T, c net.Conn) {
		go fmt.Fprint(c, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n01234567890123456789")
		if answer, err := answered(c); err != nil || answer != "200 done" {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

// TestAnswerThatIsNotReadIsEnded: a client that reads nothing holds no connection, and one
// that reads slowly gets all.
func TestAnswerThatIsNotReadIsEnded(t *testing.T) {
	const size = 100 * piece
	for pause, whole := range map[time.Duration]bool{2 * moveWithin: false, moveWithin / 4: true} {
		failed := make(chan error, 1)
		big := func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(make([]byte, size))
			failed <- err
		}
		between(t, big, func(t *testing.T, c net.Conn) {
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			got, part := 0, make([]byte, piece)
			for {
				time.Sleep(pause)
				n, err := io.ReadFull(c, part)
				if got += n; err != nil {
					break
				}
			}
			if err := <-failed; (got >= size) != whole || (err == nil) != whole {
				t.Errorf("pauses of %v: %d bytes, %v", pause, got, err)
			}
		})
	}
}

// TestRefusalDoesNotWaitForTheBody: the answer to a body of 2 GB, and to one of unknown
// length, comes before the client has sent any of it.
func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }
	for _, length := range []string{"Content-Length: 2000000000", "Transfer-Encoding: chunked"} {
		between(t, refuse, func(t *testing.T, c net.Conn) {
			began := time.Now()
			go fmt.Fprintf(c, "PUT / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", length)
			if answer, err := answered(c); err != nil || answer != "401 no\n" || time.Since(began) != 0 {
				t.Errorf("%s: %q, %v after %v", length, answer, err, time.Since(began))
			}
			if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(began) > moveWithin {
				t.Errorf("%s: the connection stays, %v after %v", length, err, time.Since(began))
			}
		})
	}
}

// TestHeaderHasTenSecondsAndABound holds it for a header that comes slowly, and for a
// long one.
func TestHeaderHasTenSecondsAndABound(t *testing.T) {
	between(t, store, func(t *testing.T, c net.Conn) {
		began := time.Now()
		go fmt.Fprint(c, "GET / HTTP/1.1\r\nHost:")
		if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(began) > headerWithin {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
	between(t, store, func(t *testing.T, c net.Conn) {
		go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 40<<10))
		if answer, err := answered(c); err != nil || !strings.HasPrefix(answer, "431 ") {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

// TestFurtherConnectionsWait holds that one more than the bound is served after another
// has ended.
func TestFurtherConnectionsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newPiped()
		l := bounded(inner, 2)
		var accepted []net.Conn
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				accepted = append(accepted, c)
			}
		}()
		for range 3 {
			_, c := net.Pipe()
			inner.conns <- c
		}
		synctest.Wait()
		if len(accepted) != 2 {
			t.Fatalf("%d connections", len(accepted))
		}
		accepted[0].Close()
		accepted[0].Close() // gives one place back
		_, c := net.Pipe()
		inner.conns <- c
		synctest.Wait()
		if len(accepted) != 3 {
			t.Errorf("%d connections", len(accepted))
		}
		l.Close() // while Accept waits for a place
		<-done
	})
}

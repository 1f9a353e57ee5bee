package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	port "aptless/core/archive/upstream"
)

// pipes is a network in memory with one server for all addresses. In a synctest bubble its
// time is that of the test, so pauses take no real time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// served runs test with a client and a server with the handler.
func served(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{Handler: handler}
		var running sync.WaitGroup
		running.Go(func() { server.Serve(network) })
		c := newClient(network.dial, nil)
		defer func() { // also when the test fails
			c.http.CloseIdleConnections()
			server.Shutdown(context.WithoutCancel(t.Context()))
			running.Wait()
		}()
		test(t, c)
	})
}

const address = "http://deb.example/pool/x"

func TestAnswer(t *testing.T) {
	served(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Mon, 06 Jul 2026 10:00:00 GMT")
		http.ServeContent(w, r, "", time.Date(2026, 7, 6, 10, 0, 0, 0, time.UTC), strings.NewReader("hello"))
	}, func(t *testing.T, c *Client) {
		a, err := c.Fetch(t.Context(), port.Request{URL: address, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		if err != nil || string(body) != "hello" || a.Size != 5 || a.NotModified || a.ETag != `"1"` || a.Modified != "Mon, 06 Jul 2026 10:00:00 GMT" {
			t.Errorf("%q, %v, %+v", body, err, a)
		}
		a.Body.Close()
		if _, err := a.Body.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read after the end: %v", err)
		}
		for _, r := range []port.Request{{ETag: `"1"`}, {Modified: a.Modified}, {ETag: `"1"`, Modified: a.Modified}} {
			r.URL, r.Limit = address, 5
			again, err := c.Fetch(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(again.Body)
			if !again.NotModified || len(rest) > 0 || err != nil || again.ETag != a.ETag || r.Modified != "" && again.Modified != a.Modified {
				t.Errorf("%+v: %+v, %q, %v", r, again, rest, err)
			}
		}
		head, err := c.Fetch(t.Context(), port.Request{URL: address, Head: true})
		if err != nil || head.Size != 5 {
			t.Fatalf("%+v, %v", head, err)
		}
		if rest, err := io.ReadAll(head.Body); len(rest) > 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		if _, err := c.Fetch(t.Context(), port.Request{URL: address, Limit: 4}); !errors.Is(err, port.ErrTooLarge) {
			t.Errorf("body that is too large: %v", err)
		}
	})
}

// TestLimit holds that an endless answer without a length is stopped.
func TestLimit(t *testing.T) {
	served(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}, func(t *testing.T, c *Client) {
		a, err := c.Fetch(t.Context(), port.Request{URL: address, Limit: 12345})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if n, err := io.Copy(io.Discard, a.Body); n != 12345 || !errors.Is(err, port.ErrTooLarge) || a.Size != -1 {
			t.Errorf("%d of %d bytes, %v", n, a.Size, err)
		}
	})
}

func TestStatuses(t *testing.T) {
	for code, want := range map[int]int{200: 1, 203: 1, 206: 1, 304: 1, 400: 1, 401: 1, 403: 1, 404: 1, 410: 1, 501: 1, 408: tries, 429: tries, 500: tries, 502: tries, 503: tries, 504: tries} {
		calls := 0
		served(t, func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.WriteHeader(code)
		}, func(t *testing.T, c *Client) {
			_, err := c.Fetch(t.Context(), port.Request{URL: "http://u:secret@deb.example/a?b=c#d", Limit: 1})
			if code < 204 {
				if err != nil {
					t.Errorf("%d: %v", code, err)
				}
				return
			}
			var status *port.StatusError
			if !errors.As(err, &status) || status.Code != code || status.URL != "http://deb.example/a?b=c#d" || port.Missing(err) != (code == 403 || code == 404 || code == 410) {
				t.Errorf("%d: %v", code, err)
			}
		})
		if calls != want {
			t.Errorf("%d: asked %d times, want %d", code, calls, want)
		}
	}
}

// TestRetryAfter holds that all requests to a host wait for 40 seconds if it asks for that.
// No request waits for an hour.
func TestRetryAfter(t *testing.T) {
	var calls []time.Time
	served(t, func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, time.Now())
		switch len(calls) {
		case 1:
			w.Header().Set("Retry-After", "40")
		case 2:
			w.Header().Set("Retry-After", time.Now().Add(30*time.Second).UTC().Format(http.TimeFormat))
		case 3:
			return
		default:
			w.Header().Set("Retry-After", "3600")
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}, func(t *testing.T, c *Client) {
		if _, err := get(t, c, address); err != nil {
			t.Error(err)
		}
		if _, err := get(t, c, address); err == nil {
			t.Error("no error")
		}
	})
	if len(calls) != 4 {
		t.Fatalf("asked %d times", len(calls))
	}
	if d := calls[1].Sub(calls[0]); d < 40*time.Second {
		t.Errorf("asked again after %v", d)
	}
	if d := calls[2].Sub(calls[1]); d < 29*time.Second {
		t.Errorf("asked again after %v", d)
	}
}

func TestCredentials(t *testing.T) {
	type seen struct{ host, path, authorization, referer string }
	var requests []seen
	served(t, func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, seen{r.Host, r.URL.EscapedPath(), r.Header.Get("Authorization"), r.Header.Get("Referer")})
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}, func(t *testing.T, c *Client) {
		for _, to := range []string{"", "http://deb.example/other", "http://sub.deb.example/", "http://evil:pass@evil.example/", "http://deb.example:8080/"} {
			if _, err := get(t, c, "http://user:secret@deb.example/g++?to="+to); err != nil {
				t.Error(err)
			}
		}
		// After a redirect to another origin, the credentials stay withdrawn, even on the way back.
		if _, err := get(t, c, "http://user:secret@deb.example/?to=http://a.example/?to=http%3a%2f%2fdeb.example%2fback"); err != nil {
			t.Error(err)
		}
		if _, err := get(t, c, "http://user:se\x7fcret@deb.example/"); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("URL that cannot be parsed: %v", err)
		}
	})
	with := "Basic dXNlcjpzZWNyZXQ="
	start := seen{"deb.example", "/g%2B%2B", with, ""}
	want := []seen{
		start,
		start, {"deb.example", "/other", with, ""},
		start, {"sub.deb.example", "/", "", ""},
		start, {"evil.example", "/", "", ""},
		start, {"deb.example:8080", "/", "", ""},
		{"deb.example", "/", with, ""}, {"a.example", "/", "", ""}, {"deb.example", "/back", "", ""},
	}
	if !slices.Equal(requests, want) {
		t.Errorf("requests\n%q, want\n%q", requests, want)
	}
}

func TestRedirectsWithoutEnd(t *testing.T) {
	calls := 0
	served(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.Redirect(w, r, fmt.Sprintf("/%d?signature=s3cret", calls), http.StatusFound)
	}, func(t *testing.T, c *Client) {
		if _, err := get(t, c, address); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Error(err)
		}
	})
	if calls != maxRedirects+1 {
		t.Errorf("%d requests", calls)
	}
}

// TestDrip has a server that is silent before the head, and one that sends a byte every
// ten seconds.
func TestDrip(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no head": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drip": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			for {
				if _, err := w.Write([]byte("x")); err != nil || r.Context().Err() != nil {
					return
				}
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Second)
			}
		},
	} {
		calls := 0
		served(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			handler(w, r)
		}, func(t *testing.T, c *Client) {
			begun := time.Now()
			_, err := get(t, c, address)
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			if d := time.Since(begun); d > 10*time.Minute {
				t.Errorf("%s: ends after %v, %v", name, d, err)
			}
		})
		if calls < 2 || calls > 2*tries {
			t.Errorf("%s: %d requests", name, calls)
		}
	}
}

// TestSlowReader holds that the time between two reads of the caller does not count.
func TestSlowReader(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	served(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(large) }, func(t *testing.T, c *Client) {
		a, err := c.Fetch(t.Context(), port.Request{URL: address, Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		var got []byte
		for p := make([]byte, 128<<10); err == nil; {
			var n int
			n, err = a.Body.Read(p)
			got = append(got, p[:n]...)
			time.Sleep(2 * patience)
		}
		if err != io.EOF || !bytes.Equal(got, large) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// TestPace holds that two concurrent bodies share the limit.
func TestPace(t *testing.T) {
	const size, rate = 1 << 20, 100 << 10
	served(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, size)) }, func(t *testing.T, c *Client) {
		c.pace.limit = rate
		begun := time.Now()
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if body, err := get(t, c, address); err != nil || len(body) != size {
					t.Errorf("%d bytes, %v", len(body), err)
				}
			})
		}
		both.Wait()
		if d := time.Since(begun).Seconds(); d < 2*size/rate || d > 2*size/rate+2 {
			t.Errorf("it took %v seconds", d)
		}
	})
	if _, err := New(Options{Limit: -1}); err == nil {
		t.Error("a limit below 0 is taken")
	}
}

func TestCancelled(t *testing.T) {
	served(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := c.Fetch(ctx, port.Request{URL: address}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestManyAtOnce holds that a host gets perHost requests at a time, and as many
// in a second as it answers.
func TestManyAtOnce(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	served(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
	}, func(t *testing.T, c *Client) {
		begun := time.Now()
		const calls = 800
		getMany(t, c, calls)
		if d := time.Since(begun); d != calls/perHost*time.Millisecond {
			t.Errorf("%d requests took %v", calls, d)
		}
		for i := range 2 * knownHost {
			if _, err := get(t, c, fmt.Sprintf("http://%d.example/", i)); err != nil {
				t.Fatal(err)
			}
			c.http.CloseIdleConnections()
		}
		if n := len(c.hosts.byName); n > knownHost {
			t.Errorf("%d hosts are remembered", n)
		}
	})
	if most != perHost {
		t.Errorf("%d requests at once", most)
	}
}

// getMany makes n requests at the same time.
func getMany(t *testing.T, c *Client, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, err := get(t, c, address); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestBusyHostGetsFewerAtOnce holds that each 429 or 503 halves the requests at a
// time, down to one, and that good answers raise them to perHost again.
func TestBusyHostGetsFewerAtOnce(t *testing.T) {
	busy := []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	var mu sync.Mutex
	now, most := 0, 0
	served(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if len(busy) > 0 {
			w.WriteHeader(busy[0])
			busy = busy[1:]
			return
		}
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		now--
	}, func(t *testing.T, c *Client) {
		if _, err := get(t, c, address); err != nil { // the fifth try is good
			t.Fatal(err)
		}
		getMany(t, c, recovery-1)
		if most != 1 {
			t.Errorf("%d requests at once to a host that is busy", most)
		}
		getMany(t, c, perHost*recovery)
		if now, most = 0, 0; c.hosts.byName["deb.example"].limit != perHost {
			t.Errorf("limit is %d after many good answers", c.hosts.byName["deb.example"].limit)
		}
		getMany(t, c, perHost*2)
		if most != perHost {
			t.Errorf("%d requests at once to a host that is busy no more", most)
		}
	})
}

// TestRedirectIsRefusedOnRequest: the server that it names is not asked.
func TestRedirectIsRefusedOnRequest(t *testing.T) {
	asked := 0
	served(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "http://other.example/keys", http.StatusFound)
	}, func(t *testing.T, c *Client) {
		_, err := c.Fetch(t.Context(), port.Request{URL: address, Limit: 5, Stay: true})
		var status *port.StatusError
		if !errors.As(err, &status) || status.Code != http.StatusFound || asked != 1 {
			t.Errorf("%v after %d requests", err, asked)
		}
	})
}

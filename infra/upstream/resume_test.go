package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	port "aptless/core/archive/upstream"
)

// breaking serves content. It breaks off each answer after a number of bytes, until no
// breaks are left.
type breaking struct {
	content        []byte
	etag, modified string
	breaks         []int
	whole          bool // the server ignores Range
	calls          int
}

func (b *breaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.calls++
	if b.whole {
		r.Header.Del("Range")
	}
	if b.etag != "" {
		w.Header().Set("ETag", b.etag)
	}
	var modified time.Time
	if b.modified != "" {
		modified, _ = http.ParseTime(b.modified)
	}
	if len(b.breaks) > 0 {
		w = &cut{ResponseWriter: w, left: b.breaks[0]}
		b.breaks = b.breaks[1:]
	}
	defer func() {
		if c, ok := w.(*cut); ok && c.left == 0 {
			panic(http.ErrAbortHandler)
		}
	}()
	http.ServeContent(w, r, "", modified, bytes.NewReader(b.content))
}

// cut fails after a number of bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	k := min(len(p), c.left)
	n, err := c.ResponseWriter.Write(p[:k])
	c.ResponseWriter.(http.Flusher).Flush()
	if c.left -= n; err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

const oldDate = "Mon, 06 Jul 2026 10:00:00 GMT"

func TestResume(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 1000))
	for name, c := range map[string]struct {
		server *breaking
		fails  string
		calls  int
	}{
		"ETag":               {server: &breaking{etag: `"1"`, breaks: []int{10, 2000, 0}}, calls: 4},
		"date":               {server: &breaking{modified: oldDate, breaks: []int{10, 2000}}, calls: 3},
		"weak ETag and date": {server: &breaking{etag: `W/"1"`, modified: oldDate, breaks: []int{10}}, calls: 2},
		"no parts":           {server: &breaking{etag: `"1"`, breaks: []int{10, 3000}, whole: true}, calls: 3},
		"weak ETag":          {server: &breaking{etag: `W/"1"`, breaks: []int{10}}, fails: "EOF", calls: 1},
		"nothing to compare": {server: &breaking{breaks: []int{10}}, fails: "EOF", calls: 1},
		"again and again":    {server: &breaking{etag: `"1"`, breaks: []int{1, 1, 1, 1, 1, 1, 1, 1}}, fails: "EOF", calls: tries},
	} {
		c.server.content = content
		served(t, c.server.ServeHTTP, func(t *testing.T, client *Client) {
			body, err := get(t, client, address)
			switch {
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("%s: %v", name, err)
			case c.fails == "" && (err != nil || body != string(content)):
				t.Errorf("%s: %d bytes, %v", name, len(body), err)
			}
		})
		if c.server.calls != c.calls {
			t.Errorf("%s: %d calls, want %d", name, c.server.calls, c.calls)
		}
	}
}

// TestProgress holds that progress renews the retries: it breaks more often than the
// limit of failures, with much data in between.
func TestProgress(t *testing.T) {
	s := &breaking{content: bytes.Repeat([]byte("x"), 20*progress), etag: `"1"`}
	for range 3 * tries {
		s.breaks = append(s.breaks, progress)
	}
	served(t, s.ServeHTTP, func(t *testing.T, client *Client) {
		a, err := client.Fetch(t.Context(), port.Request{URL: address, Limit: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if n, err := io.Copy(io.Discard, a.Body); n != int64(len(s.content)) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// TestChangedMeanwhile has a server whose content changes after the first break.
func TestChangedMeanwhile(t *testing.T) {
	old, other := strings.Repeat("a", 1000), strings.Repeat("b", 1000)
	for name, second := range map[string]func(w http.ResponseWriter, r *http.Request){
		"with another ETag": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"2"`)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(other))
		},
		"shorter, same ETag": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(other[:50]))
		},
		"part of another": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"2"`)
			w.Header().Set("Content-Range", "bytes 100-999/1000")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, other[100:])
		},
		"another part": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Range", "bytes 99-999/1000")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, other[99:])
		},
		"part of a longer one": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Range", "bytes 100-1000/1001")
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, other[99:])
		},
		"part without range": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, other[100:])
		},
	} {
		calls := 0
		served(t, func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls > 1 {
				second(w, r)
				return
			}
			first := &breaking{content: []byte(old), etag: `"1"`, breaks: []int{100}}
			first.ServeHTTP(w, r)
		}, func(t *testing.T, client *Client) {
			if body, err := get(t, client, address); err == nil || !strings.Contains(err.Error(), errChanged.Error()) || strings.Contains(body, "b") {
				t.Errorf("%s: %q, %v", name, body, err)
			}
		})
		if calls != 2 {
			t.Errorf("%s: %d calls", name, calls)
		}
	}
}

// TestBrokenBeforeTheBody has a server that breaks off before the first byte of a
// conditional answer. Afterwards its content is different.
func TestBrokenBeforeTheBody(t *testing.T) {
	for second, want := range map[string]string{`"1"`: errChanged.Error(), `"2"`: "", `"3"`: errChanged.Error()} {
		calls := 0
		served(t, func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls == 1 {
				first := &breaking{content: []byte("new"), etag: `"2"`, breaks: []int{0}}
				first.ServeHTTP(w, r)
				return
			}
			w.Header().Set("ETag", second)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("new"))
		}, func(t *testing.T, client *Client) {
			a, err := client.Fetch(t.Context(), port.Request{URL: address, ETag: `"1"`, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Body.Close()
			body, err := io.ReadAll(a.Body)
			if want == "" && (err != nil || string(body) != "new") || want != "" && (err == nil || err.Error() != want) {
				t.Errorf("%s: %q, %v", second, body, err)
			}
		})
	}
}

// TestResumeProperty holds that the read bytes are a prefix of the content, and all of it
// if there is no error.
func TestResumeProperty(t *testing.T) {
	served(t, func(w http.ResponseWriter, r *http.Request) {
		var seed, size int
		fmt.Sscanf(r.URL.Path, "/%d/%d", &seed, &size)
		w.Header().Set("ETag", fmt.Sprintf("%q", r.URL.Path))
		out := &cut{ResponseWriter: w, left: seed}
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(pattern(size)))
		if out.left == 0 {
			panic(http.ErrAbortHandler)
		}
	}, func(t *testing.T, client *Client) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			size := rapid.IntRange(0, 3*progress).Draw(t, "size")
			at := rapid.IntRange(1, 3*progress).Draw(t, "break")
			a, err := client.Fetch(t.Context(), port.Request{URL: fmt.Sprintf("http://x.example/%d/%d", at, size), Limit: 1 << 30})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Body.Close()
			got, err := io.ReadAll(a.Body)
			if !bytes.Equal(got, pattern(size)[:len(got)]) || err == nil && len(got) != size {
				t.Fatalf("%d bytes of %d, %v", len(got), size, err)
			}
			if err != nil && at >= progress {
				t.Fatal(err)
			}
		})
	})
}

// pattern returns bytes without repeated parts.
func pattern(n int) []byte {
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d,", i)
	}
	return b[:n]
}

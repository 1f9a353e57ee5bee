package cache

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cache answers GET for an origin. It is safe for concurrent use. A slow request may store
// an older answer over a newer one, as in real caches.
type Cache struct {
	Origin http.Handler
	Now    func() time.Time
	Off    bool // turns caching off

	mu   sync.Mutex
	kept map[string]answer
}

// answer is a stored answer with status 200.
type answer struct {
	header http.Header
	body   []byte
	until  time.Time
}

// Get returns the answer for a path.
func (c *Cache) Get(path string) (status int, header http.Header, body []byte) {
	c.mu.Lock()
	a, known := c.kept[path]
	c.mu.Unlock()
	if known && c.Now().Before(a.until) {
		return http.StatusOK, a.header, a.body
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if known {
		r.Header.Set("If-None-Match", a.header.Get("ETag"))
	}
	w := httptest.NewRecorder()
	c.Origin.ServeHTTP(w, r)
	switch {
	case known && w.Code == http.StatusNotModified:
	case w.Code == http.StatusOK:
		a = answer{header: w.Header(), body: w.Body.Bytes()}
	default:
		return w.Code, w.Header(), w.Body.Bytes()
	}
	a.until = c.Now().Add(lifetime(w.Header().Get("Cache-Control")))
	if !c.Off {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.kept == nil {
			c.kept = map[string]answer{}
		}
		c.kept[path] = a
	}
	return http.StatusOK, a.header, a.body
}

// ServeHTTP answers a client, also to conditional requests.
func (c *Cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, header, body := c.Get(r.URL.Path)
	if status != http.StatusOK {
		w.WriteHeader(status)
		return
	}
	for _, name := range []string{"ETag", "Cache-Control"} {
		w.Header().Set(name, header.Get(name))
	}
	modified, _ := http.ParseTime(header.Get("Last-Modified")) // a missing header is no time
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
}

// lifetime returns the freshness lifetime in a shared cache (RFC 9111 4.2.1).
func lifetime(control string) time.Duration {
	if strings.Contains(control, "no-store") {
		return 0
	}
	for _, name := range []string{"s-maxage=", "max-age="} {
		if _, rest, ok := strings.Cut(control, name); ok {
			seconds, _, _ := strings.Cut(rest, ",")
			if n, err := strconv.Atoi(strings.TrimSpace(seconds)); err == nil {
				return time.Duration(n) * time.Second
			}
		}
	}
	return 0
}

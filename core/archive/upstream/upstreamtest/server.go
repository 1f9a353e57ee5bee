package upstreamtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"aptless/core/archive/upstream"
)

// Server serves a tree: as an upstream.Fetcher below Root, and as an http.Handler
// below "/". It is safe for concurrent use. Set replaces the tree.
type Server struct {
	Root string // URL, ends with a slash

	// Admits, if not nil, decides whether an Access may read the tree. Refused
	// requests get the status 401.
	Admits func(*upstream.Access) bool

	// Fault, if not nil, is called before a file is served, with its path and the
	// number of earlier requests. Its result replaces the file.
	Fault func(path string, before int, data []byte) ([]byte, error)

	// Trouble, if not nil, returns the fault of an answer over HTTP.
	Trouble func(path string, before int) Trouble

	mu    sync.Mutex
	tree  Tree
	asked map[string]int
}

// Serve returns a server of a tree.
func Serve(root string, tree Tree) *Server {
	return &Server{Root: root, tree: tree, asked: map[string]int{}}
}

// Set replaces the tree.
func (s *Server) Set(tree Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree = tree
}

// Asked returns the number of requests per path since the last call.
func (s *Server) Asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = map[string]int{}
	return asked
}

// Status returns the error for an answer with a status.
func (s *Server) Status(code int, path string) error {
	return &upstream.StatusError{Code: code, URL: upstream.Shown(s.Root + path)}
}

// Fetch serves a file of the tree.
func (s *Server) Fetch(ctx context.Context, r upstream.Request) (*upstream.Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, ok := strings.CutPrefix(r.URL, s.Root)
	if !ok {
		return nil, fmt.Errorf("%s: %w", upstream.Shown(r.URL), upstream.ErrForbidden)
	}
	path = strings.ReplaceAll(path, "%2b", "+")
	if s.Admits != nil && !s.Admits(r.Access) {
		return nil, s.Status(401, path)
	}
	data, before, ok := s.file(path)
	if !ok {
		return nil, s.Status(404, path)
	}
	if s.Fault != nil {
		var err error
		if data, err = s.Fault(path, before, data); err != nil {
			return nil, err
		}
	}
	answer := &upstream.Answer{Body: io.NopCloser(bytes.NewReader(nil)), Size: int64(len(data)), ETag: tag(data)}
	switch {
	case r.ETag == answer.ETag:
		answer.NotModified = true
	case !r.Head:
		answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data[:min(int64(len(data)), r.Limit)]), over(int64(len(data)) > r.Limit)))
	}
	return answer, nil
}

// file returns a file of the tree and the number of earlier requests for it.
func (s *Server) file(path string) (data []byte, before int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok = s.tree[path]
	before = s.asked[path]
	s.asked[path]++
	return data, before, ok
}

// tag returns the ETag of a file.
func tag(data []byte) string { return `"` + sums("", data).MD5 + `"` }

// over fails if the body exceeds its limit.
type over bool

func (o over) Read([]byte) (int, error) {
	if o {
		return 0, upstream.ErrTooLarge
	}
	return 0, io.EOF
}

// Trouble is a fault of an HTTP answer.
type Trouble struct {
	Status     int           // replaces the file's status; 0 keeps it
	RetryAfter string        // the header's value
	Cut        int           // the connection breaks after this many bytes of the body; 0 never
	Drip       time.Duration // delay before each byte of the body
}

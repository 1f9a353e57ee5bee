package upstreamtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"aptless/core/archive/upstream"
)

// Server is an upstream.Fetcher that has a tree below Root, and an http.Handler
// that has it below "/". It may be used by many goroutines; the tree is changed
// with Set.
type Server struct {
	Root string // URL, ends with a slash

	// Admits, if not nil, is asked whether an Access may read the tree. A request
	// that is not admitted is answered with the status 401.
	Admits func(*upstream.Access) bool

	// Fault, if not nil, is asked before a file is served: for the path, and how
	// often it was asked for before. What it returns is served in place of the
	// file, or fails.
	Fault func(path string, before int, data []byte) ([]byte, error)

	// Trouble, if not nil, is asked in the same way what happens to an answer over
	// HTTP.
	Trouble func(path string, before int) Trouble

	mu    sync.Mutex
	tree  Tree
	asked map[string]int
}

// Serve returns a server of a tree.
func Serve(root string, tree Tree) *Server {
	return &Server{Root: root, tree: tree, asked: map[string]int{}}
}

// Set puts another tree in place of the one that was served.
func (s *Server) Set(tree Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree = tree
}

// Asked returns how often each path was asked for since it was called last.
func (s *Server) Asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = map[string]int{}
	return asked
}

// Status returns the error of a server that answers with a status.
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

// file returns a file of the tree, and how often it was asked for before.
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

// over fails if what was to be read is more than may be.
type over bool

func (o over) Read([]byte) (int, error) {
	if o {
		return 0, upstream.ErrTooLarge
	}
	return 0, io.EOF
}

package upstreamtest

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"time"

	"aptless/core/archive/upstream"
)

// ServeHTTP serves the tree over HTTP, with ranges and conditional requests.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	data, before, ok := s.file(path)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if s.Fault != nil {
		var err error
		if data, err = s.Fault(path, before, data); err != nil {
			var status *upstream.StatusError
			if !errors.As(err, &status) {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(status.Code)
			return
		}
	}
	out := &troubled{ResponseWriter: w, left: -1}
	if s.Trouble != nil {
		out.Trouble = s.Trouble(path, before)
	}
	if out.RetryAfter != "" {
		w.Header().Set("Retry-After", out.RetryAfter)
	}
	if out.Status != 0 {
		w.WriteHeader(out.Status)
		return
	}
	if out.Cut > 0 {
		out.left = out.Cut
	}
	w.Header().Set("ETag", tag(data))
	http.ServeContent(out, r, path, time.Time{}, bytes.NewReader(data))
	if out.left == 0 {
		panic(http.ErrAbortHandler)
	}
}

// troubled is an answer with its fault.
type troubled struct {
	http.ResponseWriter
	Trouble
	left int // bytes before the break, -1 for none
}

func (t *troubled) Write(p []byte) (int, error) {
	n := len(p)
	if t.left >= 0 && n > t.left {
		p = p[:t.left]
	}
	if t.left >= 0 {
		t.left -= len(p)
	}
	for len(p) > 0 {
		step := len(p)
		if t.Drip > 0 {
			step = 1
			time.Sleep(t.Drip)
		}
		if _, err := t.ResponseWriter.Write(p[:step]); err != nil {
			return 0, err
		}
		t.ResponseWriter.(http.Flusher).Flush()
		p = p[step:]
	}
	if t.left == 0 {
		return 0, http.ErrContentLength
	}
	return n, nil
}

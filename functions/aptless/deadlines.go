package main

import (
	"io"
	"net/http"
	"time"
)

// Bounds of bodies and answers. An upload or a download may take any time while it moves.
const (
	moveWithin = 60 * time.Second // for the next step of a body or an answer
	step       = 4 << 10          // bytes by which a body has to move
	piece      = 64 << 10         // bytes of an answer that have a deadline of their own
	discarded  = 256 << 10        // bytes of a body that net/http discards before an answer
)

// moving has each body and each answer of a handler move by a step within moveWithin.
// Only the time that the server waits for the client counts. Example: a handler that waits
// an hour for its task neither reads nor writes, and no deadline passes.
func moving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		in := &movingBody{ReadCloser: r.Body, control: control, left: moveWithin, ended: r.Body == nil || r.Body == http.NoBody,
			large: r.ProtoMajor == 1 && (r.ContentLength < 0 || r.ContentLength > discarded)}
		if !in.ended {
			r.Body = in
		}
		out := &movingAnswer{ResponseWriter: w, control: control, body: in}
		h.ServeHTTP(out, r)
		out.finish()
	})
}

// movingBody is the body of a request. Its use is sequential.
type movingBody struct {
	io.ReadCloser
	control *http.ResponseController
	left    time.Duration // that the client has for the rest of the step
	moved   int           // bytes of the step
	ended   bool          // read to its end
	failed  bool
	large   bool // net/http would wait for a part of it before it answers
}

func (b *movingBody) Read(p []byte) (int, error) {
	began := time.Now()
	_ = b.control.SetReadDeadline(began.Add(b.left)) // an error is of a writer without deadlines, as in tests
	n, err := b.ReadCloser.Read(p)
	// The deadline must not pass while the handler works: the server reads on to see
	// whether the client goes away.
	_ = b.control.SetReadDeadline(time.Time{})
	b.left -= time.Since(began)
	if b.moved += n; b.moved >= step {
		b.left, b.moved = moveWithin, 0
	}
	b.ended, b.failed = err == io.EOF, err != nil && err != io.EOF
	return n, err
}

// movingAnswer is the answer to a request.
type movingAnswer struct {
	http.ResponseWriter
	control *http.ResponseController
	body    *movingBody
}

// Unwrap lets http.ResponseController find the inner writer.
func (a *movingAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader answers a refusal before the server discards the rest of the body. The
// connection ends then: its next bytes are no request.
func (a *movingAnswer) WriteHeader(status int) {
	if status >= http.StatusBadRequest && (a.body.failed || a.body.large && !a.body.ended) {
		a.Header().Set("Connection", "close")
		_ = a.control.EnableFullDuplex() // an error is of a writer that needs no permission
	}
	a.boundRest()
	a.ResponseWriter.WriteHeader(status)
}

// boundRest bounds the time for the rest of the body, which the server discards.
func (a *movingAnswer) boundRest() {
	switch {
	case a.body.failed:
		_ = a.control.SetReadDeadline(time.Now())
	case !a.body.ended:
		_ = a.control.SetReadDeadline(time.Now().Add(moveWithin))
	}
}

func (a *movingAnswer) Write(p []byte) (int, error) {
	done := 0
	for {
		part := p[done:min(done+piece, len(p))]
		_ = a.control.SetWriteDeadline(time.Now().Add(moveWithin))
		n, err := a.ResponseWriter.Write(part)
		_ = a.control.SetWriteDeadline(time.Time{})
		done += n
		if err != nil || done >= len(p) {
			return done, err
		}
	}
}

// finish bounds the time for the rest of the answer, which the server has buffered.
func (a *movingAnswer) finish() {
	_ = a.control.SetWriteDeadline(time.Now().Add(moveWithin))
	a.boundRest()
}

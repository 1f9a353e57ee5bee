package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	port "aptless/core/archive/upstream"
)

// Of failures in a row the last is told. Pauses double, each cut at random by
// up to a half.
const (
	tries      = 5
	firstPause = time.Second
	maxPause   = time.Minute
	progress   = 256 << 10 // bytes after which failures before them count no more
)

// A body may lag behind the floor rate by patience.
const (
	floor    = 4 << 10 // bytes a second
	patience = 30 * time.Second
)

// errSlow says that a body came slower than the floor rate.
var errSlow = errors.New("answer too slow")

// retried are the codes of answers that may be others soon.
var retried = map[int]bool{
	http.StatusRequestTimeout:      true,
	http.StatusTooManyRequests:     true,
	http.StatusInternalServerError: true,
	http.StatusBadGateway:          true,
	http.StatusServiceUnavailable:  true,
	http.StatusGatewayTimeout:      true,
}

// mayPass reports whether the same request may succeed later. What net/http
// says of broken connections has many forms, so what is not known may pass.
func mayPass(err error) bool {
	var status *port.StatusError
	var name *net.DNSError
	var plain tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case errors.As(err, &status):
		return retried[status.Code]
	case errors.Is(err, port.ErrForbidden), errors.Is(err, errChanged), errors.Is(err, errRedirects):
		return false
	case errors.As(err, &plain), errors.As(err, &certificate):
		return false
	case errors.As(err, &alert) && alert.Op == "remote error": // an alert of TLS
		return !strings.Contains(alert.Error(), "certificate")
	case errors.As(err, &name):
		return !name.IsNotFound
	}
	return true
}

// flow is a body that has to come at the floor rate. The time between two
// calls of Read does not count.
type flow struct {
	body io.ReadCloser
	ctx  context.Context
	stop context.CancelCauseFunc
	left time.Duration // how long Read may still wait
}

func (f *flow) Read(p []byte) (int, error) {
	begun := time.Now()
	timer := time.AfterFunc(f.left, func() { f.stop(errSlow) })
	n, err := f.body.Read(p)
	timer.Stop()
	f.left = min(patience, f.left-time.Since(begun)+time.Duration(n)*time.Second/floor)
	if err != nil && err != io.EOF && errors.Is(context.Cause(f.ctx), errSlow) {
		err = errSlow
	}
	return n, err
}

// close lets go of the response; the connection is used again if the body was
// read to its end.
func (f *flow) close() {
	f.body.Close()
	f.stop(context.Canceled)
}

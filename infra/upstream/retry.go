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

// Retries. Pauses double and are shortened at random by up to a half. After the last
// retry, the last error is returned.
const (
	tries      = 5
	firstPause = time.Second
	maxPause   = time.Minute
	progress   = 256 << 10 // bytes of progress that reset the count of failures
)

// A body may be late against the floor rate by patience.
const (
	floor    = 4 << 10 // bytes a second
	patience = 30 * time.Second
)

// errSlow means that a body was slower than the floor rate.
var errSlow = errors.New("answer too slow")

// retried are the statuses that may be temporary.
var retried = map[int]bool{
	http.StatusRequestTimeout:      true,
	http.StatusTooManyRequests:     true,
	http.StatusInternalServerError: true,
	http.StatusBadGateway:          true,
	http.StatusServiceUnavailable:  true,
	http.StatusGatewayTimeout:      true,
}

// temporary reports whether a retry may succeed. net/http reports broken connections in
// many forms, so an unknown error counts as temporary.
func temporary(err error) bool {
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

// flow is a body with a floor rate. The time between two calls of Read does not count.
type flow struct {
	body io.ReadCloser
	ctx  context.Context
	stop context.CancelCauseFunc
	left time.Duration // remaining waiting time of Read
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

// close closes the response. The connection is reused if the body was read to its end.
func (f *flow) close() {
	f.body.Close()
	f.stop(context.Canceled)
}

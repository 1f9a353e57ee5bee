package api

import (
	"compress/gzip"
	"net/http"
	"strings"
)

// recorder counts the bytes of an answer and keeps its status.
type recorder struct {
	http.ResponseWriter
	request *http.Request
	status  int
	bytes   int64
	waiting bool         // the first Write decides on the compression
	packed  *gzip.Writer // nil for an answer that is sent as it is
}

func (w *recorder) begun() bool { return w.status != 0 }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		linkNext(w.Header(), w.request)
	}
	if w.waiting = status == http.StatusOK && compressible(w.Header(), w.request); !w.waiting {
		w.ResponseWriter.WriteHeader(status)
	}
}

// minPacked is the size of the smallest answer that is compressed, in bytes. Of a longer
// answer the first Write has as many.
const minPacked = 1 << 10

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.waiting && len(p) >= minPacked && w.Header().Get("Content-Length") == "" {
		w.Header().Set("Content-Encoding", "gzip")
		w.packed, _ = gzip.NewWriterLevel(w.ResponseWriter, gzip.BestSpeed) // a valid level
	}
	w.begin()
	var n int
	var err error
	if w.packed != nil {
		n, err = w.packed.Write(p)
	} else {
		n, err = w.ResponseWriter.Write(p)
	}
	w.bytes += int64(n)
	return n, err
}

// begin sends the headers of an answer that waited for its first bytes.
func (w *recorder) begin() {
	if w.waiting {
		w.waiting = false
		w.Header().Add("Vary", "Accept-Encoding")
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// close ends the answer.
func (w *recorder) close() {
	w.begin()
	if w.packed != nil {
		w.packed.Close() // an error means that the client has disconnected
	}
}

// compressible reports whether an answer of the API is compressed if it is long: text or
// JSON, for a client that takes gzip.
func compressible(h http.Header, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/api/") {
		return false
	}
	kind := h.Get("Content-Type")
	text := strings.HasPrefix(kind, "text/") || strings.HasPrefix(kind, "application/json")
	return text && h.Get("Content-Encoding") == "" && h.Get("Content-Range") == "" && takesGzip(r)
}

// takesGzip reports whether a client takes gzip (RFC 9110 12.5.3).
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.TrimRight(strings.ReplaceAll(weight, " ", ""), ".0") != "q="
		}
	}
	return false
}

// Unwrap lets http.ResponseController find the inner writer.
// A compressed answer is not flushed: its parts are short.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package api

import "net/http"

// recorder counts the bytes of an answer and keeps its status.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) begun() bool { return w.status != 0 }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find the inner writer.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

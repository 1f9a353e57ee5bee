package api

import (
	"bufio"
	"encoding/json"
	"net/http"
)

// array answers a JSON array element by element, so that a list of any length
// needs the memory of one element.
type array struct {
	w     http.ResponseWriter
	buf   *bufio.Writer
	begun bool
	size  int // bytes written to buf
}

func newArray(w http.ResponseWriter) *array {
	return &array{w: w, buf: bufio.NewWriterSize(w, 64<<10)}
}

func (a *array) add(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // elements are strings and maps of strings
	}
	a.open(',')
	a.buf.Write(data)
	a.size += len(data)
}

func (a *array) open(between byte) {
	if !a.begun {
		a.begun = true
		a.w.Header().Set("Content-Type", "application/json; charset=utf-8")
		between = '['
	}
	if between != 0 {
		a.buf.WriteByte(between)
		a.size++
	}
}

func (a *array) end() error {
	a.open(0)
	a.buf.WriteByte(']')
	a.buf.Flush() // an error is the client's going away
	return nil
}

// fail gives up: with an answer if nothing was sent, else by breaking off, so
// that the client sees that the array is not whole.
func (a *array) fail(err error) error {
	if a.buf.Buffered() == a.size {
		return err
	}
	panic(http.ErrAbortHandler)
}

package api

import (
	"bufio"
	"encoding/json"
	"net/http"
)

// array writes a JSON array element by element. A list of any length needs the
// memory of one element.
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
		panic(err) // impossible: elements are strings and maps of strings
	}
	a.addJSON(data)
}

// addJSON adds an element that is JSON.
func (a *array) addJSON(data []byte) {
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
	a.buf.Flush() // an error means that the client has disconnected
	return nil
}

// fail reports err. Before the first byte is sent it returns err, which the router
// answers. After that it aborts the connection, so that the client sees a
// truncated array.
func (a *array) fail(err error) error {
	if a.buf.Buffered() == a.size {
		return err
	}
	panic(http.ErrAbortHandler)
}

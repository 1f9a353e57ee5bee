package client

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// Local is a file to upload.
type Local struct {
	Name   string // in the upload directory
	Size   int64
	SHA256 string // lower-case hex
	// Open opens the content. It is called again for each attempt.
	Open func() (io.ReadCloser, error)
	// Sent is called with the bytes sent so far; nil for none. A new attempt starts at 0.
	Sent func(n int64)
}

// counted reads a file, reports its progress and closes it at its end.
type counted struct {
	from io.ReadCloser
	n    int64
	sent func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if c.sent != nil {
		c.sent(c.n)
	}
	if err != nil {
		c.from.Close()
	}
	return n, err
}

func (l Local) reader() (io.Reader, error) {
	f, err := l.Open()
	if err != nil {
		return nil, err
	}
	return &counted{from: f, sent: l.Sent}, nil
}

// put sends a file to a signed address. 412 says that an equal file is there already.
func (c *Client) put(ctx context.Context, method, address string, headers map[string]string, l Local) error {
	wait := firstWait
	for n := 1; ; n++ {
		body, err := l.reader()
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, method, address, io.NopCloser(body))
		if err != nil {
			return errors.New("the server answered an invalid address for a direct upload")
		}
		req.ContentLength = l.Size
		for name, value := range headers {
			req.Header.Set(name, value)
		}
		_, err = c.exchange(req, method, "the storage") // the address is a secret
		if err == nil || StatusOf(err) == http.StatusPreconditionFailed {
			return nil
		}
		if n == attempts || ctx.Err() != nil || !again(request{safe: true}, err) {
			return err
		}
		if err := c.sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

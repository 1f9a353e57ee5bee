package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxInOnePut is the size of the largest file that is sent by one signed request. A
// larger one is sent in parts: a part that fails is sent again alone, and the same
// upload later goes on where it stopped. S3 takes 5 GiB in one request.
const MaxInOnePut = 1 << 30

// signedAtOnce is the number of parts for which one request gets addresses.
const signedAtOnce = 16

// partsOf is the body of calls about a file in parts.
type partsOf struct {
	Size   int64        `json:"size"`
	SHA256 string       `json:"sha256"`
	Parts  []partDigest `json:"parts,omitempty"`
}

type partDigest struct {
	Number int    `json:"number"`
	SHA256 string `json:"sha256"`
}

// plan is the server's plan for a file in parts.
type plan struct {
	PartSize int64
	Parts    int
	Done     []int
}

// window returns the offset and the size of a part.
func (p plan) window(number int, size int64) (offset, n int64) {
	offset = int64(number-1) * p.PartSize
	return offset, min(p.PartSize, size-offset)
}

// largest returns the size of the largest file for one PUT.
func (c *Client) largest() int64 {
	if c.OnePut > 0 {
		return c.OnePut
	}
	return MaxInOnePut
}

// inParts puts a file into the storage in parts. It reports false if the server has no
// uploads in parts.
func (c *Client) inParts(ctx context.Context, dir string, l Local) (bool, error) {
	path, body := at("files", dir, l.Name)+"/parts", partsOf{Size: l.Size, SHA256: l.SHA256}
	begun, err := Send(ctx, c, Call[plan]{Method: http.MethodPost, Path: path, Body: body, Safe: true})
	var refused *Refusal
	if errors.As(err, &refused) && (refused.Status == http.StatusNotFound || refused.Status == http.StatusBadRequest && strings.Contains(refused.Text, "no uploads in parts")) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p := begun.Value
	if p.PartSize <= 0 || p.Parts < 1 || int64(p.Parts-1)*p.PartSize >= max(l.Size, 1) {
		return false, errors.New("the server answered an impossible plan for an upload in parts")
	}
	done := map[int]bool{}
	for _, n := range p.Done {
		done[n] = true
	}
	var next []int
	for n := 1; n <= p.Parts; n++ {
		if done[n] {
			continue
		}
		if next = append(next, n); len(next) == signedAtOnce {
			if err := c.putParts(ctx, path, l, p, next); err != nil {
				return false, err
			}
			next = nil
		}
	}
	if len(next) > 0 {
		if err := c.putParts(ctx, path, l, p, next); err != nil {
			return false, err
		}
	}
	_, err = Send(ctx, c, Call[Nothing]{Method: http.MethodPost, Path: path + "/complete", Body: body, Safe: true})
	return true, err
}

// putParts puts some parts, one after another.
func (c *Client) putParts(ctx context.Context, path string, l Local, p plan, numbers []int) error {
	body := partsOf{Size: l.Size, SHA256: l.SHA256}
	for _, n := range numbers {
		sum, err := l.digest(p.window(n, l.Size))
		if err != nil {
			return err
		}
		body.Parts = append(body.Parts, partDigest{n, sum})
	}
	type target struct {
		Number      int
		Method, URL string
		Headers     map[string]string
	}
	to, err := Send(ctx, c, Call[[]target]{Method: http.MethodPost, Path: path + "/urls", Body: body, Safe: true})
	if err != nil {
		return err
	}
	if len(to.Value) != len(numbers) {
		return errors.New("the server answered no addresses for parts")
	}
	for i, t := range to.Value {
		offset, n := p.window(numbers[i], l.Size)
		part := Local{Name: l.Name, Size: n, Open: func() (io.ReadCloser, error) { return l.section(offset, n) }}
		if l.Sent != nil {
			part.Sent = func(sent int64) { l.Sent(offset + sent) }
		}
		if err := c.put(ctx, t.Method, t.URL, t.Headers, part); err != nil {
			return fmt.Errorf("part %d of %d: %w", numbers[i], p.Parts, err)
		}
	}
	return nil
}

// section opens a part of a file.
func (l Local) section(offset, n int64) (io.ReadCloser, error) {
	f, err := l.Open()
	if err != nil {
		return nil, err
	}
	if at, ok := f.(io.Seeker); ok {
		_, err = at.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, f, offset)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, n), f}, nil
}

// digest returns the SHA-256 of a part of a file.
func (l Local) digest(offset, n int64) (string, error) {
	f, err := l.section(offset, n)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	read, err := io.Copy(hash, f)
	if err == nil && read != n {
		err = io.ErrUnexpectedEOF
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

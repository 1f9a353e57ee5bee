package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"aptless/core/client"
)

// upload sends uploaded files directly to the storage. It reports false for a request that
// is no upload.
func (p *Proxy) upload(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/files/")
	if !ok {
		return false
	}
	parts := strings.Split(rest, "/")
	for i := range parts {
		var err error
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return false
		}
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var stored []string
	var err error
	switch {
	case r.Method == http.MethodPost && len(parts) == 1 && media == "multipart/form-data":
		stored, err = p.form(r, parts[0])
	case r.Method == http.MethodPut && len(parts) == 2 && !strings.Contains(parts[1], "/"):
		err = p.send(r.Context(), parts[0], parts[1], r.Body)
		stored = []string{path.Join(parts[0], parts[1])}
	default:
		return false
	}
	p.answer(w, stored, err)
	return true
}

// answer answers an upload.
func (p *Proxy) answer(w http.ResponseWriter, stored []string, err error) {
	var refused *client.Refusal
	var bad *badRequest
	switch {
	case errors.As(err, &bad):
		refuse(w, http.StatusBadRequest, bad.Error())
	case errors.As(err, &refused):
		refuse(w, refused.Status, refused.Text)
	case err != nil:
		p.fail(w, err)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		json.NewEncoder(w).Encode(stored)
	}
}

// badRequest is a fault of the client.
type badRequest struct{ error }

// form sends the files of a form.
func (p *Proxy) form(r *http.Request, dir string) ([]string, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, &badRequest{err}
	}
	stored := []string{}
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			return stored, nil
		}
		if err != nil {
			return nil, &badRequest{err}
		}
		name := part.FileName()
		if name == "" {
			continue
		}
		if err := p.send(r.Context(), dir, name, part); err != nil {
			return nil, err
		}
		stored = append(stored, path.Join(dir, name))
	}
}

// send keeps a file on disk until its digest is known, and uploads it.
func (p *Proxy) send(ctx context.Context, dir, name string, body io.Reader) error {
	f, err := os.CreateTemp(p.Spool, "aptless-proxy-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	hash := sha256.New()
	reader := &watched{Reader: body}
	size, err := io.Copy(io.MultiWriter(f, hash), reader)
	if reader.err != nil {
		return &badRequest{reader.err}
	}
	if err != nil {
		return err
	}
	return p.Client.Upload(ctx, dir, client.Local{Name: name, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil)),
		Open: func() (io.ReadCloser, error) { return os.Open(f.Name()) }})
}

// watched keeps the error with which reading from the client ended.
type watched struct {
	io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// maxSigned bounds a body that is read for its signature, in bytes. Longer ones go to the
// storage.
const maxSigned = client.MaxInRequest + 1<<20

// Replayable returns authorize for requests whose body is read once: a signature needs
// the digest of the body.
func Replayable(authorize func(*http.Request) error) func(*http.Request) error {
	return func(r *http.Request) error {
		if r.Body == nil || r.Body == http.NoBody || r.GetBody != nil || r.ContentLength > maxSigned {
			return authorize(r)
		}
		data, err := io.ReadAll(io.LimitReader(r.Body, maxSigned+1))
		if err != nil {
			return err
		}
		if len(data) > maxSigned {
			return errors.New("a signed request is too long")
		}
		r.Body.Close()
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
		r.Body, _ = r.GetBody()
		return authorize(r)
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	api "aptless/core/client"
	"aptless/infra/aws"
)

// Limits of the client. maxInRequest is the size of the largest file sent in a request,
// if the server offers direct uploads. maxAnswer bounds the bytes read of an answer.
// maxWait bounds the wait for the headers of an answer.
const (
	maxInRequest = 4 << 20
	maxSigned    = maxInRequest + 1<<20 // of a body that is signed
	maxAnswer    = 16 << 20
	maxWait      = 5 * time.Minute
)

// client uploads files to an aptless or an aptly.
type client struct {
	url, token string
	http       *http.Client
	sign       func(*http.Request) error // with AWS credentials, in place of the token; nil without
}

func uploadCommand() *cobra.Command {
	var url string
	var signed bool
	cmd := &cobra.Command{
		Use:    "upload DIR FILE...",
		Hidden: true,
		Short:  "Upload files to a directory of the upload area",
		Long: `Upload files to a directory of the upload area of a server that speaks aptly's API.
A file that is too large for a request goes directly to the storage if the server offers that.
The token is that of the variable APTLESS_TOKEN, else that of "aptless login".`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := dial(url)
			if err == nil && signed {
				err = c.signed(cmd.Context())
			}
			if err != nil {
				return err
			}
			for _, name := range args[1:] {
				if err := c.upload(cmd.Context(), args[0], name); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), args[0]+"/"+filepath.Base(name))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&url, "url", serverURL(), "address of the server; the variable APTLESS_URL by default")
	cmd.Flags().BoolVar(&signed, "sigv4", false, "sign requests with AWS credentials, for a server with Authorizer=IAM; they are found as by the AWS SDK")
	return cmd
}

// signed has the client sign its requests with AWS credentials.
func (c *client) signed(ctx context.Context) error {
	signer, err := aws.NewSigner(ctx)
	if err != nil {
		return err
	}
	c.sign = signer.Sign
	return nil
}

// upload sends a file. A large file goes directly to the storage if the server offers it.
func (c *client) upload(ctx context.Context, dir, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a file")
	}
	if info.Size() > api.MaxInOnePut {
		return c.large(ctx, dir, f, info.Size())
	}
	if info.Size() > maxInRequest {
		done, err := c.direct(ctx, dir, f)
		if err != nil || done {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	return c.form(ctx, dir, f)
}

// large sends a file in parts, if the server offers that.
func (c *client) large(ctx context.Context, dir string, f *os.File, size int64) error {
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	to := &api.Client{URL: c.url, HTTP: c.http, Authorize: c.identify}
	return to.Upload(ctx, dir, api.Local{Name: filepath.Base(f.Name()), Size: size, SHA256: hex.EncodeToString(hash.Sum(nil)),
		Open: func() (io.ReadCloser, error) { return os.Open(f.Name()) }})
}

// form sends a file as a multipart form, as aptly expects. It streams the file.
func (c *client) form(ctx context.Context, dir string, f *os.File) error {
	body, w := io.Pipe()
	defer body.Close()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", filepath.Base(f.Name()))
		if err == nil {
			_, err = io.Copy(part, f)
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	var sent io.Reader = body
	if c.sign != nil { // the signature covers the body
		data, err := io.ReadAll(io.LimitReader(body, maxSigned+1))
		if err != nil {
			return err
		}
		if len(data) > maxSigned {
			return fmt.Errorf("a signed request has at most %d bytes, and the server offers no direct uploads", maxSigned)
		}
		sent = bytes.NewReader(data)
	}
	_, err := c.ask(ctx, dir, "", form.FormDataContentType(), sent)
	return err
}

// refusal is an answer with an error status.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.text) }

// direct puts a file into the storage and confirms it. It reports false if the server has
// no direct uploads.
func (c *client) direct(ctx context.Context, dir string, f *os.File) (bool, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	if err != nil {
		return false, err
	}
	list, err := json.Marshal([]map[string]any{{
		"name": filepath.Base(f.Name()), "size": size, "sha256": hex.EncodeToString(hash.Sum(nil)),
	}})
	if err != nil {
		return false, err
	}
	answer, err := c.ask(ctx, dir, "", "application/json", bytes.NewReader(list))
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusBadRequest && strings.Contains(refused.text, "multipart/form-data") {
		return false, nil // the server expects a form and has no direct uploads
	}
	if err != nil {
		return false, err
	}
	var to []struct {
		Method, URL string
		Headers     map[string]string
	}
	if err := json.Unmarshal(answer, &to); err != nil || len(to) != 1 {
		return false, fmt.Errorf("the answer has no URL: %.200q", answer)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, to[0].Method, to[0].URL, io.NopCloser(f))
	if err != nil {
		return false, errors.New("the answer has an invalid URL")
	}
	req.ContentLength = size
	for name, value := range to[0].Headers {
		req.Header.Set(name, value)
	}
	// An earlier upload of the same file without confirmation is answered with 412.
	_, err = c.send(req)
	if err != nil && !(errors.As(err, &refused) && refused.status == http.StatusPreconditionFailed) {
		return false, err
	}
	_, err = c.ask(ctx, dir, "?confirm=1", "application/json", bytes.NewReader(list))
	return true, err
}

// ask sends a request for the upload directory.
func (c *client) ask(ctx context.Context, dir, query, contentType string, body io.Reader) ([]byte, error) {
	address := strings.TrimSuffix(c.url, "/") + "/api/files/" + url.PathEscape(dir) + query
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if err := c.identify(req); err != nil {
		return nil, err
	}
	return c.send(req)
}

// identify adds the client's credentials to a request.
func (c *client) identify(req *http.Request) error {
	if c.sign != nil {
		return c.sign(req)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return nil
}

// send returns the body of a successful answer. Its errors contain no URL, because a
// signed URL is a secret.
func (c *client) send(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	var failed *url.Error
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Host, failed.Err)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, &refusal{resp.StatusCode, strings.ToValidUTF8(string(body[:min(len(body), 500)]), "?")}
	}
	return body, nil
}

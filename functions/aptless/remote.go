package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	api "aptless/core/client"
)

// defaultURL is where a server is unless a flag or a variable says so.
const defaultURL = "http://127.0.0.1:8080"

// serverURL returns the address in the variable APTLESS_URL, which `push` and the other
// commands of clients read, too.
func serverURL() string { return cmp.Or(os.Getenv("APTLESS_URL"), defaultURL) }

// credentials are the tokens of servers, by their addresses, in a file of the user.
type credentials map[string]string

// credentialsFile returns the path of the file.
func credentialsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "aptless", "credentials.json"), nil
}

func readCredentials() (credentials, error) {
	path, err := credentialsFile()
	if err != nil {
		return credentials{}, nil // a system user without a home has none
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return credentials{}, nil
	}
	if err != nil {
		return nil, err
	}
	c := credentials{}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// write replaces the file, which only its owner reads.
func (c credentials) write() error {
	path, err := credentialsFile()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "credentials") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// address returns the form of a server's address that credentials are kept by.
func address(url string) string { return strings.TrimSuffix(url, "/") }

// tokenFor returns the token for a server: the variable APTLESS_TOKEN, else that of
// "aptless login".
func tokenFor(url string) (string, error) {
	if token := os.Getenv("APTLESS_TOKEN"); token != "" {
		return token, nil
	}
	c, err := readCredentials()
	return c[address(url)], err
}

// callJSON sends a request with a body of JSON, unless it is nil, and decodes the answer.
func (c *client) callJSON(ctx context.Context, method, path string, body, into any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, address(c.url)+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if err := c.identify(req); err != nil {
		return err
	}
	answer, err := c.send(req)
	var refused *refusal
	var told struct{ Error string }
	if errors.As(err, &refused) && json.Unmarshal([]byte(refused.text), &told) == nil && told.Error != "" {
		return fmt.Errorf("%d %w", refused.status, &api.Refusal{Method: method, Path: req.URL.Path, Status: refused.status, Text: told.Error})
	}
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

// dial makes a client for a server, with the token for it. The address may be a socket's,
// as unix:///run/aptless/api.sock.
func dial(url string) (*client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = maxWait
	token, err := tokenFor(url)
	if path, ok := strings.CutPrefix(url, "unix://"); ok {
		url = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	}
	return &client{url: url, token: token, http: &http.Client{Transport: transport}}, err
}

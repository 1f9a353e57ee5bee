package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthWithin bounds the wait for the answer of a probe.
const healthWithin = 5 * time.Second

// maxProbe bounds the shown part of the answer of a probe, in bytes.
const maxProbe = 1 << 10

func healthcheckCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a server whether it is ready, for containers and supervisors",
		Long: `Ask a server whether it is ready (GET /api/ready), within 5 seconds. The exit code is 0 if it
is, and 1 if it is not. No token is needed. The certificate of a server on this host is not verified.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), healthWithin)
			defer cancel()
			return healthy(ctx, url)
		},
	}
	cmd.Flags().StringVar(&url, "url", defaultURL, "address of the server: http://, https:// or unix:///path/of/socket")
	return cmd
}

// healthy returns why the server at an address is not ready.
func healthy(ctx context.Context, address string) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	transport.Proxy = nil
	base := strings.TrimSuffix(address, "/")
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		base = "http://aptless"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/ready", nil)
	if err != nil {
		return err
	}
	if host := net.ParseIP(req.URL.Hostname()); host != nil && host.IsLoopback() || req.URL.Hostname() == "localhost" {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is for the server's own name
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbe))
	if resp.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("the server answers %s: %s", resp.Status, body), err)
	}
	return err
}

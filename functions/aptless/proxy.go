package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	api "aptless/core/client"
	"aptless/functions/proxy"
)

// Times of the proxy's server. An answer may take as long as its task.
const (
	proxyHeaders = 30 * time.Second
	proxyIdle    = 2 * time.Minute
	proxyEnd     = 10 * time.Second // for requests that run when the proxy is stopped
)

func proxyCommand() *cobra.Command {
	var to, listenAt, spool string
	var signed, anywhere bool
	cmd := &cobra.Command{
		Use:   "proxy --to URL",
		Short: "Serve a server's API on this machine, for clients without tokens, signatures and large requests",
		Long: `Serve the API of a server on this machine. Unchanged clients of aptly use it: it adds the token or signs requests,
uploads files of any size directly to the storage, waits for tasks and follows redirects to long answers.
The token is that of the variable APTLESS_TOKEN, else that of "aptless login".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return errors.New("--to: the address of the server is missing")
			}
			c, err := dial(to)
			if err == nil && signed {
				err = c.signed(cmd.Context())
			}
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			p := &proxy.Proxy{Client: &api.Client{URL: address(to), HTTP: c.http, Authorize: proxy.Replayable(c.identify)}, Spool: spool, AnyHost: anywhere, Log: log}
			l, err := listenLocally(listenAt, anywhere)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			fmt.Fprintf(cmd.ErrOrStderr(), "proxy: %s is %s\n", listenAt, address(to))
			return serveProxy(ctx, l, p)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "address of the server")
	cmd.Flags().StringVar(&listenAt, "listen", "127.0.0.1:8081", "address of this proxy: a loopback address and a port, or unix:///path")
	cmd.Flags().BoolVar(&anywhere, "listen-anywhere", false, "let --listen name an address that other machines reach: everybody there uses the server with your credentials")
	cmd.Flags().StringVar(&spool, "spool", "", "folder for files on their way; by default that of the system")
	cmd.Flags().BoolVar(&signed, "sigv4", false, "sign requests with AWS credentials, for a server with Authorizer=IAM; they are found as by the AWS SDK")
	return cmd
}

// listenLocally listens at an address that only this machine reaches, unless anywhere is
// set.
func listenLocally(at string, anywhere bool) (net.Listener, error) {
	if path, ok := strings.CutPrefix(at, "unix://"); ok {
		return listenOn("unix://" + path)
	}
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && !anywhere {
		return nil, fmt.Errorf("--listen %s: other machines reach this address, and they would use the server with your credentials: --listen-anywhere permits it", at)
	}
	return net.Listen("tcp", at)
}

// serveProxy serves until the context ends.
func serveProxy(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: proxyHeaders, IdleTimeout: proxyIdle}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), proxyEnd)
	defer cancel()
	return server.Shutdown(end)
}

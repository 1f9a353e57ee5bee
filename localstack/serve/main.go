// Command serve runs the AWS deployment on this machine until it is interrupted. It runs
// in the root of a checkout, after "make functions".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"aptless/infra/aws"
	"aptless/localstack"
	"aptless/localstack/services"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address of the API; the published tree is at the next port")
	code := flag.String("code", "dist", "folder of the programs of the functions")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *code); err != nil {
		fmt.Fprintln(os.Stderr, "aws-local:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, code string) error {
	data, err := os.MkdirTemp("", "aptless-aws-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	parts, err := services.Parts(ctx, "localstack")
	if err != nil {
		return err
	}
	local, err := services.Start(ctx, parts, data)
	defer local.Stop()
	if err != nil {
		return err
	}
	for _, v := range local.Env() {
		name, value, _ := strings.Cut(v, "=")
		os.Setenv(name, value)
	}
	d, err := aws.Open(ctx, local.Config)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	a, err := localstack.Start(ctx, local, d, localstack.Options{Template: "template.yaml", Code: code, Data: data, Queues: "aptless", Edge: "infra/edge", Address: next(listen), Functions: os.Stderr, Log: log})
	defer a.Stop()
	if err != nil {
		return err
	}
	token, err := a.AdminToken(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("token:           %s\n", token)
	return serve(ctx, listen, a)
}

// next returns the URL of the published tree: its port is after that of the API.
func next(listen string) string {
	address, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return "" // serve reports it
	}
	return fmt.Sprintf("http://%s:%d", address.IP, address.Port+1)
}

// serve serves the API and the published tree until ctx is done.
func serve(ctx context.Context, listen string, a *localstack.Aptless) error {
	address, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	for i, handler := range []http.Handler{a.API, a.Public} {
		listener, err := net.ListenTCP("tcp", address)
		if err != nil {
			return err
		}
		if i == 0 {
			fmt.Printf("API:             http://%s/api\n", listener.Addr())
		} else {
			fmt.Printf("published tree:  http://%s/\n", listener.Addr())
		}
		address.Port = listener.Addr().(*net.TCPAddr).Port + 1
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 30 * time.Second}
		defer server.Close()
		go func() { failed <- server.Serve(listener) }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		return err
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"aptless/core/client"
	"aptless/core/front/console"
)

// shutTime bounds the time that open pages have at the end.
const shutTime = 5 * time.Second

func (s *session) consoleCommand() *cobra.Command {
	var reads bool
	var port int
	c := s.leaf("console", "Serve the console of a server on this machine, for a browser", count{0, 0}, func(ctx context.Context, _ []string) error {
		return s.console(ctx, port, reads)
	})
	c.Long = `Serve the web console of any server, an aptless or an aptly, on an address of this machine.
The address that is printed has a code that is good once. The console has the credentials of the profile.`
	c.Flags().BoolVar(&reads, "read", false, "a console that changes nothing")
	c.Flags().IntVar(&port, "port", 0, "port of the address; 0 is any free one")
	return c
}

// console serves the console until the command is interrupted.
func (s *session) console(ctx context.Context, port int, reads bool) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	c.Watch = nil
	handler, err := console.New(console.Settings{
		Ask: func(r *http.Request) (context.Context, *client.Client) {
			return r.Context(), &client.Client{URL: c.URL, HTTP: c.HTTP, Authorize: c.Authorize, Trace: c.Trace}
		},
		Title: s.settings.URL, Reads: reads, Alone: true, Now: s.env.Now, Log: slog.New(slog.NewTextHandler(s.env.Err, nil)),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	gate, path := console.NewGate(listener.Addr().String(), handler)
	server := &http.Server{Handler: gate, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintf(s.env.Out, "http://%s%s\n", listener.Addr(), path)
	s.note("the console serves until it is interrupted")
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case <-ctx.Done():
	case err := <-failed:
		return err
	}
	shut, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutTime)
	defer cancel()
	if err := server.Shutdown(shut); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

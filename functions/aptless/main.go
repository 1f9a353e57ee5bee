// Command aptless serves Debian package repositories from one machine.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is what /api/version answers: the version of aptly's API that is
// spoken, then aptless's own.
const version = "1.6.3+aptless0.1"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "aptless",
		Short:         "Debian package repositories as a service, over aptly's REST API",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), uploadCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "aptless:", err)
		os.Exit(1)
	}
}

// Command aptless serves Debian package repositories from one machine.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"aptless/core/front/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "aptless",
		Short:         "Debian package repositories as a service, over aptly's REST API",
		Version:       app.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), uploadCommand(), keyCommand(), tokenCommand(), loginCommand(), authCommand(), auditCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "aptless:", err)
		os.Exit(1)
	}
}

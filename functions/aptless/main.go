// Command aptless serves Debian package repositories from one machine, and is the client
// of any server that speaks aptly's API.
package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"aptless/core/front/app"
	"aptless/functions/cli"
	"aptless/functions/move"
	"aptless/infra/aws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	home, _ := os.UserConfigDir() // a system user without a home has no profiles
	code := cli.Main(ctx, cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Home: home, Now: time.Now,
		Version: app.Version, Kept: keptToken, SignAWS: signAWS, Keys: signingKeys{}, OpenData: openData, OpenBucket: openBucket, Terminal: terminalWidth, Interrupted: stop,
	}, os.Args, commands)
	stop()
	os.Exit(code)
}

// commands are the commands of this package.
func commands() []*cobra.Command {
	return []*cobra.Command{serveCommand(), uploadCommand(), proxyCommand(), keyCommand(), tokenCommand(), loginCommand(), logoutCommand(), authCommand(), policyCommand(), auditCommand(), healthcheckCommand()}
}

// signAWS returns a function that signs requests by the credentials of the AWS SDK.
func signAWS(ctx context.Context, region string) (func(*http.Request) error, error) {
	signer, err := aws.NewSigner(ctx)
	if err != nil {
		return nil, err
	}
	return signer.In(region).Sign, nil
}

// openBucket opens a tree in S3.
func openBucket(ctx context.Context, address string) (move.Tree, error) {
	return aws.OpenBucket(ctx, address)
}

// keptToken returns the token that "aptless login" has kept for a server.
func keptToken(url string) (string, error) {
	c, err := readCredentials()
	return c[address(url)], err
}

// terminalWidth reports whether a stream is a terminal, and its width in columns.
func terminalWidth(stream any) (width int, ok bool) {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

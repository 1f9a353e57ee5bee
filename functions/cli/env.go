package cli

import (
	"context"
	"io"
	"net/http"
	"time"

	"aptless/functions/move"
)

// Env is the world of a command line.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Home     string // the user's configuration folder; "" without one
	Now      func() time.Time
	// Kept returns the token that "aptless login" has kept for a server; "" for none.
	Kept func(url string) (string, error)
	// SignAWS returns a function that signs requests by AWS credentials; nil without it.
	// region "" is that of the address, or of the AWS SDK's configuration.
	SignAWS func(ctx context.Context, region string) (func(*http.Request) error, error)
	// Keys changes the signing keys of a server on this machine; nil without such.
	Keys SigningKeys
	// OpenData opens the data folder of a server that does not run, and returns a transport
	// to its API. end closes it.
	OpenData func(ctx context.Context, dir string) (api http.RoundTripper, end func() error, err error)
	// OpenBucket opens a tree in S3, s3://bucket/prefix; nil without it.
	OpenBucket func(ctx context.Context, address string) (move.Tree, error)
	// Version is that of this program.
	Version string
	// Interrupted is called once a command is to end; nil for nothing. A second interrupt
	// then ends the process.
	Interrupted func()
	// Step is called before each request and each change of a transfer folder; nil for
	// nothing. Tests end the process there.
	Step func()
	// Terminal returns whether a stream is a terminal, and its width in columns.
	Terminal func(stream any) (width int, ok bool)
}

// options are the flags of all commands.
type options struct {
	url, profile, tokenFile, config, progress, color string
	timeout                                          time.Duration
	json, quiet, verbose, yes, noProgress, noWait    bool
	parallel                                         int
	limit                                            int64 // KiB that are sent in a second; 0 is no limit
	architectures                                    []string
	follow                                           []string // nil: as the server does
}

// check refuses values that flags do not have.
func (o options) check() error {
	if o.progress != "" && o.progress != "json" {
		return usagef("--progress=%s: json", o.progress)
	}
	if o.color != "" && o.color != "always" && o.color != "never" {
		return usagef("--color=%s: always or never", o.color)
	}
	return nil
}

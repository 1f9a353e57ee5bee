package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// release is one run.
type release struct {
	version string    // as 0.1.0, also of the Debian packages
	source  string    // the folder of the product's module
	out     string    // the folder for the results
	archs   []string  // Debian's names, which are Go's for the supported ones
	date    time.Time // of all files
	key     string    // file of the secret key that signs the checksums, "" for none
}

// versionPattern is a version of a release that is also a version of a Debian package.
var versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+)?(~[a-z0-9.]+)?$`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	var r release
	flags := flag.NewFlagSet("packaging", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "version of the release, as 0.1.0")
	flags.StringVar(&r.source, "source", "../..", "folder of the sources")
	flags.StringVar(&r.out, "out", "../../dist", "folder for the results")
	archs := flags.String("arch", "amd64,arm64", "architectures, separated by commas")
	parts := flags.String("parts", "programs,debs,image,repository,provenance,sums,signature", "parts to make, in this order; debs and image need programs, and debs the one of this machine")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if !versionPattern.MatchString(r.version) {
		return fmt.Errorf("-version %q is no version, as 0.1.0", r.version)
	}
	var err error
	if r.date, err = sourceDate(getenv("SOURCE_DATE_EPOCH")); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	r.key = getenv(keyVariable)
	r.archs = strings.Split(*archs, ",")
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	makes := map[string]func(context.Context) error{
		"programs": r.programs, "debs": r.debs, "image": r.image, "repository": r.repository,
		"provenance": r.provenance, "sums": r.sums, "signature": r.signature,
	}
	for part := range strings.SplitSeq(*parts, ",") {
		do := makes[part]
		if do == nil {
			return fmt.Errorf("-parts: there is no part %q", part)
		}
		if err := do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		fmt.Println("made", part)
	}
	return nil
}

// sourceDate returns the time of SOURCE_DATE_EPOCH, in seconds since 1970.
func sourceDate(epoch string) (time.Time, error) {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, errors.New("SOURCE_DATE_EPOCH is not set to a number of seconds since 1970: it is the date of all files")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

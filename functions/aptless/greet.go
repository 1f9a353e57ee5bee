package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// greet prints the server's URL as one line on stdout, or logs it with --log-json. On a
// terminal it also prints the first steps, as long as nothing is published.
func (s *server) greet(addr net.Addr, opt settings) {
	url := "http://" + addr.String()
	if s.mode.tls != nil {
		url = "https://" + addr.String()
	}
	if addr.Network() == "unix" {
		url = "unix://" + addr.String()
	}
	if !s.mode.Closed && opt.access.insecure {
		s.log.Warn("there is no authentication: every host that reaches this server may do everything", "address", url)
	}
	if opt.json {
		s.log.Info("serving", "address", url, "data", opt.data, "access", s.protection())
		return
	}
	fmt.Fprintf(opt.out, "aptless is serving on %s, with its data in %s; %s\n", url, opt.data, s.protection())
	if s.admin != "" && terminal(opt.out) {
		if secret, err := os.ReadFile(s.admin); err == nil {
			fmt.Fprintf(opt.out, "The token is %s\n", secret)
		}
	}
	if !s.mode.Closed && addr.Network() != "unix" && terminal(opt.out) && s.empty() {
		fmt.Fprintf(opt.out, quickStart, url)
	}
}

// protection returns a sentence about which callers are answered.
func (s *server) protection() string {
	switch {
	case s.mode.Closed && s.admin != "":
		return "an admin token is in the file " + s.admin + ": keep it elsewhere and remove the file"
	case s.mode.Closed:
		return "each request below /api needs a token"
	case s.mode.AnyHost:
		return "no authentication: every host is answered; --auth closes it"
	}
	return "no authentication: only this host is answered; --auth closes it"
}

// empty reports whether there is no publication.
func (s *server) empty() bool {
	for range s.data.Table.Scan(context.Background(), "publish", "") {
		return false
	}
	return true
}

// terminal reports whether w is a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

// quickStart is the way from a .deb to apt install. Its argument is the server's URL.
const quickStart = `
From a .deb to apt install:

  curl -F file=@hello_1.0_amd64.deb %[1]s/api/files/incoming
  curl -X POST -H 'Content-Type: application/json' -d '{"Name":"demo","DefaultDistribution":"stable"}' %[1]s/api/repos
  curl -X POST %[1]s/api/repos/demo/file/incoming
  curl -X POST -H 'Content-Type: application/json' -d '{"SourceKind":"local","Sources":[{"Name":"demo"}]}' %[1]s/api/publish
  curl %[1]s/aptless.sources | sudo tee /etc/apt/sources.list.d/aptless.sources && sudo apt update && sudo apt install hello

The next version: upload and import it as the first, then

  curl -X PUT -H 'Content-Type: application/json' -d '{}' %[1]s/api/publish/:./stable

`

// sourceDate parses SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch).
// It returns the zero time for "".
func sourceDate(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 || seconds >= 1<<32 { // the time of an OpenPGP signature has 32 bits
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, which is not a number of seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

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

// greet tells where the server is: one line on stdout, or in a log of JSON. On a
// terminal, as long as nothing is published, it tells also how to begin.
func (s *server) greet(addr net.Addr, opt settings) {
	url := "http://" + addr.String()
	if addr.Network() == "unix" {
		url = "unix://" + addr.String()
	}
	if opt.json {
		s.log.Info("serving", "address", url, "data", opt.data)
		return
	}
	fmt.Fprintf(opt.out, "aptless is serving on %s, with its data in %s\n", url, opt.data)
	if addr.Network() != "unix" && terminal(opt.out) && s.empty() {
		fmt.Fprintf(opt.out, quickStart, url)
	}
}

// empty says whether nothing is published.
func (s *server) empty() bool {
	for range s.data.Table.Scan(context.Background(), "publish", "") {
		return false
	}
	return true
}

// terminal says whether a person reads what is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

// quickStart is the way from a .deb to apt install.
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

// sourceDate returns the time that SOURCE_DATE_EPOCH says, zero if it is not set
// (reproducible-builds.org/specs/source-date-epoch).
func sourceDate(epoch string) (time.Time, error) {
	if epoch == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 || seconds >= 1<<32 { // times of signatures have 32 bits
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, which is not a number of seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

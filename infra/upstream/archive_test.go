package upstream

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	port "aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// archive returns a server of a signed archive, and a keyring with its key.
func archive(t *testing.T) (*upstreamtest.Server, *pgp.Keyring) {
	t.Helper()
	made := time.Date(2026, 7, 11, 0, 0, 0, 0, time.UTC)
	k, err := pgp.Generate("archive", "archive@example.org", pgp.Ed25519, made)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := pgp.NewKeyring(k.Key)
	if err != nil {
		t.Fatal(err)
	}
	var packages []debtest.Spec
	for i := range 20 {
		packages = append(packages, debtest.Spec{Package: fmt.Sprintf("lib%02d++", i), Architecture: "amd64"})
	}
	spec := upstreamtest.Spec{Signer: signer, At: made, ByHash: true, Components: map[string]upstreamtest.Component{"main": {Packages: packages}}}
	return upstreamtest.Serve(mirrorRoot, upstreamtest.Build(spec)), ring
}

const mirrorRoot = "http://deb.example/"

// fetchAll fetches all packages of the archive and returns their number.
func fetchAll(t *testing.T, c *Client, ring *pgp.Keyring) (packages int, err error) {
	a := port.Archive{Root: mirrorRoot, Distribution: "stable"}
	k := port.Asker{Fetcher: c}
	release, _, err := a.FetchRelease(t.Context(), k, port.Trust{Ring: ring}, port.Seen{})
	if err != nil {
		return 0, err
	}
	r := port.Reader{Asker: k, Archive: a, Release: release}
	for l, err := range r.Packages(t.Context(), a.Indexes(port.Wanted{Components: []string{"main"}, Architectures: []string{"amd64"}})[0]) {
		if err != nil {
			return 0, err
		}
		file := l.Package.Files[0]
		name, err := port.FilePath(l.Dir, file.Name)
		if err != nil {
			return 0, err
		}
		f, err := k.Open(t.Context(), a.FileURL(name), file, true, 0)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, f)
		f.Close()
		if err != nil {
			return 0, err
		}
		packages++
	}
	return packages, nil
}

// TestArchiveInTrouble reads an archive from a server with temporary faults: it breaks
// off, is busy and is slow.
func TestArchiveInTrouble(t *testing.T) {
	server, ring := archive(t)
	random := rand.New(rand.NewPCG(1, 2))
	troubles := map[string]int{}
	server.Trouble = func(path string, before int) upstreamtest.Trouble {
		if before >= tries-2 {
			return upstreamtest.Trouble{}
		}
		switch random.IntN(5) {
		case 0:
			troubles["cut"]++
			return upstreamtest.Trouble{Cut: 1 + random.IntN(300)}
		case 1:
			troubles["busy"]++
			return upstreamtest.Trouble{Status: http.StatusServiceUnavailable, RetryAfter: "5"}
		case 2:
			troubles["wrong"]++
			return upstreamtest.Trouble{Status: http.StatusBadGateway}
		case 3:
			troubles["slow"]++
			return upstreamtest.Trouble{Drip: 2 * time.Second}
		}
		return upstreamtest.Trouble{}
	}
	served(t, server.ServeHTTP, func(t *testing.T, c *Client) {
		if n, err := fetchAll(t, c, ring); err != nil || n != 20 {
			t.Errorf("%d packages, %v", n, err)
		}
	})
	if len(troubles) != 4 {
		t.Errorf("troubles were %v", troubles)
	}
}

// TestArchiveWithoutHope has lasting faults; each ends the reading.
func TestArchiveWithoutHope(t *testing.T) {
	const file = "pool/main/lib07++_1.0_amd64.deb"
	for name, c := range map[string]struct {
		fault   func(data []byte) []byte
		trouble upstreamtest.Trouble
		want    func(error) bool
	}{
		"cut file":   {fault: func(data []byte) []byte { return data[:100] }, want: func(err error) bool { return errors.Is(err, port.ErrMismatch) }},
		"wrong hash": {fault: func(data []byte) []byte { return append(data[:len(data)-1:len(data)-1], 0) }, want: func(err error) bool { return errors.Is(err, port.ErrMismatch) }},
		"longer":     {fault: func(data []byte) []byte { return append(data[:len(data):len(data)], 0) }, want: func(err error) bool { return err != nil }},
		"gone":       {trouble: upstreamtest.Trouble{Status: http.StatusNotFound}, want: port.Missing},
		"busy": {trouble: upstreamtest.Trouble{Status: http.StatusServiceUnavailable}, want: func(err error) bool {
			return strings.Contains(err.Error(), "HTTP code 503 while fetching "+mirrorRoot+"pool/")
		}},
		"drip": {trouble: upstreamtest.Trouble{Drip: 20 * time.Second}, want: func(err error) bool { return errors.Is(err, errSlow) }},
		"cuts": {trouble: upstreamtest.Trouble{Cut: 1}, want: func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	} {
		server, ring := archive(t)
		server.Fault = func(path string, _ int, data []byte) ([]byte, error) {
			if path == file && c.fault != nil {
				return c.fault(data), nil
			}
			return data, nil
		}
		server.Trouble = func(path string, _ int) upstreamtest.Trouble {
			if path == file {
				return c.trouble
			}
			return upstreamtest.Trouble{}
		}
		served(t, server.ServeHTTP, func(t *testing.T, client *Client) {
			if n, err := fetchAll(t, client, ring); n != 0 || err == nil || !c.want(err) {
				t.Errorf("%s: %d packages, %v", name, n, err)
			}
		})
		if asked := server.Asked()[file]; asked > tries {
			t.Errorf("%s: asked %d times", name, asked)
		}
	}
}

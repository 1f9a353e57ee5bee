package readers

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aptless/core/formats/deb"
	"aptless/core/formats/pgp"
	"aptless/tests/cache"
)

// reader updates its lists like apt-get update, with one request in each step.
type reader struct {
	name   string
	from   *cache.Cache
	byHash bool
	warm   bool // keeps its lists between updates
	ring   *pgp.Keyring

	release  []byte    // InRelease of its lists
	pending  []byte    // InRelease of the running update; nil between updates
	date     time.Time // Date of the newest InRelease seen
	version  int       // version of the probe in the newest lists
	tried    bool      // a by-hash file was missing
	updates  int
	failures []string
	back     []string
}

// distribution is the published distribution.
const distribution = "/dists/stable/"

// step sends the reader's next request.
func (r *reader) step() {
	if r.pending == nil {
		r.begin()
		return
	}
	text, _, err := r.ring.VerifyClearsigned(r.pending, time.Time{})
	if err != nil {
		r.fail("InRelease: %v", err)
		return
	}
	p, err := deb.ParseParagraph(string(text), deb.ModeRelease)
	if err != nil {
		r.fail("InRelease: %v", err)
		return
	}
	digest, size, ok := listed(p.Get("SHA256"), "main/binary-amd64/Packages.gz")
	if !ok {
		r.fail("InRelease lists no Packages.gz")
		return
	}
	path := distribution + "main/binary-amd64/Packages.gz"
	if r.byHash && !r.tried {
		path = distribution + "main/binary-amd64/by-hash/SHA256/" + digest
	}
	status, _, body := r.from.Get(path)
	sum := sha256.Sum256(body)
	switch {
	case status == http.StatusNotFound && r.byHash && !r.tried:
		r.tried = true // apt then requests the plain name
		return
	case status != http.StatusOK:
		r.fail("%s: %d", path, status)
		return
	case len(body) != size || hex.EncodeToString(sum[:]) != digest:
		r.fail("%s: hash sum mismatch", path)
		return
	}
	r.finish(p, body)
}

// begin fetches InRelease. An unchanged InRelease ends the update.
func (r *reader) begin() {
	status, _, body := r.from.Get(distribution + "InRelease")
	if status != http.StatusOK {
		r.updates++
		r.fail("InRelease: %d", status)
		return
	}
	if r.warm && bytes.Equal(body, r.release) {
		r.updates++
		return
	}
	r.pending, r.tried = body, false
}

// finish replaces the lists by the new ones.
func (r *reader) finish(release deb.Paragraph, packed []byte) {
	date, err := time.Parse("Mon, 2 Jan 2006 15:04:05 MST", release.Get("Date"))
	if err != nil {
		r.fail("Date: %v", err)
		return
	}
	version, err := probe(packed)
	if err != nil {
		r.fail("Packages: %v", err)
		return
	}
	if date.Before(r.date) || version < r.version {
		r.back = append(r.back, fmt.Sprintf("%s: from version %d of %v to %d of %v", r.name, r.version, r.date, version, date))
	}
	r.date, r.version, r.release, r.pending = date, version, r.pending, nil
	r.updates++
}

func (r *reader) fail(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(r.name+": "+format, args...))
	if r.pending != nil {
		r.updates++
	}
	r.pending = nil
}

// listed returns digest and size of a listed file.
func listed(lines, path string) (digest string, size int, ok bool) {
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 3 && words[2] == path {
			size, err := strconv.Atoi(words[1])
			return words[0], size, err == nil
		}
	}
	return "", 0, false
}

// probe returns the highest version of the probe, the package that changes.
func probe(packed []byte) (version int, err error) {
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "Version: "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(v))
			if err != nil {
				return 0, err
			}
			version = max(version, n)
		}
	}
	return version, nil
}

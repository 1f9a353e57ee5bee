package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"aptless/core/formats/deb"
)

// mode is the way in which a reader asks for indexes.
type mode int

const (
	byHash mode = iota // as apt does; the plain name only if the hash is missing
	plain              // as clients without Acquire-By-Hash do
	modes
)

// Errors of a read.
var (
	errMixed   = errors.New("mixed")
	errMissing = errors.New("missing package file")
)

// staleError names packages of an acknowledged publication that an index lacks.
type staleError struct {
	dist     string
	packages []string
}

func (e *staleError) Error() string {
	return fmt.Sprintf("%s lacks %d packages whose publication was acknowledged, as %s", e.dist, len(e.packages), e.packages[0])
}

// tree reads the published files of a server.
type tree struct {
	server *server
	public string
}

func (t tree) file(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(t.public, filepath.FromSlash(path)))
}

// read updates from a distribution with apt's algorithm, and then fetches package number
// pick of the index. expected are packages that have to be there. It returns the packages.
func (t tree) read(dist string, m mode, expected map[string]bool, pick int) (map[string]string, error) {
	dir := "dists/" + dist + "/"
	signed, err := t.file(dir + "InRelease")
	if err != nil {
		return nil, fmt.Errorf("%w: %s: InRelease: %v", errMixed, dist, err)
	}
	text, _, err := t.server.key.ring.VerifyClearsigned(signed, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("%w: %s: InRelease: %v", errMixed, dist, err)
	}
	release, err := deb.ParseParagraph(string(text), deb.ModeRelease)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: InRelease: %v", errMixed, dist, err)
	}
	const index = "main/binary-amd64/Packages.gz"
	digest, size := listed(release.Get("SHA256"), index)
	packed, err := t.index(dir, index, digest, m)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", errMixed, dist, err)
	}
	if sum := sha256.Sum256(packed); len(packed) != size || hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("%w: %s: Packages.gz has %d bytes that are not those of InRelease, which lists %d", errMixed, dist, len(packed), size)
	}
	found, names, err := stanzas(packed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v", errMixed, dist, err)
	}
	stale := &staleError{dist: dist}
	for name := range expected {
		if found[name] == "" {
			stale.packages = append(stale.packages, name)
		}
	}
	if len(stale.packages) > 0 {
		return found, stale
	}
	if len(names) == 0 {
		return found, nil
	}
	return found, t.fetch(dist, found[names[pick%len(names)]])
}

// index returns the bytes of an index.
func (t tree) index(dir, index, digest string, m mode) ([]byte, error) {
	if m == byHash {
		data, err := t.file(dir + "main/binary-amd64/by-hash/SHA256/" + digest)
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return t.file(dir + index)
}

// fetch checks the file of a stanza: "path size digest".
func (t tree) fetch(dist, entry string) error {
	words := strings.Fields(entry)
	if len(words) != 3 {
		return fmt.Errorf("%w: %s: a stanza with %q", errMixed, dist, entry)
	}
	data, err := t.file(words[0])
	if err != nil {
		return fmt.Errorf("%w: %s: %v", errMissing, dist, err)
	}
	if sum := sha256.Sum256(data); fmt.Sprint(len(data)) != words[1] || hex.EncodeToString(sum[:]) != words[2] {
		return fmt.Errorf("%w: %s: %s is not as listed", errMissing, dist, words[0])
	}
	return nil
}

// listed returns digest and size of a file in Release.
func listed(lines, path string) (digest string, size int) {
	for line := range strings.Lines(lines) {
		if words := strings.Fields(line); len(words) == 3 && words[2] == path {
			size, _ = strconv.Atoi(words[1])
			return words[0], size
		}
	}
	return "", 0
}

// stanzas returns path, size and digest of each package, and the names in order.
func stanzas(packed []byte) (found map[string]string, names []string, err error) {
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, nil, err
	}
	found = map[string]string{}
	for r := deb.NewParagraphReader(zip, deb.ModeControl); ; {
		p, err := r.Next()
		if err == io.EOF {
			return found, names, nil
		}
		if err != nil {
			return nil, nil, err
		}
		name := p.Get("Package")
		names = append(names, name)
		found[name] = p.Get("Filename") + " " + p.Get("Size") + " " + p.Get("SHA256")
	}
}

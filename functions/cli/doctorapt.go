package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"aptless/core/client"
)

// published is a publication as this machine reaches it.
type published struct {
	place      client.Place
	uri        string // of the prefix
	components []string
	key        string // its lines without spaces; "" if it is not signed
}

func trimSlash(s string) string { return strings.TrimRight(s, "/") }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// fetch reads a file as apt does. A body that ends before its announced length is an error.
func (d *doctor) fetch(ctx context.Context, address string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, err
	}
	answer, err := d.http.Do(r)
	if err != nil {
		var reason *url.Error
		if errors.As(err, &reason) { // without the address, which the fault has already
			err = reason.Err
		}
		return 0, nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxFetched))
	return answer.StatusCode, data, err
}

// stanzas reads the paragraphs of a deb822 text. A field has its lines without the spaces
// at their beginning.
func stanzas(text []byte) []map[string]string {
	var all []map[string]string
	var now map[string]string
	field := ""
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			now, field = nil, ""
		case line[0] == ' ' || line[0] == '\t':
			if now != nil && field != "" {
				now[field] += "\n" + strings.TrimSpace(line)
			}
		default:
			name, value, _ := strings.Cut(line, ":")
			if now == nil {
				now = map[string]string{}
				all = append(all, now)
			}
			field = strings.ToLower(name)
			now[field] = strings.TrimSpace(value)
		}
	}
	return all
}

// bare returns the lines of a key without empty ones, which deb822 writes as ".".
func bare(key string) string {
	var lines []string
	for line := range strings.Lines(key) {
		if line = strings.TrimSpace(line); line != "" && line != "." {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// reached returns the publications with their addresses.
func (d *doctor) reached(ctx context.Context) ([]published, error) {
	list, err := client.Send(ctx, d.client, client.ListPublications())
	if err != nil {
		return nil, err
	}
	var all []published
	for _, p := range list.Value {
		a, err := client.Send(ctx, d.client, client.ShowSetup(p.Place(), "deb822"))
		if err != nil {
			return nil, err
		}
		about := "publication " + p.Place().String()
		for _, w := range a.Value.Warnings {
			d.trouble(about, "aptless publish update "+quote(p.Distribution), "%s", w)
		}
		if st := stanzas([]byte(a.Value.Text)); len(st) == 1 {
			all = append(all, published{p.Place(), trimSlash(st[0]["uris"]), strings.Fields(st[0]["components"]), bare(st[0]["signed-by"])})
		}
	}
	return all, nil
}

// publications reads each publication as apt does.
func (d *doctor) publications(ctx context.Context) error {
	all, err := d.reached(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		d.release(ctx, p)
	}
	return nil
}

// release reads InRelease, or Release, and one index by its name and by its digest.
func (d *doctor) release(ctx context.Context, p published) {
	about, root := "publication "+p.place.String(), p.uri+"/dists/"+p.place.Distribution
	var text []byte
	for _, name := range []string{"InRelease", "Release"} {
		status, data, err := d.fetch(ctx, root+"/"+name)
		if status == http.StatusOK && err == nil {
			text = data
			break
		}
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			return // a private prefix
		}
		if name == "InRelease" && p.key == "" {
			continue
		}
		if err != nil {
			d.trouble(about, "look at the proxy before the server", "%s/%s: %v", root, name, err)
		} else {
			d.trouble(about, "look at the proxy before the server", "%s/%s is answered with the HTTP status %d", root, name, status)
		}
		return
	}
	fields := released(text)
	if at, err := time.Parse(time.RFC1123, fields["date"]); err == nil && at.After(d.now.Add(clockSlack)) {
		d.trouble(about, "aptless publish update --reset-date, once the clocks are right", "the Date of its Release is in the future: %s", fields["date"])
	}
	if line := indexLine(fields["sha256"]); line != nil {
		d.index(ctx, about, root, line, fields["acquire-by-hash"] == "yes")
	}
}

// released returns the fields of a Release, also of a signed one.
func released(text []byte) map[string]string {
	for _, st := range stanzas(text) {
		if st["sha256"] != "" {
			return st
		}
	}
	return map[string]string{}
}

// indexLine returns digest, size and name of a compressed index, or else of any file.
func indexLine(list string) []string {
	var found []string
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) == 3 && f[1] != "0" && (found == nil || strings.HasSuffix(f[2], "Packages.gz")) {
			found = f
		}
	}
	return found
}

// index reads an index and compares its bytes with the Release.
func (d *doctor) index(ctx context.Context, about, root string, line []string, byHash bool) {
	size, _ := strconv.Atoi(line[1])
	names := []string{line[2]}
	if byHash {
		names = append(names, filepath.Join(filepath.Dir(line[2]), "by-hash", "SHA256", line[0]))
	}
	for _, name := range names {
		status, data, err := d.fetch(ctx, root+"/"+name)
		sum := sha256.Sum256(data)
		switch {
		case err != nil:
			d.trouble(about, "look at the proxy before the server", "%s/%s: %v", root, name, err)
		case status != http.StatusOK && strings.Contains(name, "/by-hash/"):
			d.trouble(about, "let the proxy pass the paths with /by-hash/", "%s/%s is answered with the HTTP status %d: apt may read old and new indexes together", root, name, status)
		case status != http.StatusOK:
			d.trouble(about, "aptless fsck --repair", "%s/%s is answered with the HTTP status %d", root, name, status)
		case len(data) < size:
			d.trouble(about, "let the proxy pass bodies of any size", "%s/%s has %d of %d bytes: a proxy cuts it", root, name, len(data), size)
		case hex.EncodeToString(sum[:]) != line[0]:
			d.trouble(about, "aptless fsck --deep --repair; then look for a proxy that keeps old files", "%s/%s has other bytes than its Release says", root, name)
		default:
			continue
		}
		return
	}
}

// machine compares the .sources files that name the server with the publications.
func (d *doctor) machine(ctx context.Context) error {
	files, err := filepath.Glob(d.sources)
	if err != nil || len(files) == 0 {
		return err
	}
	earlier := len(d.found)
	all, err := d.reached(ctx)
	d.found = d.found[:earlier] // the warnings are told already
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			d.trouble(file, "sudo chmod 644 "+quote(file), "it cannot be read: %v", err)
			continue
		}
		for _, st := range stanzas(text) {
			for _, uri := range strings.Fields(st["uris"]) {
				d.source(file, trimSlash(uri), st, all)
			}
		}
	}
	return nil
}

// source compares a stanza with the publications at its address.
func (d *doctor) source(file, uri string, st map[string]string, all []published) {
	here := slices.DeleteFunc(slices.Clone(all), func(p published) bool { return p.uri != uri })
	if len(here) == 0 {
		if slices.ContainsFunc(all, func(p published) bool { return hostOf(p.uri) == hostOf(uri) }) {
			d.trouble(file, "aptless publish list", "there is no publication at %s", uri)
		}
		return // a source of another server
	}
	for _, suite := range strings.Fields(st["suites"]) {
		i := slices.IndexFunc(here, func(p published) bool { return p.place.Distribution == suite })
		if i < 0 {
			d.trouble(file, "aptless publish list", "there is no distribution %s at %s", suite, uri)
			continue
		}
		p := here[i]
		remedy := "aptless setup " + quote(p.place.Distribution+"@"+p.place.Prefix)
		for _, c := range strings.Fields(st["components"]) {
			if !slices.Contains(p.components, c) {
				d.trouble(file, remedy, "%s has no component %s, but %s", suite, c, strings.Join(p.components, ", "))
			}
		}
		d.signedBy(file, remedy, st["signed-by"], p)
	}
}

// signedBy compares the key of a stanza with the key of a publication.
func (d *doctor) signedBy(file, remedy, value string, p published) {
	switch {
	case p.key == "":
	case value == "":
		d.trouble(file, remedy, "it has no Signed-By: apt trusts every key of the machine, or refuses the source")
	case strings.HasPrefix(value, "/"):
		text, err := os.ReadFile(value)
		if err != nil {
			d.trouble(file, remedy, "the key file of Signed-By cannot be read: %v", err)
		} else if strings.HasSuffix(value, ".asc") && !strings.Contains(bare(string(text)), keyBody(p.key)) {
			d.trouble(file, remedy, "%s is not the key that signs %s", value, p.place)
		}
	case strings.Contains(value, "BEGIN PGP") && !strings.Contains(bare(value), keyBody(p.key)):
		d.trouble(file, remedy, "the key in Signed-By is not the key that signs %s", p.place)
	}
}

// keyBody returns the lines of an armoured key between its first and its last one.
func keyBody(key string) string {
	lines := strings.Split(key, "\n")
	if len(lines) < 3 {
		return key
	}
	return strings.Join(lines[1:len(lines)-1], "\n")
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Host
}

package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
)

// publicKey returns the armoured keys that verify what is signed.
func publicKey(signer pgp.Signer) []byte {
	var b bytes.Buffer
	for _, k := range signer.PublicKeys() {
		b.Write(k.Armor())
	}
	return b.Bytes()
}

// sourcesText returns the deb822 text with which apt uses all publications
// that this address serves: one stanza each, with the public key in it
// (sources.list(5), Signed-By).
func sourcesText(ctx context.Context, r *http.Request, publications *publish.Store, signer pgp.Signer) (string, error) {
	views, err := publications.List(ctx)
	if err != nil {
		return "", err
	}
	key := publicKey(signer)
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	base := scheme + "://" + r.Host + api.Prefix(r)
	var b strings.Builder
	for _, v := range views {
		if v.Storage != "" {
			continue // served from elsewhere
		}
		types, archs := []string{"deb"}, []string{}
		for _, a := range v.Architectures {
			if a == "source" {
				types = append(types, "deb-src")
			} else if a != "all" {
				archs = append(archs, a)
			}
		}
		if len(archs) == 0 && !slices.Contains(v.Architectures, "all") {
			types = []string{"deb-src"}
		}
		uri := base
		if v.Prefix != "." {
			uri += "/" + v.Prefix
		}
		fmt.Fprintf(&b, "Types: %s\nURIs: %s\nSuites: %s\nComponents:", strings.Join(types, " "), uri, v.Distribution)
		for _, s := range v.Sources {
			fmt.Fprintf(&b, " %s", s.Component)
		}
		b.WriteByte('\n')
		if len(archs) > 0 {
			fmt.Fprintf(&b, "Architectures: %s\n", strings.Join(archs, " "))
		}
		b.WriteString("Signed-By:\n")
		for line := range strings.SplitSeq(strings.TrimRight(string(key), "\n"), "\n") {
			if strings.TrimSpace(line) == "" {
				line = "."
			}
			fmt.Fprintf(&b, " %s\n", line)
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

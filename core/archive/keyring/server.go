package keyring

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"aptless/core/formats/pgp"
)

// DefaultServer is the key server of requests that name none.
const DefaultServer = "hkps://keys.openpgp.org"

// maxIDs bounds the keys of one request.
const maxIDs = 20

// Receive fetches keys from a key server (protocol HKP) into a ring. ids are
// fingerprints or key IDs, separated by white space. Further keys in an answer
// are dropped. The error is a *Refusal, and the ring unchanged, unless all keys
// are found.
func (s *Store) Receive(ctx context.Context, name, server, ids string) (string, error) {
	name, err := CleanName(name)
	if err != nil {
		return "", err
	}
	wanted := strings.Fields(ids)
	if len(wanted) > maxIDs {
		return "", refuse("gpg: more than %d keys\n", maxIDs)
	}
	if s.Fetch == nil {
		return "", refuse("gpg: keyserver receive failed: key servers are not configured\n")
	}
	if server == "" {
		server = DefaultServer
	}
	var keys []*pgp.Key
	for _, ref := range wanted {
		id, ok := parseID(ref)
		if !ok {
			return "", refuse("gpg: \"%s\" not a key ID: skipping\n", ref)
		}
		address, err := lookupURL(server, id)
		if err != nil {
			return "", err
		}
		data, err := s.Fetch(ctx, address)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return "", refuse("gpg: keyserver receive failed: %v\n", err)
		}
		got, err := parse(data)
		if err != nil {
			return "", err
		}
		before := len(keys)
		for _, k := range got {
			if k.Matches(id) {
				keys = append(keys, k)
			}
		}
		if len(keys) == before {
			return "", refuse("gpg: keyserver receive failed: No data for key %s\n", id)
		}
	}
	ring, err := pgp.NewKeyring(keys...)
	if err != nil {
		return "", refuse("gpg: %v\n", err)
	}
	return s.put(ctx, name, ring.Keys())
}

// lookupURL returns the URL of a key on a key server
// (draft-gallagher-openpgp-hkp, 3.1).
func lookupURL(server, id string) (string, error) {
	if !strings.Contains(server, "://") {
		server = "hkp://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", refuse("gpg: bad keyserver address\n")
	}
	switch u.Scheme {
	case "hkp":
		u.Scheme = "http"
		if u.Port() == "" {
			u.Host += ":11371"
		}
	case "hkps":
		u.Scheme = "https"
	case "http", "https":
	default:
		return "", refuse("gpg: keyserver scheme %q is not supported\n", u.Scheme)
	}
	return fmt.Sprintf("%s://%s/pks/lookup?op=get&options=mr&search=0x%s", u.Scheme, u.Host, id), nil
}

package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Limits of an issuer's documents.
const (
	fetchTimeout = 5 * time.Second // of each document
	maxDiscovery = 64 << 10        // bytes
	maxKeySet    = 256 << 10       // bytes
	maxKeys      = 100
	minRSA       = 2048 // bits
	maxRSA       = 8192
)

// Times of keys.
const (
	keysFresh  = time.Hour        // keys are used without a question
	keysKept   = 24 * time.Hour   // keys are used while the issuer does not answer
	askPause   = time.Minute      // between two readings on account of an unknown kid
	faultPause = 10 * time.Second // after a fault of an issuer whose keys are not known
)

// key returns the key of an issuer with a kid. An unknown kid is *Invalid.
func (v *Verifier) key(ctx context.Context, name, kid string) (*jose.JSONWebKey, error) {
	is := v.issuer(name)
	select {
	case is.reading <- struct{}{}:
	case <-ctx.Done(): // a client that goes away waits no longer
		return nil, ctx.Err()
	}
	defer func() { <-is.reading }()
	now := v.Now()
	known := is.find(kid)
	if known != nil && now.Sub(is.read) < keysFresh {
		return known, nil
	}
	pause := askPause
	if is.failed && is.keys == nil {
		pause = faultPause
	}
	if is.asked.IsZero() || now.Sub(is.asked) >= pause {
		is.asked = now
		// The answer is for the others that wait, too: this client may go away.
		keys, err := v.readKeys(context.WithoutCancel(ctx), name)
		if is.failed = err != nil; err == nil {
			is.keys, is.read = keys, now
			known = is.find(kid)
		}
	}
	switch {
	case is.keys == nil || now.Sub(is.read) >= keysKept:
		return nil, ErrKeys
	case known == nil:
		return nil, invalid("the issuer has no key %.50q", kid)
	}
	return known, nil
}

// issuer returns the keys that are kept of an issuer.
func (v *Verifier) issuer(name string) *issuer {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.issuers == nil {
		v.issuers = map[string]*issuer{}
	}
	is := v.issuers[name]
	if is == nil {
		is = &issuer{reading: make(chan struct{}, 1)}
		v.issuers[name] = is
	}
	return is
}

func (is *issuer) find(kid string) *jose.JSONWebKey {
	for i := range is.keys {
		if is.keys[i].KeyID == kid {
			return &is.keys[i]
		}
	}
	return nil
}

// readKeys reads the discovery document of an issuer, and the keys that it names. An
// answer without keys is an error.
func (v *Verifier) readKeys(ctx context.Context, name string) ([]jose.JSONWebKey, error) {
	data, err := v.fetch(ctx, strings.TrimSuffix(name, "/")+"/.well-known/openid-configuration", maxDiscovery)
	if err != nil {
		return nil, err
	}
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, err
	}
	if found.Issuer != name {
		return nil, fmt.Errorf("the document of %s is of %.200q", name, found.Issuer)
	}
	if err := CheckURL(found.Keys); err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	if data, err = v.fetch(ctx, found.Keys, maxKeySet); err != nil {
		return nil, err
	}
	return parseKeys(data)
}

func (v *Verifier) fetch(ctx context.Context, url string, limit int64) ([]byte, error) {
	if v.Fetch == nil {
		return nil, fmt.Errorf("this server asks no other server")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return v.Fetch(ctx, url, limit)
}

// CheckURL refuses an address that is not https, or has a user, query or fragment.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return fmt.Errorf("%.200q is no address of https without user, query and fragment", text)
	}
	return nil
}

// parseKeys returns the keys of a set by which tokens can be verified.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys are too many", len(set.Keys))
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && usable(&k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key by which a token can be verified")
	}
	return keys, nil
}

// usable reports whether tokens can be verified by a key.
func usable(k *jose.JSONWebKey) bool {
	if k.KeyID == "" || k.Use != "" && k.Use != "sig" || !k.Valid() || !k.IsPublic() {
		return false
	}
	return len(algorithmsOf(k)) > 0
}

// algorithmsOf returns the algorithms for which a key is good.
func algorithmsOf(k *jose.JSONWebKey) []jose.SignatureAlgorithm {
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n >= minRSA && n <= maxRSA {
			return []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}

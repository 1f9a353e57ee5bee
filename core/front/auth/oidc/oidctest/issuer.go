package oidctest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"aptless/core/archive/upstream"
)

// Addresses of the issuers that are played.
const (
	GitHub   = "https://token.actions.githubusercontent.com"
	GitLab   = "https://gitlab.com"
	Audience = "https://deb.example.org"
)

// Issuer is an issuer of ID tokens.
type Issuer struct {
	Name string // its address
	Now  func() time.Time

	mu     sync.Mutex
	kid    string
	alg    jose.SignatureAlgorithm
	key    crypto.Signer
	set    jose.JSONWebKeySet
	asked  map[string]int                                                // fetches by address
	answer func(address string) (document []byte, known bool, err error) // in place of the documents; may be nil
}

// New returns an issuer with one key.
func New(t testing.TB, name string, alg jose.SignatureAlgorithm) *Issuer {
	t.Helper()
	is := &Issuer{Name: name, Now: time.Now, asked: map[string]int{}}
	is.Rotate(t, alg)
	return is
}

// NewKey returns a key for an algorithm.
func NewKey(t testing.TB, alg jose.SignatureAlgorithm) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Rotate replaces the key. Former ones are in the set no more.
func (is *Issuer) Rotate(t testing.TB, alg jose.SignatureAlgorithm) {
	t.Helper()
	key := NewKey(t, alg)
	is.mu.Lock()
	defer is.mu.Unlock()
	is.kid, is.alg, is.key = rand.Text(), alg, key
	is.set = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: is.kid, Algorithm: string(alg), Use: "sig"}}}
}

// Public returns the key as the set of the issuer has it.
func (is *Issuer) Public() jose.JSONWebKey {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.set.Keys[0]
}

// Answer has a function answer for documents. It returns false for the usual answer.
func (is *Issuer) Answer(f func(address string) (document []byte, known bool, err error)) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.answer = f
}

// Asked returns how many documents were fetched.
func (is *Issuer) Asked() int {
	is.mu.Lock()
	defer is.mu.Unlock()
	n := 0
	for _, count := range is.asked {
		n += count
	}
	return n
}

// KeysURL is the address of the keys.
func (is *Issuer) KeysURL() string { return is.Name + "/keys" }

// Discovery returns the discovery document with the address of the keys.
func (is *Issuer) Discovery(keys string) []byte {
	data, _ := json.Marshal(map[string]string{"issuer": is.Name, "jwks_uri": keys})
	return data
}

// Fetch implements upstream.Fetcher.
func (is *Issuer) Fetch(ctx context.Context, r upstream.Request) (*upstream.Answer, error) {
	is.mu.Lock()
	is.asked[r.URL]++
	answer := is.answer
	set, _ := json.Marshal(is.set)
	is.mu.Unlock()
	var data []byte
	known := false
	if answer != nil {
		var err error
		if data, known, err = answer(r.URL); err != nil {
			return nil, err
		}
	}
	switch {
	case known:
	case r.URL == is.Name+"/.well-known/openid-configuration":
		data = is.Discovery(is.KeysURL())
	case r.URL == is.KeysURL():
		data = set
	default:
		return nil, &upstream.StatusError{Code: 404, URL: r.URL}
	}
	if int64(len(data)) > r.Limit {
		return nil, fmt.Errorf("%s: %w", r.URL, upstream.ErrTooLarge)
	}
	return &upstream.Answer{Body: io.NopCloser(bytes.NewReader(data)), Size: int64(len(data))}, nil
}

// Claims returns the claims of a job of GitHub for acme/hello, with changes. A change to
// nil removes a claim.
func (is *Issuer) Claims(changes map[string]any) map[string]any {
	now := is.Now()
	claims := map[string]any{"iss": is.Name, "aud": Audience, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "nbf": now.Unix(), "jti": rand.Text(),
		"sub": "repo:acme/hello:ref:refs/heads/main", "repository": "acme/hello", "repository_id": "1001", "repository_owner": "acme", "repository_owner_id": "7",
		"ref": "refs/heads/main", "sha": "0123456789abcdef0123456789abcdef01234567", "event_name": "push", "environment": "release",
		"workflow_ref": "acme/hello/.github/workflows/release.yml@refs/heads/main", "run_id": "42", "actor": "alice"}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// LabClaims returns the claims of a job of GitLab for acme/hello, with changes.
func (is *Issuer) LabClaims(changes map[string]any) map[string]any {
	now := is.Now()
	claims := map[string]any{"iss": is.Name, "aud": Audience, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "nbf": now.Unix(), "jti": rand.Text(),
		"sub": "project_path:acme/hello:ref_type:branch:ref:main", "project_path": "acme/hello", "project_id": "1001", "namespace_id": "7", "namespace_path": "acme",
		"ref": "main", "ref_type": "branch", "ref_protected": "true", "sha": "89abcdef0123456789abcdef0123456789abcdef", "pipeline_id": "5", "job_id": "6",
		"pipeline_source": "push", "user_login": "alice", "user_email": "alice@example.org"}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// Sign returns the ID token of claims.
func (is *Issuer) Sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return is.SignWith(t, nil, claims)
}

// SignWith returns the ID token of claims with changed headers. A header of nil is
// removed.
func (is *Issuer) SignWith(t testing.TB, changes map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	is.mu.Lock()
	key, alg, headers := is.key, is.alg, map[jose.HeaderKey]any{"kid": is.kid}
	is.mu.Unlock()
	maps.Copy(headers, changes)
	maps.DeleteFunc(headers, func(_ jose.HeaderKey, v any) bool { return v == nil })
	return Sign(t, alg, key, headers, claims)
}

// Sign returns the ID token of claims by a key, with headers.
func Sign(t testing.TB, alg jose.SignatureAlgorithm, key any, headers map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, &jose.SignerOptions{ExtraHeaders: headers})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

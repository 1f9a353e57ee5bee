package oidc_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"aptless/core/archive/upstream"
	"aptless/core/front/auth/oidc"
	"aptless/core/front/auth/oidc/oidctest"
)

func verifier(is *oidctest.Issuer) *oidc.Verifier {
	return &oidc.Verifier{Now: is.Now, Fetch: func(ctx context.Context, url string, limit int64) ([]byte, error) {
		return upstream.GetHere(ctx, is, url, limit)
	}}
}

// accepting accepts an issuer for the audience of oidctest.
func accepting(name string) func(string) []string {
	return func(issuer string) []string {
		if issuer != name {
			return nil
		}
		return []string{oidctest.Audience}
	}
}

func TestEachAlgorithmIsVerified(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA} {
		is := oidctest.New(t, oidctest.GitHub, alg)
		token, err := verifier(is).Verify(t.Context(), is.Sign(t, is.Claims(nil)), accepting(is.Name))
		if err != nil || token.Claims["repository"] != "acme/hello" || token.Audience != oidctest.Audience || len(token.ID) != 64 {
			t.Errorf("%s: %+v, %v", alg, token, err)
		}
	}
}

// TestUnusableKeysVerifyNothing: too short, for encryption, for another algorithm, secret.
func TestUnusableKeysVerifyNothing(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	large := oidctest.NewKey(t, jose.RS256)
	for what, c := range map[string]struct {
		key  crypto.Signer
		set  jose.JSONWebKey
		want error
	}{
		"1024 bits":         {small, jose.JSONWebKey{Key: small.Public(), KeyID: "k"}, oidc.ErrKeys},
		"for encryption":    {large, jose.JSONWebKey{Key: large.Public(), KeyID: "k", Use: "enc"}, oidc.ErrKeys},
		"another algorithm": {large, jose.JSONWebKey{Key: large.Public(), KeyID: "k", Algorithm: "PS256"}, nil},
		"secret":            {large, jose.JSONWebKey{Key: []byte("secret of a symmetric key"), KeyID: "k"}, oidc.ErrKeys},
		"private":           {large, jose.JSONWebKey{Key: large, KeyID: "k"}, oidc.ErrKeys},
		"without kid":       {large, jose.JSONWebKey{Key: large.Public()}, oidc.ErrKeys},
	} {
		is := oidctest.New(t, oidctest.GitHub, jose.RS256)
		set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{c.set}})
		if err != nil {
			t.Fatal(err)
		}
		is.Answer(func(at string) ([]byte, bool, error) { return set, at == is.KeysURL(), nil })
		idToken := oidctest.Sign(t, jose.RS256, c.key, map[jose.HeaderKey]any{"kid": "k"}, is.Claims(nil))
		_, err = verifier(is).Verify(t.Context(), idToken, accepting(is.Name))
		var invalid *oidc.Invalid
		if c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errors.As(err, &invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSlowIssuerIsNotWaitedFor longer than 10 seconds.
func TestSlowIssuerIsNotWaitedFor(t *testing.T) {
	is := oidctest.New(t, oidctest.GitHub, jose.ES256)
	synctest.Test(t, func(t *testing.T) {
		v := &oidc.Verifier{Now: time.Now, Fetch: func(ctx context.Context, url string, _ int64) ([]byte, error) {
			if url == is.KeysURL() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			time.Sleep(4 * time.Second)
			return is.Discovery(is.KeysURL()), nil
		}}
		began := time.Now()
		idToken := is.Sign(t, is.Claims(map[string]any{"exp": began.Add(time.Minute).Unix()}))
		_, err := v.Verify(t.Context(), idToken, accepting(is.Name))
		if took := time.Since(began); !errors.Is(err, oidc.ErrKeys) || took > 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// FuzzVerify holds that no text is valid but one that the issuer has signed.
func FuzzVerify(f *testing.F) {
	is := oidctest.New(f, oidctest.GitHub, jose.ES256)
	good := is.Sign(f, is.Claims(map[string]any{"jti": "1"}))
	f.Add(good)
	f.Add("a.b.c")
	f.Add(good[:len(good)-1])
	f.Add(good + "=")
	v := verifier(is)
	want, err := v.Verify(f.Context(), good, accepting(is.Name))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := v.Verify(t.Context(), text, accepting(is.Name))
		if err == nil && got.ID != want.ID {
			t.Errorf("%q is valid", text)
		}
	})
}

// TestHangingIssuer: a token that waits for another one's reading of keys ends with its
// context. A client that goes away during a reading does not end the reading for others.
func TestHangingIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := oidctest.New(t, oidctest.GitHub, jose.EdDSA)
		v := verifier(is)
		answer, hang := v.Fetch, true
		v.Now = time.Now
		v.Fetch = func(ctx context.Context, url string, limit int64) ([]byte, error) {
			if hang {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(3 * time.Second):
				}
			}
			return answer(ctx, url, limit)
		}
		token := is.Sign(t, is.Claims(nil))
		verify := func(after time.Duration) (time.Duration, error) {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			_, err := v.Verify(ctx, token, accepting(is.Name))
			return time.Since(began), err
		}
		first := make(chan error, 1)
		go func() {
			_, err := verify(time.Second) // it goes away while it reads
			first <- err
		}()
		synctest.Wait()
		if took, err := verify(2 * time.Second); took != 2*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a token that waits: %v after %s", err, took)
		}
		if _, err := verify(time.Minute); err != nil {
			t.Errorf("a token after the reading of a client that is gone: %v", err)
		}
		<-first
	})
}

package oidc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Limits of a token.
const (
	maxToken = 16 << 10 // bytes
	leeway   = 30 * time.Second
	maxLife  = 24 * time.Hour // until exp
	maxJTI   = 1 << 10        // bytes
)

// Token is a valid ID token.
type Token struct {
	Issuer   string
	Audience string
	Expires  time.Time
	ID       string         // 64 hexadecimal digits
	Claims   map[string]any // with json.Number for numbers
}

// parts are the decoded parts of a token's text.
type parts struct {
	header, payload []byte
	kid             string
	claims          map[string]any
}

// algorithms are the algorithms of accepted tokens.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA}
}

// Verify returns the token of a text. accept returns the audiences of the policies of
// an issuer, nil if there is none. The error is *Invalid, or ErrKeys.
func (v *Verifier) Verify(ctx context.Context, text string, accept func(issuer string) (audiences []string)) (Token, error) {
	p, err := split(text)
	if err != nil {
		return Token{}, err
	}
	signed, err := jose.ParseSignedCompact(text, algorithms())
	if err != nil {
		return Token{}, invalid("%v", err)
	}
	issuer, _ := p.claims["iss"].(string)
	audiences := accept(issuer)
	if len(audiences) == 0 {
		return Token{}, invalid("no policy has the issuer %.200q", issuer)
	}
	key, err := v.key(ctx, issuer, p.kid)
	if err != nil {
		return Token{}, err
	}
	alg := signed.Signatures[0].Header.Algorithm
	if !slices.Contains(algorithmsOf(key), jose.SignatureAlgorithm(alg)) || key.Algorithm != "" && key.Algorithm != alg {
		return Token{}, invalid("the key %.50q is not for %s", p.kid, alg)
	}
	if _, err := signed.Verify(key.Key); err != nil {
		return Token{}, invalid("the signature is wrong")
	}
	return p.token(issuer, audiences, v.Now())
}

// split decodes the parts of a token's text, and checks the header.
func split(text string) (p parts, err error) {
	if len(text) > maxToken {
		return p, invalid("more than %d bytes", maxToken)
	}
	var decoded [3][]byte
	list := strings.Split(text, ".")
	if len(list) != len(decoded) {
		return p, invalid("it has %d parts", len(list))
	}
	for i, part := range list {
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return p, invalid("part %d is not base64url", i+1)
		}
	}
	p.header, p.payload = decoded[0], decoded[1]
	header, err := object(p.header)
	if err != nil {
		return p, err
	}
	if _, there := header["crit"]; there {
		return p, invalid("the header has crit")
	}
	if p.kid, _ = header["kid"].(string); p.kid == "" {
		return p, invalid("the header has no kid")
	}
	p.claims, err = object(p.payload)
	return p, err
}

// object decodes a JSON object.
func object(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil || m == nil {
		return nil, invalid("a part is no JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, invalid("a part has more than one value")
	}
	return m, nil
}

// token checks the claims of a signed token.
func (p parts) token(issuer string, audiences []string, now time.Time) (Token, error) {
	t := Token{Issuer: issuer, Claims: p.claims}
	switch aud := p.claims["aud"].(type) {
	case string:
		t.Audience = aud
	case []any:
		if len(aud) != 1 {
			return t, invalid("it has %d audiences", len(aud))
		}
		t.Audience, _ = aud[0].(string)
	}
	if t.Audience == "" || !slices.Contains(audiences, t.Audience) {
		return t, invalid("it is for another audience")
	}
	exp, err := p.time("exp")
	if err != nil {
		return t, err
	}
	iat, err := p.time("iat")
	if err != nil {
		return t, err
	}
	if _, there := p.claims["nbf"]; there {
		nbf, err := p.time("nbf")
		if err != nil {
			return t, err
		}
		if nbf.After(now.Add(leeway)) {
			return t, invalid("it is not valid yet")
		}
	}
	switch {
	case now.After(exp.Add(leeway)):
		return t, invalid("it expired on %s", exp.UTC().Format(time.RFC3339))
	case exp.After(now.Add(maxLife)):
		return t, invalid("it is valid for more than %v", maxLife)
	case iat.After(now.Add(leeway)):
		return t, invalid("it was issued in the future")
	}
	t.Expires = exp
	t.ID, err = p.id(issuer)
	return t, err
}

// time returns a claim that is a NumericDate (RFC 7519 2).
func (p parts) time(name string) (time.Time, error) {
	number, ok := p.claims[name].(json.Number)
	seconds, err := number.Float64()
	if !ok || err != nil || math.Abs(seconds) > 1<<40 {
		return time.Time{}, invalid("its claim %s is no time", name)
	}
	whole, rest := math.Modf(seconds)
	return time.Unix(int64(whole), int64(rest*1e9)), nil
}

// id returns the ID of a token.
func (p parts) id(issuer string) (string, error) {
	text := fmt.Sprintf("%x.%x", p.header, p.payload)
	if claim, there := p.claims["jti"]; there {
		jti, ok := claim.(string)
		if !ok || jti == "" || len(jti) > maxJTI {
			return "", invalid("its claim jti is no text of 1 to %d bytes", maxJTI)
		}
		text = issuer + "\x00" + jti
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:]), nil
}

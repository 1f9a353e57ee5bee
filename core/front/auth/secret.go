package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"regexp"
	"strings"
)

// Kind is a kind of principal.
type Kind string

// Kinds of principals. Tokens are of the first three.
const (
	API      Kind = "api"      // calls the API
	Short    Kind = "short"    // was exchanged for an ID token
	Download Kind = "download" // reads published files only
	Open     Kind = "open"     // any caller, where there is no authentication
	Env      Kind = "env"      // has the token of the server's environment
	System   Kind = "system"   // the server itself
	IAM      Kind = "iam"      // has AWS credentials that API Gateway has verified
	Cert     Kind = "cert"     // has a certificate that TLS has verified
)

// prefixes are the beginnings of secrets. Scanners for leaked secrets find them.
var prefixes = map[Kind]string{API: "aptk_", Short: "apts_", Download: "aptd_"}

// A secret has 43 characters: a prefix, 32 random ones and a checksum. None of
// them is special in URLs, shells, netrc or YAML.
const (
	digits     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	prefixLen  = 5
	randomLen  = 32 // 190 bits
	sumLen     = 6
	secretLen  = prefixLen + randomLen + sumLen
	idLen      = 12 // hexadecimal digits of a digest that are shown
	unbiased   = 256 / len(digits) * len(digits)
	digestSize = 2 * sha256.Size
)

// NewSecret returns a new secret of a kind of token.
func NewSecret(kind Kind) string {
	b := append(make([]byte, 0, secretLen), prefixes[kind]...)
	for random := make([]byte, randomLen); len(b) < prefixLen+randomLen; {
		rand.Read(random) // never fails
		for _, r := range random {
			if int(r) < unbiased && len(b) < prefixLen+randomLen {
				b = append(b, digits[int(r)%len(digits)])
			}
		}
	}
	return string(b) + checksum(string(b))
}

// checksum returns the CRC-32 (IEEE) of a text in base 62, with six digits.
func checksum(text string) string {
	var b [sumLen]byte
	sum := crc32.ChecksumIEEE([]byte(text))
	for i := range b {
		b[sumLen-1-i] = digits[sum%uint32(len(digits))]
		sum /= uint32(len(digits))
	}
	return string(b[:])
}

// KindOf returns the kind of a secret; false if its form or checksum is wrong.
func KindOf(secret string) (Kind, bool) {
	if len(secret) != secretLen || strings.Trim(secret[prefixLen:], digits) != "" {
		return "", false
	}
	body := secret[:prefixLen+randomLen]
	if checksum(body) != secret[prefixLen+randomLen:] {
		return "", false
	}
	for kind, prefix := range prefixes {
		if secret[:prefixLen] == prefix {
			return kind, true
		}
	}
	return "", false
}

// Digest returns the SHA-256 of a secret in hexadecimal digits.
func Digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// IDOf returns the ID of the token with a digest.
func IDOf(digest string) string { return digest[:min(idLen, len(digest))] }

// leaked matches a secret inside another text.
var leaked = regexp.MustCompile(`apt[ksd]_[0-9A-Za-z]{38}`)

// Redact replaces the secrets in a text before the text is stored or logged. Example: a
// client sends a secret as the name of a repository.
func Redact(text string) string { return leaked.ReplaceAllString(text, "apt*_***") }

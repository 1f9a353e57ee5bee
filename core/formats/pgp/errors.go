package pgp

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of reading.
var (
	// ErrMalformed says that bytes violate OpenPGP.
	ErrMalformed = errors.New("malformed OpenPGP data")
	// ErrTooLarge says that a limit of this package is exceeded.
	ErrTooLarge = errors.New("OpenPGP data too large")
	// ErrUnsupported says that this package does not support the version,
	// algorithm or format.
	ErrUnsupported = errors.New("unsupported OpenPGP data")
	// ErrNoKey says that data has no key.
	ErrNoKey = errors.New("no valid OpenPGP data found")
)

// Reasons for refusing a signature.
var (
	// ErrNotClearsigned says that a text is not clearsigned.
	ErrNotClearsigned = errors.New("no clearsigned data found")
	// ErrNoSignature says that data has no signature.
	ErrNoSignature = errors.New("no signature found")
	// ErrUnknownKey says that the ring lacks the signature's key.
	ErrUnknownKey = errors.New("no public key")
	// ErrBadSignature says that the signature does not match the text.
	ErrBadSignature = errors.New("bad signature")
	// ErrWeakDigest says that the signature is over MD5, SHA-1 or RIPEMD-160.
	ErrWeakDigest = errors.New("digest algorithm too weak")
	// ErrExpired says that the key or signature is not yet, or no longer, valid.
	ErrExpired = errors.New("expired or not yet valid")
	// ErrRevoked says that the key is revoked.
	ErrRevoked = errors.New("key is revoked")
	// ErrNotSigning says that the key may not sign.
	ErrNotSigning = errors.New("key is not for signing")
)

// Reasons why a key cannot sign. The texts are aptly's.
var (
	// ErrNoSuchKey says that no key matches a reference.
	ErrNoSuchKey = errors.New("couldn't find key for key reference")
	// ErrNoDefaultKey says that there is no key.
	ErrNoDefaultKey = errors.New("looks like there are no keys in gpg, please create one (official manual: http://www.gnupg.org/gph/en/manual.html)")
	// ErrLocked says that the key needs a passphrase.
	ErrLocked = errors.New("key is locked with passphrase, but no passphrase was given in batch mode")
	// ErrPassphrase says that the passphrase does not unlock the key.
	ErrPassphrase = errors.New("unable to decrypt the key, passphrase is wrong")
	// ErrNoSecret says that the key has no usable private part.
	ErrNoSecret = errors.New("no secret key")
)

// SignatureError says why one signature is refused.
type SignatureError struct {
	Key KeyID // the issuer in the signature; 0 if there is none
	Err error
}

func (e *SignatureError) Error() string {
	if e.Key == 0 {
		return fmt.Sprintf("signature without issuer: %v", e.Err)
	}
	return fmt.Sprintf("signature by %s: %v", e.Key, e.Err)
}

// Unwrap returns the reason.
func (e *SignatureError) Unwrap() error { return e.Err }

// signatureErrors are the refused signatures of one message.
type signatureErrors []error

func (e signatureErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e signatureErrors) Unwrap() []error { return e }

// Refused returns a refusal in aptly's words, followed by the reason:
// "verification of detached signature failed: exit status 2: signature by
// 0123456789ABCDEF: no public key". kind is "detached signature" or "clearsigned
// file". The result wraps err.
func Refused(kind string, err error) error {
	return fmt.Errorf("verification of %s failed: exit status %d: %w", kind, ExitStatus(err), err)
}

// ExitStatus returns gpgv's exit status for err: 0 for nil, 1 for a bad
// signature, 2 for everything else, such as a missing key. aptly's messages
// contain it.
func ExitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrBadSignature):
		return 1
	}
	return 2
}

package pgp

import (
	"errors"
	"fmt"
	"strings"
)

// Reasons why something cannot be read.
var (
	// ErrMalformed says that the bytes are not what OpenPGP prescribes.
	ErrMalformed = errors.New("malformed OpenPGP data")
	// ErrTooLarge says that a limit of this package is exceeded.
	ErrTooLarge = errors.New("OpenPGP data too large")
	// ErrUnsupported says that the version, algorithm or format is not known here.
	ErrUnsupported = errors.New("unsupported OpenPGP data")
	// ErrNoKey says that there is no key in what was to be read as keys.
	ErrNoKey = errors.New("no valid OpenPGP data found")
)

// Reasons why a signature is refused.
var (
	// ErrNotClearsigned says that the text has no signature around it.
	ErrNotClearsigned = errors.New("no clearsigned data found")
	// ErrNoSignature says that there is no signature in what was to be read as one.
	ErrNoSignature = errors.New("no signature found")
	// ErrUnknownKey says that the signature is by a key that is not in the ring.
	ErrUnknownKey = errors.New("no public key")
	// ErrBadSignature says that the text is not what the key has signed.
	ErrBadSignature = errors.New("bad signature")
	// ErrWeakDigest says that the signature is over MD5, SHA-1 or RIPEMD-160.
	ErrWeakDigest = errors.New("digest algorithm too weak")
	// ErrExpired says that the key or the signature is no longer or not yet valid.
	ErrExpired = errors.New("expired or not yet valid")
	// ErrRevoked says that the key is revoked.
	ErrRevoked = errors.New("key is revoked")
	// ErrNotSigning says that the key is not one that may sign.
	ErrNotSigning = errors.New("key is not for signing")
)

// Reasons why a key cannot be used to sign. The texts are those clients know.
var (
	// ErrNoSuchKey precedes the reference that no key answers to.
	ErrNoSuchKey = errors.New("couldn't find key for key reference")
	// ErrNoDefaultKey says that there is no key at all.
	ErrNoDefaultKey = errors.New("looks like there are no keys in gpg, please create one (official manual: http://www.gnupg.org/gph/en/manual.html)")
	// ErrLocked says that the key needs a passphrase.
	ErrLocked = errors.New("key is locked with passphrase, but no passphrase was given in batch mode")
	// ErrPassphrase says that the passphrase given does not unlock the key.
	ErrPassphrase = errors.New("unable to decrypt the key, passphrase is wrong")
	// ErrNoSecret says that the private part, or a usable one, is missing.
	ErrNoSecret = errors.New("no secret key")
)

// SignatureError says why the signature of one key is refused.
type SignatureError struct {
	Key KeyID // the issuer the signature names; 0 if it names none
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

// Refused returns a refusal in the words that clients of aptly know, followed
// by the reason: "verification of detached signature failed: exit status 2:
// signature by 0123456789ABCDEF: no public key". kind is "detached signature"
// or "clearsigned file". The result wraps err.
func Refused(kind string, err error) error {
	return fmt.Errorf("verification of %s failed: exit status %d: %w", kind, ExitStatus(err), err)
}

// ExitStatus returns the status gpgv exits with where a function of this
// package returns err: 0 for nil, 1 for a signature that is bad, 2 for
// everything else, such as a missing key. Clients of aptly see it in messages.
func ExitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrBadSignature):
		return 1
	}
	return 2
}

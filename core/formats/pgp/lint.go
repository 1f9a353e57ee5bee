package pgp

import (
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Problem is a fault of a key that apt refuses or warns of.
type Problem struct {
	Code  string // one of the constants below; stable
	Fatal bool   // some version of apt in use refuses the key
	Text  string // a sentence
}

// Codes of problems.
const (
	ProblemRevoked       = "revoked"
	ProblemExpired       = "expired"
	ProblemExpiresSoon   = "expires-soon"
	ProblemNotYetValid   = "not-yet-valid"
	ProblemNoSigning     = "no-signing"
	ProblemNoSelf        = "no-self-signature"
	ProblemSHA1Self      = "sha1-self-signature"
	ProblemRSATooShort   = "rsa-too-short"
	ProblemRSAShort      = "rsa-short"
	ProblemDSA           = "dsa"
	ProblemUnknownToGPGV = "unknown-to-gpgv"
)

// expiresSoon is how long before the expiry Lint reports it.
const expiresSoon = 30 * 24 * time.Hour

// apt 2.9 and later refuse RSA keys below minRSABits, and warn below goodRSABits.
const (
	minRSABits  = 2048
	goodRSABits = 3072
)

// Lint returns the problems that current versions of apt have with the key's
// signatures at now. It returns nil if there are none.
func Lint(k *Key, now time.Time) []Problem {
	l := linter{now: now}
	if k.primary.revoked {
		l.fatal(ProblemRevoked, "The key %s is revoked.", k.ID())
	}
	l.half(k, k.primary)
	usable := false
	for _, h := range k.certKeys() {
		// Subkeys that do not sign do not matter.
		err := k.maySign(h, time.Time{})
		if err == nil && h.PublicKey != k.primary.PublicKey {
			l.half(k, h)
		}
		usable = usable || err == nil
	}
	if !usable && !k.primary.revoked {
		l.fatal(ProblemNoSigning, "The key %s has no part that may sign.", k.ID())
	}
	return l.found
}

// linter collects problems.
type linter struct {
	now   time.Time
	found []Problem
}

func (l *linter) fatal(code, format string, args ...any) {
	l.found = append(l.found, Problem{code, true, fmt.Sprintf(format, args...)})
}

func (l *linter) warn(code, format string, args ...any) {
	l.found = append(l.found, Problem{code, false, fmt.Sprintf(format, args...)})
}

// half checks the primary key or a signing subkey.
func (l *linter) half(k *Key, h certKey) {
	what := fmt.Sprintf("key %s", k.ID())
	if h.PublicKey != k.primary.PublicKey {
		what = fmt.Sprintf("subkey %s of %s", KeyID(h.KeyId), what)
	}
	l.times(what, h)
	l.algorithm(what, h)
	switch {
	case h.self == nil:
		l.fatal(ProblemNoSelf, "The %s has no user ID that is signed by the key.", what)
	case weak(h.self.Hash):
		l.fatal(ProblemSHA1Self, "The %s is certified with SHA-1, which apt refuses since February 2026.", what)
	case h.self.EmbeddedSignature != nil && weak(h.self.EmbeddedSignature.Hash):
		l.fatal(ProblemSHA1Self, "The %s certifies its primary key with SHA-1, which apt refuses since February 2026.", what)
	}
}

func (l *linter) times(what string, h certKey) {
	const day = "2 January 2006"
	if h.CreationTime.After(l.now) || h.self != nil && h.self.CreationTime.After(l.now) {
		l.fatal(ProblemNotYetValid, "The %s is not valid yet.", what)
	}
	end, ok := h.expires()
	switch {
	case ok && !l.now.Before(end):
		l.fatal(ProblemExpired, "The %s expired on %s.", what, end.Format(day))
	case ok && end.Sub(l.now) <= expiresSoon:
		l.warn(ProblemExpiresSoon, "The %s expires on %s.", what, end.Format(day))
	}
}

func (l *linter) algorithm(what string, h certKey) {
	switch h.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		switch bits, _ := h.BitLength(); {
		case bits < minRSABits:
			l.fatal(ProblemRSATooShort, "The %s is RSA of %d bits; apt refuses less than %d.", what, bits, minRSABits)
		case bits < goodRSABits:
			l.warn(ProblemRSAShort, "The %s is RSA of %d bits; apt warns of less than %d.", what, bits, goodRSABits)
		}
	case packet.PubKeyAlgoDSA:
		l.fatal(ProblemDSA, "The %s is DSA, which apt refuses.", what)
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA:
	default:
		l.fatal(ProblemUnknownToGPGV, "The %s is of algorithm %d, which gpgv 2.2 does not read.", what, h.PubKeyAlgo)
	}
}

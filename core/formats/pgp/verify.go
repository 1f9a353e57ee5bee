package pgp

import (
	_ "crypto/sha256" // registers the digests
	_ "crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Signature is a verified signature.
type Signature struct {
	Key    KeyID     // of the primary key
	Subkey KeyID     // of the subkey that signed; 0 if the primary key did
	Time   time.Time // the signature's own time of creation
}

// Signer returns the ID of the signing key, the primary key or a subkey.
func (s Signature) Signer() KeyID {
	if s.Subkey != 0 {
		return s.Subkey
	}
	return s.Key
}

// VerifyClearsigned returns the text of a clearsigned file, and its good
// signatures. Each line of the text ends in a newline without white space before
// it.
//
// The rule is apt's (methods/gpgv.cc of apt 2.6): at least one signature is good,
// and none is bad. Signatures by unknown, expired or revoked keys are skipped, so
// archives can sign with an old and a new key. Example: one good signature and
// one by an unknown key verify. One good signature and one over another text do
// not.
//
// The error names each refused signature. Keys and signatures must be valid at
// now. Like gpgv, a zero now skips the checks of time.
func (r *Keyring) VerifyClearsigned(data []byte, now time.Time) (text []byte, sigs []Signature, err error) {
	c, err := parseClear(data)
	if err != nil {
		return nil, nil, err
	}
	signed := c.canonical()
	sigs, err = r.verify(c.sigs, now, func(_ packet.SignatureType, h hash.Hash) { h.Write(signed) })
	if err != nil {
		return nil, nil, err
	}
	return c.text(), sigs, nil
}

// VerifyDetached verifies signatures of data, armored or binary, by the rule of
// VerifyClearsigned. It returns the good ones.
func (r *Keyring) VerifyDetached(data, signature []byte, now time.Time) ([]Signature, error) {
	if len(data) > maxMessage || len(signature) > maxMessage {
		return nil, fmt.Errorf("%d bytes signed by %d: %w", len(data), len(signature), ErrTooLarge)
	}
	packets, err := unwrap(signature, true, armorSignature)
	if err != nil {
		return nil, err
	}
	return r.verify(packets, now, func(kind packet.SignatureType, h hash.Hash) {
		if kind == packet.SigTypeText {
			h = openpgp.NewCanonicalTextHash(h)
		}
		h.Write(data)
	})
}

// verify verifies the signatures in packets over the bytes that write hashes. It
// returns the good ones.
func (r *Keyring) verify(packets []byte, now time.Time, write func(packet.SignatureType, hash.Hash)) ([]Signature, error) {
	var all []frame
	for f, err := range frames(packets) {
		switch {
		case err != nil:
			return nil, err
		case f.tag == tagMarker:
		case f.tag != tagSignature:
			return nil, fmt.Errorf("packet %d among signatures: %w", f.tag, ErrMalformed)
		case len(all) == maxSignatures:
			return nil, fmt.Errorf("more than %d signatures: %w", maxSignatures, ErrTooLarge)
		default:
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil, ErrNoSignature
	}
	var sigs []Signature
	var refused signatureErrors
	for _, f := range all {
		sig, err := r.verifyOne(f, now, write)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		sigs = append(sigs, sig)
	}
	if len(sigs) == 0 || errors.Is(refused, ErrBadSignature) {
		return nil, refused
	}
	return sigs, nil
}

func (r *Keyring) verifyOne(f frame, now time.Time, write func(packet.SignatureType, hash.Hash)) (Signature, error) {
	// MD5 and RIPEMD-160 are unknown to the parser (RFC 4880, 9.4).
	if len(f.body) > 3 && f.body[0] == 4 && (f.body[3] == 1 || f.body[3] == 3) {
		return Signature{}, &SignatureError{Err: ErrWeakDigest}
	}
	p, err := f.parse()
	if err != nil {
		return Signature{}, &SignatureError{Err: err}
	}
	sig, ok := p.(*packet.Signature)
	if !ok || sig.Version != 4 {
		return Signature{}, &SignatureError{Err: ErrUnsupported}
	}
	var id KeyID
	if sig.IssuerKeyId != nil {
		id = KeyID(*sig.IssuerKeyId)
	}
	s, err := r.check(sig, id, now, write)
	if err != nil {
		return Signature{}, &SignatureError{Key: id, Err: err}
	}
	return s, nil
}

// supported returns an error for a signature that is invalid with any key.
func supported(sig *packet.Signature) error {
	switch {
	case sig.SigType != packet.SigTypeBinary && sig.SigType != packet.SigTypeText:
		return fmt.Errorf("signature of type %#x: %w", uint8(sig.SigType), ErrMalformed)
	case weak(sig.Hash):
		return ErrWeakDigest
	case hasCriticalNotation(sig):
		return fmt.Errorf("critical notation: %w", ErrUnsupported)
	}
	return nil
}

// check verifies a signature by the key with the given ID.
func (r *Keyring) check(sig *packet.Signature, id KeyID, now time.Time, write func(packet.SignatureType, hash.Hash)) (Signature, error) {
	if err := supported(sig); err != nil {
		return Signature{}, err
	}
	h, err := sig.PrepareVerify()
	if err != nil {
		return Signature{}, fmt.Errorf("digest %v: %w", sig.Hash, ErrUnsupported)
	}
	candidates := r.byID[id]
	if len(candidates) == 0 {
		return Signature{}, ErrUnknownKey
	}
	write(sig.SigType, h)
	refusal := ErrBadSignature
	for i, c := range candidates {
		digest := h
		if i+1 < len(candidates) {
			if digest, err = copyHash(h); err != nil {
				return Signature{}, err
			}
		}
		if c.certKey.VerifySignature(digest, sig) != nil {
			continue
		}
		if refusal = c.key.maySign(c.certKey, now); refusal == nil {
			if sig.CreationTime.Before(c.certKey.CreationTime) || !now.IsZero() && lapsed(sig, now) {
				refusal = ErrExpired
			}
		}
		if refusal == nil {
			s := Signature{Key: c.key.ID(), Time: sig.CreationTime.UTC()}
			if c.certKey.PublicKey != c.key.primary.PublicKey {
				s.Subkey = id
			}
			return s, nil
		}
	}
	return Signature{}, refusal
}

// copyHash returns an independent copy of a hash.
func copyHash(h hash.Hash) (hash.Hash, error) {
	c, ok := h.(hash.Cloner)
	if !ok {
		return nil, fmt.Errorf("digest of %d bytes: %w", h.Size(), ErrUnsupported)
	}
	return c.Clone()
}

package pgp

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Key is a certificate: a public primary key with its user IDs and subkeys. It is
// immutable and safe for concurrent use.
type Key struct {
	parts   []part // the primary key, then user IDs and subkeys, in the order read
	primary certKey
	subkeys []certKey
	userIDs []userID
}

// part is a key or user ID with its signatures.
type part struct {
	frame
	sigs []frame
}

// certKey is a public key of a certificate with its valid self-signatures.
type certKey struct {
	*packet.PublicKey
	self    *packet.Signature // the newest of a user ID or binding; nil if there is none
	direct  *packet.Signature // the newest on the key itself; nil if there is none
	revoked bool
}

// userID is a user ID with its newest valid self-signature.
type userID struct {
	text    string
	self    *packet.Signature // nil if there is none
	revoked bool
}

// Fingerprint returns the fingerprint of the primary key: 40 upper-case
// hexadecimal digits.
func (k *Key) Fingerprint() string { return fmt.Sprintf("%X", k.primary.Fingerprint) }

// ID returns the key ID of the primary key.
func (k *Key) ID() KeyID { return KeyID(k.primary.KeyId) }

// Subkeys returns the key IDs of the subkeys that are bound to the key.
func (k *Key) Subkeys() []KeyID {
	var ids []KeyID
	for _, s := range k.subkeys {
		ids = append(ids, KeyID(s.KeyId))
	}
	return ids
}

// UserIDs returns the user IDs that are not revoked. They are untrusted text.
func (k *Key) UserIDs() []string {
	var texts []string
	for _, u := range k.userIDs {
		if !u.revoked {
			texts = append(texts, u.text)
		}
	}
	return texts
}

// Created returns the time of the key's creation.
func (k *Key) Created() time.Time { return k.primary.CreationTime.UTC() }

// Expires returns the time at which the primary key expires. ok is false if it
// never does.
func (k *Key) Expires() (at time.Time, ok bool) { return k.primary.expires() }

// Revoked reports whether the key is revoked.
func (k *Key) Revoked() bool { return k.primary.revoked }

// Algorithm returns gpg's name of the primary key's algorithm: "rsa4096",
// "ed25519", "nistp256", "dsa1024".
func (k *Key) Algorithm() string { return k.primary.algorithm() }

// Binary returns the key as a sequence of packets.
func (k *Key) Binary() []byte {
	var b []byte
	for _, p := range k.parts {
		b = append(b, p.raw...)
		for _, s := range p.sigs {
			b = append(b, s.raw...)
		}
	}
	return b
}

// Armor returns the key as an armored block.
func (k *Key) Armor() []byte { return armor(nil, armorPublic, k.Binary()) }

// certKeys yields the primary key, then the subkeys.
func (k *Key) certKeys() []certKey { return append([]certKey{k.primary}, k.subkeys...) }

// expires returns the time at which a key expires. A direct-key signature often
// has another purpose, such as naming a revoker. So both signatures count.
func (h certKey) expires() (at time.Time, ok bool) {
	for _, sig := range []*packet.Signature{h.self, h.direct} {
		if sig == nil || sig.KeyLifetimeSecs == nil || *sig.KeyLifetimeSecs == 0 {
			continue
		}
		end := h.CreationTime.UTC().Add(time.Duration(*sig.KeyLifetimeSecs) * time.Second)
		if !ok || end.Before(at) {
			at, ok = end, true
		}
	}
	return at, ok
}

// algorithm returns gpg's name of the algorithm.
func (h certKey) algorithm() string {
	bits, _ := h.BitLength()
	switch h.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoRSAEncryptOnly:
		return "rsa" + strconv.Itoa(int(bits))
	case packet.PubKeyAlgoDSA:
		return "dsa" + strconv.Itoa(int(bits))
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return "ed25519"
	}
	if curve, err := h.Curve(); err == nil {
		switch curve {
		case packet.CurveNistP256:
			return "nistp256"
		case packet.CurveNistP384:
			return "nistp384"
		case packet.CurveNistP521:
			return "nistp521"
		}
		return strings.ToLower(string(curve))
	}
	return "algorithm " + strconv.Itoa(int(h.PubKeyAlgo))
}

// parseKey makes a Key of its parts. The first is the primary key.
func parseKey(parts []part) (*Key, error) {
	pub, err := parsePublic(parts[0].frame)
	if err != nil {
		return nil, err
	}
	k := &Key{parts: parts, primary: certKey{PublicKey: pub}}
	budget := maxSelfSigs
	k.readDirect(parts[0].sigs, &budget)
	for _, p := range parts[1:] {
		switch p.tag {
		case tagUserID:
			k.readUserID(p, &budget)
		case tagPublicSubkey:
			k.readSubkey(p, &budget)
		}
	}
	if budget < 0 {
		return nil, fmt.Errorf("key %s: more than %d signatures: %w", k.ID(), maxSelfSigs, ErrTooLarge)
	}
	return k, nil
}

// parsePublic reads a public key of version 4.
func parsePublic(f frame) (*packet.PublicKey, error) {
	if len(f.body) > 0 && f.body[0] != 4 {
		return nil, fmt.Errorf("key of version %d: %w", f.body[0], ErrUnsupported)
	}
	p, err := f.parse()
	if err != nil {
		return nil, err
	}
	pub, ok := p.(*packet.PublicKey)
	if !ok {
		return nil, fmt.Errorf("packet %d is no public key: %w", f.tag, ErrMalformed)
	}
	// Unparsed bytes would give the key another fingerprint in other programs.
	if len(f.body) > 0xffff || !bytes.Equal(pub.Fingerprint, fingerprint(f.body)) {
		return nil, fmt.Errorf("key %X: %w", pub.KeyId, ErrMalformed)
	}
	bits, err := pub.BitLength()
	if err != nil || bits > maxBits || pub.PubKeyAlgo == packet.PubKeyAlgoDSA && bits > maxDSABits {
		return nil, fmt.Errorf("key %X of %d bits: %w", pub.KeyId, bits, ErrUnsupported)
	}
	return pub, nil
}

// fingerprint computes a fingerprint of RFC 4880, 12.2.
func fingerprint(body []byte) []byte {
	h := sha1.New()
	h.Write([]byte{0x99, byte(len(body) >> 8), byte(len(body))})
	h.Write(body)
	return h.Sum(nil)
}

// selfSigs returns the primary key's signatures among frames that verify accepts,
// oldest first.
func (k *Key) selfSigs(frames []frame, budget *int, verify func(*packet.Signature) error) []*packet.Signature {
	var sigs []*packet.Signature
	for _, f := range frames {
		p, err := f.parse()
		if err != nil {
			continue
		}
		sig, ok := p.(*packet.Signature)
		if !ok || sig.Version != 4 || !sig.CheckKeyIdOrFingerprint(k.primary.PublicKey) || hasCriticalNotation(sig) {
			continue
		}
		if *budget--; *budget < 0 {
			return nil
		}
		if verify(sig) == nil {
			sigs = append(sigs, sig)
		}
	}
	slices.SortStableFunc(sigs, func(a, b *packet.Signature) int { return a.CreationTime.Compare(b.CreationTime) })
	return sigs
}

// hasCriticalNotation reports whether sig has a critical notation. All notations
// are unknown here, so such a signature must be ignored (RFC 4880, 5.2.3.16).
func hasCriticalNotation(sig *packet.Signature) bool {
	return slices.ContainsFunc(sig.Notations, func(n *packet.Notation) bool { return n.IsCritical })
}

var errSigType = errors.New("signature type out of place")

// readDirect reads the signatures after the primary key: revocations and
// direct-key signatures.
func (k *Key) readDirect(frames []frame, budget *int) {
	for _, sig := range k.selfSigs(frames, budget, func(sig *packet.Signature) error {
		switch sig.SigType {
		case packet.SigTypeKeyRevocation:
			return k.primary.VerifyRevocationSignature(sig)
		case packet.SigTypeDirectSignature:
			return k.primary.VerifyDirectKeySignature(sig)
		}
		return errSigType
	}) {
		if sig.SigType == packet.SigTypeKeyRevocation {
			k.primary.revoked = true
		} else {
			k.primary.direct = sig
		}
	}
}

// readUserID reads a user ID. The newest self-signature of any user ID applies to
// the primary key. So prolonging a key needs only one.
func (k *Key) readUserID(p part, budget *int) {
	u := userID{text: string(p.body)}
	for _, sig := range k.selfSigs(p.sigs, budget, func(sig *packet.Signature) error {
		switch sig.SigType {
		case packet.SigTypeGenericCert, packet.SigTypePersonaCert, packet.SigTypeCasualCert, packet.SigTypePositiveCert,
			packet.SigTypeCertificationRevocation:
			return k.primary.VerifyUserIdSignature(u.text, k.primary.PublicKey, sig)
		}
		return errSigType
	}) {
		if u.revoked = sig.SigType == packet.SigTypeCertificationRevocation; !u.revoked {
			u.self = sig
		}
	}
	if u.self != nil && !u.revoked && (k.primary.self == nil || !u.self.CreationTime.Before(k.primary.self.CreationTime)) {
		k.primary.self = u.self
	}
	k.userIDs = append(k.userIDs, u)
}

// readSubkey reads a subkey. It drops a subkey of an unknown algorithm or without
// a valid binding.
func (k *Key) readSubkey(p part, budget *int) {
	pub, err := parsePublic(p.frame)
	if err != nil {
		return
	}
	s := certKey{PublicKey: pub}
	for _, sig := range k.selfSigs(p.sigs, budget, func(sig *packet.Signature) error {
		switch sig.SigType {
		case packet.SigTypeSubkeyBinding: // it embeds the subkey's own signature if the subkey may sign
			return k.primary.VerifyKeySignature(pub, sig)
		case packet.SigTypeSubkeyRevocation:
			return k.primary.VerifySubkeyRevocationSignature(sig, pub)
		}
		return errSigType
	}) {
		if sig.SigType == packet.SigTypeSubkeyRevocation {
			s.revoked = true
		} else {
			s.self = sig
		}
	}
	if s.self != nil {
		k.subkeys = append(k.subkeys, s)
	}
}

// maySign returns nil if the half, a part of k, is allowed to sign. A zero now
// skips the checks of time.
func (k *Key) maySign(h certKey, now time.Time) error {
	if k.primary.revoked || h.revoked {
		return ErrRevoked
	}
	if !k.forSigning(h) {
		return ErrNotSigning
	}
	if !now.IsZero() && (k.primary.expired(now) || h.expired(now)) {
		return ErrExpired
	}
	return nil
}

// forSigning reports whether the algorithm and the flags of the half allow
// signatures.
func (k *Key) forSigning(h certKey) bool {
	if !h.PubKeyAlgo.CanSign() {
		return false
	}
	if h.PublicKey != k.primary.PublicKey {
		return h.self.FlagSign
	}
	// A primary key without flags may do everything that its algorithm can.
	for _, sig := range []*packet.Signature{h.self, h.direct} {
		if sig != nil && sig.FlagsValid && !sig.FlagSign {
			return false
		}
	}
	return true
}

// expired reports whether the half, or a signature that binds it, is invalid at
// now.
func (h certKey) expired(now time.Time) bool {
	if h.CreationTime.After(now.Add(clockSkew)) {
		return true
	}
	if end, ok := h.expires(); ok && now.After(end) {
		return true
	}
	if h.self == nil {
		return false
	}
	cross := h.self.EmbeddedSignature
	return lapsed(h.self, now) || cross != nil && lapsed(cross, now)
}

// lapsed reports whether now is outside of the signature's own time of validity.
func lapsed(sig *packet.Signature, now time.Time) bool {
	if sig.CreationTime.After(now.Add(clockSkew)) {
		return true
	}
	return sig.SigLifetimeSecs != nil && *sig.SigLifetimeSecs != 0 &&
		now.After(sig.CreationTime.Add(time.Duration(*sig.SigLifetimeSecs)*time.Second))
}

// clockSkew is how far a signer's clock may be ahead.
const clockSkew = time.Hour

// weak reports whether collisions of the digest are feasible.
func weak(h crypto.Hash) bool {
	return h == crypto.MD5 || h == crypto.SHA1 || h == crypto.RIPEMD160
}

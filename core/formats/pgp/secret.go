package pgp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
)

// SecretKey is a key that can sign. It is immutable and safe for concurrent use.
type SecretKey struct {
	*Key
	secrets map[KeyID]secret
}

// secret is the private part of a primary key or subkey.
type secret struct {
	frame  frame              // as read; empty if a signer has the private part
	priv   *packet.PrivateKey // without the private part if a signer has it
	signer crypto.Signer      // has the private part; nil if priv has it
}

// Algorithm is a kind of key that Generate makes.
type Algorithm int

// Kinds of keys that gpgv 2.2 supports. It does not support the newer packets for
// Ed25519 (RFC 9580).
const (
	Ed25519 Algorithm = iota // EdDSA as in gpg 2.2: small and fast
	RSA3072                  // for readers older than Debian 9
	RSA4096
)

// Generate makes a key that signs and certifies and never expires. The time is
// part of its fingerprint.
func Generate(name, email string, kind Algorithm, at time.Time) (*SecretKey, error) {
	var priv *packet.PrivateKey
	var err error
	switch kind {
	case Ed25519:
		priv, err = generateEd25519(at)
	case RSA3072:
		priv, err = generateRSA(3072, at)
	case RSA4096:
		priv, err = generateRSA(4096, at)
	default:
		err = ErrUnsupported
	}
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	cert, err := certify(context.Background(), &secret{priv: priv}, name, email, at)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return &SecretKey{Key: cert, secrets: map[KeyID]secret{cert.ID(): {priv: priv}}}, nil
}

// oidEd25519 is the object identifier 1.3.6.1.4.1.11591.15.1 of the curve.
const oidEd25519 = "\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"

func generateEd25519(at time.Time) (*packet.PrivateKey, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	// Secret-key packet: RFC 4880, 5.5.3, with the public key of EdDSA.
	body := publicBody(packet.PubKeyAlgoEdDSA, at)
	body = append(body, byte(len(oidEd25519)))
	body = append(body, oidEd25519...)
	body = append(body, mpi(append([]byte{0x40}, pub...))...)
	body = append(body, 0) // not encrypted
	seed := mpi(priv.Seed())
	var sum uint16
	for _, b := range seed {
		sum += uint16(b)
	}
	body = binary.BigEndian.AppendUint16(append(body, seed...), sum)
	return parseSecret(newFrame(tagSecretKey, body))
}

// publicBody begins the body of a key packet of version 4.
func publicBody(algo packet.PublicKeyAlgorithm, at time.Time) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{4}, uint32(at.Unix())), byte(algo))
}

func generateRSA(bits int, at time.Time) (*packet.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, err
	}
	// OpenPGP requires p < q, and the library writes the second prime as p.
	if key.Primes[1].Cmp(key.Primes[0]) > 0 {
		key.Primes[0], key.Primes[1] = key.Primes[1], key.Primes[0]
		key.Precomputed = rsa.PrecomputedValues{}
		key.Precompute()
	}
	return packet.NewRSAPrivateKey(time.Unix(at.Unix(), 0), key), nil
}

// certify makes the certificate of a primary key. The key signs its user ID.
func certify(ctx context.Context, s *secret, name, email string, at time.Time) (*Key, error) {
	uid := packet.NewUserId(name, "", email)
	if uid == nil || uid.Id == "" || strings.ContainsAny(uid.Id, "\r\n") {
		return nil, fmt.Errorf("user ID of name %q and address %q: %w", name, email, ErrMalformed)
	}
	pub, err := serialize(&s.priv.PublicKey)
	if err != nil {
		return nil, err
	}
	primary := true
	sig := newSignature(s.priv, packet.SigTypePositiveCert, at)
	sig.IsPrimaryId = &primary
	sig.FlagsValid, sig.FlagCertify, sig.FlagSign = true, true, true
	err = s.sign(ctx, func(priv *packet.PrivateKey) error {
		return sig.SignUserId(uid.Id, &priv.PublicKey, priv, signConfig(at))
	})
	if err != nil {
		return nil, err
	}
	self, err := serialize(sig)
	if err != nil {
		return nil, err
	}
	return parseKey([]part{{frame: pub}, {frame: newFrame(tagUserID, []byte(uid.Id)), sigs: []frame{self}}})
}

// serialize writes a packet and frames it.
func serialize(p interface{ Serialize(w io.Writer) error }) (frame, error) {
	var b bytes.Buffer
	if err := p.Serialize(&b); err != nil {
		return frame{}, err
	}
	return readFrame(b.Bytes())
}

// parseSecret reads a secret key or subkey of version 4.
func parseSecret(f frame) (*packet.PrivateKey, error) {
	if len(f.body) > 0 && f.body[0] != 4 {
		return nil, fmt.Errorf("key of version %d: %w", f.body[0], ErrUnsupported)
	}
	p, err := f.parse()
	if err != nil {
		return nil, err
	}
	priv, ok := p.(*packet.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("packet %d is no secret key: %w", f.tag, ErrMalformed)
	}
	return priv, nil
}

// ParseSecretKeys reads secret keys: packets, or any number of armored blocks
// with any text around them. Keys may be locked with a passphrase.
func ParseSecretKeys(data []byte) ([]*SecretKey, error) {
	if err := checkKeyData(data); err != nil {
		return nil, err
	}
	packets, err := unwrap(data, false, armorSecret)
	if err != nil {
		return nil, err
	}
	certs, err := split(packets, tagSecretKey, tagSecretSubkey)
	if err != nil {
		return nil, err
	}
	var keys []*SecretKey
	for _, parts := range certs {
		k, err := parseSecretKey(parts)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, ErrNoKey
	}
	return keys, nil
}

// parseSecretKey splits the packets of one key into its public and secret parts.
func parseSecretKey(parts []part) (*SecretKey, error) {
	public := make([]part, 0, len(parts))
	secrets := make(map[KeyID]secret)
	for i, p := range parts {
		if p.tag == tagSecretKey || p.tag == tagSecretSubkey {
			priv, err := parseSecret(p.frame)
			if i > 0 && errors.Is(err, ErrUnsupported) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if !priv.Dummy() { // a dummy says that the private part is elsewhere
				secrets[KeyID(priv.KeyId)] = secret{frame: p.frame, priv: priv}
			}
			if p.frame, err = serialize(&priv.PublicKey); err != nil {
				return nil, fmt.Errorf("key %X: %w: %v", priv.KeyId, ErrMalformed, err)
			}
		}
		public = append(public, p)
	}
	cert, err := parseKey(public)
	if err != nil {
		return nil, err
	}
	return &SecretKey{Key: cert, secrets: secrets}, nil
}

// Locked reports whether a private part needs a passphrase.
func (k *SecretKey) Locked() bool {
	for _, s := range k.secrets {
		if s.priv.Encrypted {
			return true
		}
	}
	return false
}

// Unlock returns the key with unlocked private parts. The error is ErrLocked if a
// needed passphrase is missing, ErrPassphrase if it is wrong.
func (k *SecretKey) Unlock(passphrase []byte) (*SecretKey, error) {
	if !k.Locked() {
		return k, nil
	}
	if len(passphrase) == 0 {
		return nil, ErrLocked
	}
	unlocked := &SecretKey{Key: k.Key, secrets: make(map[KeyID]secret)}
	for id, s := range k.secrets {
		if s.priv.Encrypted {
			priv, err := parseSecret(s.frame)
			if err != nil {
				return nil, err
			}
			if priv.Decrypt(passphrase) != nil {
				return nil, ErrPassphrase
			}
			s = secret{priv: priv}
		}
		unlocked.secrets[id] = s
	}
	return unlocked, nil
}

// SecretBinary returns the key with its private parts, locked unless the
// passphrase is empty. The error is ErrLocked if they are locked now, ErrNoSecret
// if they are elsewhere.
func (k *SecretKey) SecretBinary(passphrase []byte) ([]byte, error) {
	var b []byte
	for i, p := range k.parts {
		f := p.frame
		if p.tag == tagPublicKey || p.tag == tagPublicSubkey {
			pub, err := parsePublic(p.frame)
			if err != nil && i > 0 {
				continue // of an unsupported algorithm, so the private part was not read
			}
			if err != nil {
				return nil, err
			}
			if s, ok := k.secrets[KeyID(pub.KeyId)]; ok {
				if f, err = s.export(passphrase, p.tag); err != nil {
					return nil, err
				}
			} else if i == 0 {
				return nil, ErrNoSecret
			}
		}
		b = append(b, f.raw...)
		for _, sig := range p.sigs {
			b = append(b, sig.raw...)
		}
	}
	return b, nil
}

// SecretArmor returns the result of SecretBinary as an armored block.
func (k *SecretKey) SecretArmor(passphrase []byte) ([]byte, error) {
	b, err := k.SecretBinary(passphrase)
	if err != nil {
		return nil, err
	}
	return armor(nil, armorSecret, b), nil
}

// export returns the packet of the private part.
func (s secret) export(passphrase []byte, t tag) (frame, error) {
	if s.signer != nil {
		return frame{}, ErrNoSecret
	}
	if s.priv.Encrypted {
		return frame{}, ErrLocked
	}
	priv := *s.priv // locking changes the struct, not the data it points to
	priv.IsSubkey = t == tagPublicSubkey
	if len(passphrase) > 0 {
		err := priv.EncryptWithConfig(passphrase, &packet.Config{
			DefaultCipher: packet.CipherAES256,
			S2KConfig:     &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: crypto.SHA256, S2KCount: s2kCount},
		})
		if err != nil {
			return frame{}, err
		}
	}
	return serialize(&priv)
}

// s2kCount is the number of bytes hashed to derive a key from a passphrase. It is
// OpenPGP's maximum (RFC 4880, 3.7.1.3) and takes about a tenth of a second.
const s2kCount = 65011712

// sign calls make with the private key. It returns an error of a remote signer
// unchanged.
func (s *secret) sign(ctx context.Context, make func(*packet.PrivateKey) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	priv, call := s.priv, (*signerCall)(nil)
	if s.signer != nil {
		call = &signerCall{ctx: ctx, signer: s.signer}
		priv = &packet.PrivateKey{PublicKey: s.priv.PublicKey, PrivateKey: call}
	} else if priv.Encrypted {
		return ErrLocked
	}
	err := make(priv)
	if call != nil && call.err != nil {
		return call.err // the library loses it for RSA
	}
	var dummy pgperrors.ErrDummyPrivateKey
	if errors.As(err, &dummy) {
		return ErrNoSecret
	}
	return err
}

// newSignature returns an unsigned signature.
func newSignature(priv *packet.PrivateKey, kind packet.SignatureType, at time.Time) *packet.Signature {
	return &packet.Signature{
		Version:      4,
		SigType:      kind,
		PubKeyAlgo:   priv.PubKeyAlgo,
		Hash:         crypto.SHA256,
		CreationTime: time.Unix(at.Unix(), 0),
		IssuerKeyId:  &priv.KeyId,
	}
}

// signConfig disables the random salt that the library adds to signatures.
func signConfig(at time.Time) *packet.Config {
	salt := false
	return &packet.Config{
		Time:                                  func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: &salt,
	}
}

// ContextSigner is a crypto.Signer over a network. SignContext is called instead
// of Sign if a signer has it, with the context of the caller.
type ContextSigner interface {
	crypto.Signer
	SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// signerCall is a signer during one call. It holds the call's context and error.
type signerCall struct {
	ctx    context.Context
	signer crypto.Signer
	err    error
}

func (c *signerCall) Public() crypto.PublicKey { return c.signer.Public() }

func (c *signerCall) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	if remote, ok := c.signer.(ContextSigner); ok {
		sig, err = remote.SignContext(c.ctx, digest, opts)
	} else {
		sig, err = c.signer.Sign(random, digest, opts)
	}
	c.err = err
	return sig, err
}

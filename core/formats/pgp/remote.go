package pgp

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"maps"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// FromCryptoSigner makes a key whose private part stays in the signer, such as a
// key management service. It must be RSA, signing as PKCS #1 v1.5, or ECDSA over
// P-256. It asks for one signature, which certifies the user ID.
//
// The fingerprint depends on the signer's public key and the creation time only.
// With RSA, the whole certificate is reproducible. With ECDSA it is not: store
// the certificate and use Key.WithSigner.
func FromCryptoSigner(ctx context.Context, signer crypto.Signer, name, email string, created time.Time) (*SecretKey, error) {
	f, err := publicFrame(signer.Public(), created)
	if err != nil {
		return nil, err
	}
	pub, err := parsePublic(f)
	if err != nil {
		return nil, err
	}
	s := secret{priv: &packet.PrivateKey{PublicKey: *pub}, signer: signer}
	cert, err := certify(ctx, &s, name, email, created)
	if err != nil {
		return nil, fmt.Errorf("certify key %X: %w", pub.KeyId, err)
	}
	return &SecretKey{Key: cert, secrets: map[KeyID]secret{cert.ID(): s}}, nil
}

// WithSigner returns a SecretKey that signs with the signer. The signer must
// match the primary key or a subkey, else the error is ErrNoSecret.
func (k *Key) WithSigner(signer crypto.Signer) (*SecretKey, error) {
	secrets := make(map[KeyID]secret)
	for _, h := range k.certKeys() {
		f, err := publicFrame(signer.Public(), h.CreationTime)
		if err != nil {
			return nil, err
		}
		if string(fingerprint(f.body)) == string(h.Fingerprint) {
			secrets[KeyID(h.KeyId)] = secret{priv: &packet.PrivateKey{PublicKey: *h.PublicKey}, signer: signer}
		}
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("key %s and the signer do not belong together: %w", k.ID(), ErrNoSecret)
	}
	return &SecretKey{Key: k, secrets: secrets}, nil
}

// WithSigner returns the key with a further private part, in the signer.
func (k *SecretKey) WithSigner(signer crypto.Signer) (*SecretKey, error) {
	added, err := k.Key.WithSigner(signer)
	if err != nil {
		return nil, err
	}
	secrets := maps.Clone(k.secrets)
	maps.Copy(secrets, added.secrets)
	return &SecretKey{Key: k.Key, secrets: secrets}, nil
}

// oidP256 is the object identifier 1.2.840.10045.3.1.7 of the curve.
const oidP256 = "\x2a\x86\x48\xce\x3d\x03\x01\x07"

// publicFrame writes the packet of a public key (RFC 4880, 5.5.2; RFC 6637, 9).
func publicFrame(pub crypto.PublicKey, created time.Time) (frame, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		body := publicBody(packet.PubKeyAlgoRSA, created)
		body = append(body, mpi(pub.N.Bytes())...)
		e := uint32(pub.E)
		body = append(body, mpi([]byte{byte(e >> 24), byte(e >> 16), byte(e >> 8), byte(e)})...)
		return newFrame(tagPublicKey, body), nil
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			break
		}
		point, err := pub.Bytes()
		if err != nil {
			return frame{}, fmt.Errorf("public key: %w: %v", ErrMalformed, err)
		}
		body := publicBody(packet.PubKeyAlgoECDSA, created)
		body = append(body, byte(len(oidP256)))
		body = append(body, oidP256...)
		return newFrame(tagPublicKey, append(body, mpi(point)...)), nil
	}
	return frame{}, fmt.Errorf("public key of type %T: %w", pub, ErrUnsupported)
}

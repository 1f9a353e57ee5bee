package pgp

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Signer signs published files. Equal text, time and keys give equal bytes,
// except for DSA and ECDSA keys.
type Signer interface {
	// Clearsign writes the text within its signatures, as in InRelease: SHA-256,
	// one block, one signature per key in order. It drops white space at the end
	// of lines, which no signature covers.
	Clearsign(ctx context.Context, w io.Writer, text []byte, at time.Time) error

	// DetachSign writes armored signatures of data, as in Release.gpg.
	DetachSign(ctx context.Context, w io.Writer, data []byte, at time.Time) error

	// PublicKeys returns the certificates that verify the signatures.
	PublicKeys() []*Key
}

// Chooser is a Signer that can sign with a subset of its keys.
type Chooser interface {
	// Choose returns a signer with the keys that refs names, see Select.
	Choose(refs string) (Signer, error)
}

// NewSigner returns a signer with one or several keys. During a rotation they are
// the old and the new one. The error is ErrLocked for a locked key,
// ErrNoDefaultKey without keys.
func NewSigner(keys ...*SecretKey) (Signer, error) {
	if len(keys) == 0 {
		return nil, ErrNoDefaultKey
	}
	if len(keys) > maxSignatures {
		return nil, fmt.Errorf("%d signing keys: %w", len(keys), ErrTooLarge)
	}
	for _, k := range keys {
		if k.Locked() {
			return nil, fmt.Errorf("key %s: %w", k.ID(), ErrLocked)
		}
	}
	return keySigner(slices.Clone(keys)), nil
}

// Select returns the keys that refs names, without duplicates. refs is a
// comma-separated list of references for Key.Matches. Each selects the first key
// that matches. Without a reference, the first key is selected.
func Select(keys []*SecretKey, refs string) ([]*SecretKey, error) {
	var selected []*SecretKey
	named := false
	for ref := range strings.SplitSeq(refs, ",") {
		if ref = strings.TrimSpace(ref); ref == "" {
			continue
		}
		named = true
		found := find(keys, func(k *SecretKey) *Key { return k.Key }, ref)
		if len(found) == 0 {
			return nil, fmt.Errorf("%w %s", ErrNoSuchKey, ref)
		}
		if !slices.ContainsFunc(selected, func(k *SecretKey) bool { return k.Fingerprint() == found[0].Fingerprint() }) {
			selected = append(selected, found[0])
		}
	}
	if named {
		return selected, nil
	}
	if len(keys) == 0 {
		return nil, ErrNoDefaultKey
	}
	return keys[:1:1], nil
}

// keySigner is the Signer of keys.
type keySigner []*SecretKey

func (s keySigner) PublicKeys() []*Key {
	keys := make([]*Key, len(s))
	for i, k := range s {
		keys[i] = k.Key
	}
	return keys
}

func (s keySigner) Choose(refs string) (Signer, error) {
	keys, err := Select(s, refs)
	return keySigner(keys), err
}

func (s keySigner) Clearsign(ctx context.Context, w io.Writer, text []byte, at time.Time) error {
	lines, err := clearLines(text)
	if err != nil {
		return fmt.Errorf("clearsign: %w", err)
	}
	c := clearText{lines: lines}
	sigs, err := s.sign(ctx, packet.SigTypeText, c.canonical(), at)
	if err != nil {
		return fmt.Errorf("clearsign: %w", err)
	}
	_, err = w.Write(appendClear(nil, lines, sigs))
	return err
}

func (s keySigner) DetachSign(ctx context.Context, w io.Writer, data []byte, at time.Time) error {
	sigs, err := s.sign(ctx, packet.SigTypeBinary, data, at)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	_, err = w.Write(armor(nil, armorSignature, sigs))
	return err
}

// sign returns the signatures of the keys, in order.
func (s keySigner) sign(ctx context.Context, kind packet.SignatureType, data []byte, at time.Time) ([]byte, error) {
	var packets []byte
	for _, k := range s {
		f, err := k.sign(ctx, kind, data, at)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.ID(), err)
		}
		packets = append(packets, f.raw...)
	}
	return packets, nil
}

func (k *SecretKey) sign(ctx context.Context, kind packet.SignatureType, data []byte, at time.Time) (frame, error) {
	sec, err := k.signing(at)
	if err != nil {
		return frame{}, err
	}
	sig := newSignature(sec.priv, kind, at)
	h := sig.Hash.New()
	h.Write(data)
	err = sec.sign(ctx, func(priv *packet.PrivateKey) error { return sig.Sign(h, priv, signConfig(at)) })
	if err != nil {
		return frame{}, err
	}
	return serialize(sig)
}

// signing returns the secret that signs at the given time: like gpg the newest
// subkey that can sign, else the primary key.
func (k *SecretKey) signing(at time.Time) (*secret, error) {
	var best *certKey
	refusal := ErrNoSecret
	for _, h := range k.certKeys() {
		if _, ok := k.secrets[KeyID(h.KeyId)]; !ok {
			continue
		}
		if err := k.maySign(h, at); err != nil {
			if refusal == ErrNoSecret {
				refusal = err
			}
			continue
		}
		if best == nil || best.PublicKey == k.primary.PublicKey || h.CreationTime.After(best.CreationTime) {
			best = &h
		}
	}
	if best == nil {
		return nil, refusal
	}
	s := k.secrets[KeyID(best.KeyId)]
	return &s, nil
}

package pgp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Keyring is a set of keys. It is immutable and safe for concurrent use. The zero
// value has no keys.
type Keyring struct {
	keys []*Key
	byID map[KeyID][]holder
}

// holder is a key of the ring that has a key ID, in its primary key or a subkey.
type holder struct {
	key     *Key
	certKey certKey
}

// NewKeyring returns the ring of the keys, in order. Keys with one fingerprint
// are merged. So a prolonged or revoked key updates its older copy.
func NewKeyring(keys ...*Key) (*Keyring, error) {
	r := &Keyring{byID: make(map[KeyID][]holder)}
	place := make(map[string]int)
	for _, k := range keys {
		i, known := place[k.Fingerprint()]
		if !known {
			place[k.Fingerprint()] = len(r.keys)
			r.keys = append(r.keys, k)
			continue
		}
		merged, err := r.keys[i].merge(k)
		if err != nil {
			return nil, err
		}
		r.keys[i] = merged
	}
	if len(r.keys) > maxKeys {
		return nil, fmt.Errorf("keyring of %d keys: %w", len(r.keys), ErrTooLarge)
	}
	for _, k := range r.keys {
		for _, h := range k.certKeys() {
			id := KeyID(h.KeyId)
			r.byID[id] = append(r.byID[id], holder{k, h})
		}
	}
	return r, nil
}

// ParseKeyring reads keys: packets, or any number of armored blocks with any text
// around them. Keys of an unsupported version or algorithm are skipped. It
// returns ErrNoKey if no key remains.
func ParseKeyring(data []byte) (*Keyring, error) {
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, err
	}
	return NewKeyring(keys...)
}

// ParseKeys reads keys in the same way as ParseKeyring.
func ParseKeys(data []byte) ([]*Key, error) {
	if err := checkKeyData(data); err != nil {
		return nil, err
	}
	packets, err := unwrap(data, false, armorPublic)
	if err != nil {
		return nil, err
	}
	certs, err := split(packets, tagPublicKey, tagPublicSubkey)
	if err != nil {
		return nil, err
	}
	var keys []*Key
	var skipped error
	for _, parts := range certs {
		switch k, err := parseKey(parts); {
		case err == nil:
			keys = append(keys, k)
		case errors.Is(err, ErrUnsupported):
			skipped = err
		default:
			return nil, err
		}
	}
	if len(keys) == 0 {
		if skipped != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoKey, skipped)
		}
		return nil, ErrNoKey
	}
	return keys, nil
}

// checkKeyData refuses data that is too large. It also refuses gpg's own .kbx
// format, which holds more than keys.
func checkKeyData(data []byte) error {
	if len(data) > maxKeyring {
		return fmt.Errorf("%d bytes of keys: %w", len(data), ErrTooLarge)
	}
	if len(data) >= 12 && string(data[8:12]) == "KBXf" {
		return fmt.Errorf("keybox file, export its keys with gpg --export: %w", ErrUnsupported)
	}
	return nil
}

// split groups packets into keys. A primary key begins each group. A signature
// belongs to the last packet before it that is no signature.
func split(packets []byte, primary, subkey tag) ([][]part, error) {
	var certs [][]part
	var cert *[]part
	open := false // whether further signatures belong to the last part
	for f, err := range frames(packets) {
		if err != nil {
			return nil, err
		}
		if f.tag == primary {
			if len(certs) == maxKeys {
				return nil, fmt.Errorf("more than %d keys: %w", maxKeys, ErrTooLarge)
			}
			certs = append(certs, []part{{frame: f}})
			cert, open = &certs[len(certs)-1], true
			continue
		}
		if cert == nil {
			return nil, fmt.Errorf("packet %d before any key: %w", f.tag, ErrMalformed)
		}
		switch f.tag {
		case tagSignature:
			if open {
				last := &(*cert)[len(*cert)-1]
				last.sigs = append(last.sigs, f)
			}
		case subkey, tagPublicSubkey, tagUserID, tagUserAttribute:
			if len(*cert) == maxParts {
				return nil, fmt.Errorf("key with more than %d parts: %w", maxParts, ErrTooLarge)
			}
			*cert, open = append(*cert, part{frame: f}), true
		case tagMarker, tagTrust:
		default:
			open = false
		}
	}
	return certs, nil
}

// merge adds the parts and signatures of o to k. Both have the same primary key.
func (k *Key) merge(o *Key) (*Key, error) {
	parts := slices.Clone(k.parts)
	for _, theirs := range o.parts {
		i := slices.IndexFunc(parts, func(p part) bool { return p.tag == theirs.tag && bytes.Equal(p.body, theirs.body) })
		if i < 0 {
			parts = append(parts, theirs)
			continue
		}
		sigs := slices.Clone(parts[i].sigs)
		for _, s := range theirs.sigs {
			if !slices.ContainsFunc(sigs, func(f frame) bool { return bytes.Equal(f.body, s.body) }) {
				sigs = append(sigs, s)
			}
		}
		parts[i].sigs = sigs
	}
	if len(parts) > maxParts {
		return nil, fmt.Errorf("key %s with %d parts: %w", k.ID(), len(parts), ErrTooLarge)
	}
	return parseKey(parts)
}

// Keys returns the keys in the order given.
func (r *Keyring) Keys() []*Key { return slices.Clone(r.keys) }

// Find returns the keys that match the reference, see Key.Matches.
func (r *Keyring) Find(ref string) []*Key {
	return find(r.keys, func(k *Key) *Key { return k }, ref)
}

// Binary returns the keys as a sequence of packets, which ParseKeyring reads.
func (r *Keyring) Binary() []byte {
	var b []byte
	for _, k := range r.keys {
		b = append(b, k.Binary()...)
	}
	return b
}

// Armor returns the keys as one text block.
func (r *Keyring) Armor() []byte { return armor(nil, armorPublic, r.Binary()) }

// hasID reports whether ref is the fingerprint or the key ID, of 16 or 8
// digits, of the key or of one of its subkeys.
func (k *Key) hasID(ref string) bool {
	hex := strings.ToUpper(strings.ReplaceAll(ref, " ", ""))
	hex = strings.TrimSuffix(strings.TrimPrefix(hex, "0X"), "!")
	if n := len(hex); n != 8 && n != 16 && n != 40 {
		return false
	}
	for _, h := range k.certKeys() {
		if strings.HasSuffix(fmt.Sprintf("%X", h.Fingerprint), hex) {
			return true
		}
	}
	return false
}

// hasUser reports whether a user ID contains ref, ignoring case.
func (k *Key) hasUser(ref string) bool {
	ref = strings.ToLower(ref)
	return slices.ContainsFunc(k.userIDs, func(u userID) bool { return strings.Contains(strings.ToLower(u.text), ref) })
}

// Matches reports whether ref names the key or a subkey. ref is a fingerprint, a
// key ID of 16 or 8 hexadecimal digits, or a part of a user ID.
func (k *Key) Matches(ref string) bool { return ref != "" && (k.hasID(ref) || k.hasUser(ref)) }

// find returns the keys that match ref by their IDs, or if none does, by their
// user IDs.
func find[K any](keys []K, cert func(K) *Key, ref string) []K {
	if ref == "" {
		return nil
	}
	for _, by := range []func(*Key, string) bool{(*Key).hasID, (*Key).hasUser} {
		var found []K
		for _, k := range keys {
			if by(cert(k), ref) {
				found = append(found, k)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

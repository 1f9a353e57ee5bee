package keyring

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"aptless/core/engine/driver"
	"aptless/core/formats/pgp"
)

// Default is the ring of requests that name none.
const Default = "trustedkeys.gpg"

// Limits of a ring. They are below those of package pgp, so every stored ring is
// readable.
const (
	maxName    = 150      // bytes of a name
	maxKeys    = 4096     // keys of a ring
	maxBytes   = 16 << 20 // bytes of its keys
	maxRings   = 20       // rings per request
	maxRetries = 20       // of a conflicting write
)

// Store keeps keyrings.
type Store struct {
	Table driver.Table
	Now   func() time.Time

	// Fetch returns the body of a GET request, which it must bound. It is nil
	// without network access.
	Fetch func(ctx context.Context, url string) ([]byte, error)
}

// Refusal is the reason for refusing a request about keys, in gpg's words where
// aptly has them.
type Refusal struct{ text string }

func (e *Refusal) Error() string { return e.text }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// CleanName returns the stored name of a ring: the default for "", else a cleaned
// path. A path that leads out of the keyrings is refused.
func CleanName(raw string) (string, error) {
	if raw == "" {
		return Default, nil
	}
	name := strings.TrimPrefix(path.Clean("/"+raw), "/")
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return "", refuse("gpg: invalid keyring name %.100q\n", raw)
	}
	return name, nil
}

func part(name string) string { return "keyring/" + name }

// stored is a key with the version of its row.
type stored struct {
	key     *pgp.Key
	version string
}

// read returns the keys of a ring in the order of their fingerprints.
func (s *Store) read(ctx context.Context, name string) ([]stored, error) {
	var keys []stored
	for row, err := range s.Table.Scan(ctx, part(name), "") {
		if err != nil {
			return nil, err
		}
		parsed, err := pgp.ParseKeys(row.Data)
		if err != nil {
			return nil, fmt.Errorf("key %s of ring %s: %w", row.Sort, name, err)
		}
		keys = append(keys, stored{parsed[0], row.Version})
	}
	return keys, nil
}

// Keyring returns the keys of all named rings as one ring. nil names the default
// ring. A ring that does not exist is empty.
func (s *Store) Keyring(ctx context.Context, names []string) (*pgp.Keyring, error) {
	if len(names) == 0 {
		names = []string{Default}
	}
	if len(names) > maxRings {
		return nil, refuse("more than %d keyrings", maxRings)
	}
	var keys []*pgp.Key
	for _, raw := range names {
		name, err := CleanName(raw)
		if err != nil {
			return nil, err
		}
		ring, err := s.read(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, k := range ring {
			keys = append(keys, k.key)
		}
	}
	return pgp.NewKeyring(keys...)
}

// Import adds keys, armored or binary, to a ring. It returns gpg's message for
// each key. The error is a *Refusal if data has no readable key.
func (s *Store) Import(ctx context.Context, name string, data []byte) (string, error) {
	name, err := CleanName(name)
	if err != nil {
		return "", err
	}
	keys, err := parse(data)
	if err != nil {
		return "", err
	}
	return s.put(ctx, name, keys)
}

// Has reports whether an import of the keys would change nothing. The error is that of
// Import.
func (s *Store) Has(ctx context.Context, name string, data []byte) (bool, error) {
	name, err := CleanName(name)
	if err != nil {
		return false, err
	}
	keys, err := parse(data)
	if err != nil {
		return false, err
	}
	ring, err := s.read(ctx, name)
	if err != nil {
		return false, err
	}
	ops, err := plan(name, ring, keys, make([]change, len(keys)))
	return len(ops) == 0, err
}

// parse reads keys and drops duplicates.
func parse(data []byte) ([]*pgp.Key, error) {
	if len(data) > maxBytes {
		return nil, refuse("gpg: %d bytes of keys are more than %d\n", len(data), maxBytes)
	}
	ring, err := pgp.ParseKeyring(data)
	if err != nil {
		text := "gpg: no valid OpenPGP data found.\n"
		if !errors.Is(err, pgp.ErrNoKey) {
			text += fmt.Sprintf("gpg: %v\n", err)
		}
		return nil, refuse("%sgpg: Total number processed: 0\n", text)
	}
	for _, k := range ring.Keys() {
		if n := len(k.Binary()); n > driver.MaxRowSize {
			return nil, refuse("gpg: key %s has %d bytes, which is more than %d\n", k.ID(), n, driver.MaxRowSize)
		}
	}
	return ring.Keys(), nil
}

// change is the result of importing a key.
type change int

const (
	imported change = iota
	updated
	unchanged
)

// maxBatch is how many keys one transaction writes. Even the largest keys fit.
const maxBatch = driver.MaxTxSize / driver.MaxRowSize

// put adds keys to a ring.
func (s *Store) put(ctx context.Context, name string, keys []*pgp.Key) (string, error) {
	changes := make([]change, len(keys))
	for begin := 0; begin < len(keys); begin += maxBatch {
		end := min(begin+maxBatch, len(keys))
		if err := s.putBatch(ctx, name, keys[begin:end], changes[begin:end]); err != nil {
			return "", err
		}
	}
	return messages(keys, changes), nil
}

func (s *Store) putBatch(ctx context.Context, name string, keys []*pgp.Key, changes []change) error {
	for range maxRetries {
		ring, err := s.read(ctx, name)
		if err != nil {
			return err
		}
		ops, err := plan(name, ring, keys, changes)
		if err != nil || len(ops) == 0 {
			return err
		}
		if _, err := s.Table.Write(ctx, ops...); !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("keyring %s: %w", name, driver.ErrConflict)
}

// plan returns the operations that add the keys to the ring, and the change of
// each key.
func plan(name string, ring []stored, keys []*pgp.Key, changes []change) ([]driver.Op, error) {
	size, known := 0, make(map[string]stored, len(ring))
	for _, k := range ring {
		size += len(k.key.Binary())
		known[k.key.Fingerprint()] = k
	}
	var ops []driver.Op
	for i, k := range keys {
		old, exists := known[k.Fingerprint()]
		data := k.Binary()
		changes[i] = imported
		if exists {
			united, err := pgp.NewKeyring(old.key, k)
			if err != nil {
				return nil, refuse("gpg: key %s: %v\n", k.ID(), err)
			}
			data, changes[i] = united.Binary(), updated
			size -= len(old.key.Binary())
			if string(data) == string(old.key.Binary()) {
				changes[i] = unchanged
			}
		} else {
			known[k.Fingerprint()] = stored{key: k}
		}
		if size += len(data); size > maxBytes || len(known) > maxKeys || len(data) > driver.MaxRowSize {
			return nil, refuse("gpg: keyring %s is full: %d keys of %d bytes\n", name, len(known), size)
		}
		if changes[i] != unchanged {
			ops = append(ops, driver.Op{Key: driver.Key{Part: part(name), Sort: k.Fingerprint()}, If: old.version, Data: data})
		}
	}
	return ops, nil
}

// messages returns gpg's messages about the keys.
func messages(keys []*pgp.Key, changes []change) string {
	var b strings.Builder
	counts := map[change]int{}
	for i, k := range keys {
		user := "[User ID not found]"
		if ids := k.UserIDs(); len(ids) > 0 {
			user = Escape(ids[0])
		}
		counts[changes[i]]++
		switch changes[i] {
		case imported:
			fmt.Fprintf(&b, "gpg: key %s: public key \"%s\" imported\n", k.ID(), user)
		case updated:
			fmt.Fprintf(&b, "gpg: key %s: \"%s\" updated\n", k.ID(), user)
		case unchanged:
			fmt.Fprintf(&b, "gpg: key %s: \"%s\" not changed\n", k.ID(), user)
		}
	}
	fmt.Fprintf(&b, "gpg: Total number processed: %d\n", len(keys))
	for i, label := range []string{"imported", "updated", "unchanged"} {
		if n := counts[change(i)]; n > 0 {
			fmt.Fprintf(&b, "gpg: %22s: %d\n", label, n)
		}
	}
	return b.String()
}

// keyID matches a fingerprint, or a key ID of 16 or 8 digits.
var keyID = regexp.MustCompile(`^(?:0[xX])?([0-9A-Fa-f]{40}|[0-9A-Fa-f]{16}|[0-9A-Fa-f]{8})!?$`)

// parseID returns the digits of a reference to a key. It refuses parts of user
// IDs, which any key may contain.
func parseID(ref string) (string, bool) {
	m := keyID.FindStringSubmatch(strings.ReplaceAll(ref, " ", ""))
	if m == nil {
		return "", false
	}
	return strings.ToUpper(m[1]), true
}

// Delete removes a key from a ring. ref is its fingerprint or key ID, or that of
// a subkey. The error is a *Refusal unless ref matches exactly one key.
func (s *Store) Delete(ctx context.Context, name, ref string) error {
	name, err := CleanName(name)
	if err != nil {
		return err
	}
	for range maxRetries {
		ring, err := s.read(ctx, name)
		if err != nil {
			return err
		}
		var found []stored
		if id, ok := parseID(ref); ok {
			for _, k := range ring {
				if k.key.Matches(id) {
					found = append(found, k)
				}
			}
		}
		switch {
		case len(found) == 0:
			return refuse("gpg: key \"%s\" not found: Not found\ngpg: %s: delete key failed: Not found\n", ref, ref)
		case len(found) > 1:
			return refuse("gpg: key \"%s\" not unique: %d keys answer to it\n", ref, len(found))
		}
		_, err = s.Table.Write(ctx, driver.Op{Do: driver.OpDelete, If: found[0].version,
			Key: driver.Key{Part: part(name), Sort: found[0].key.Fingerprint()}})
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("keyring %s: %w", name, driver.ErrConflict)
}

// Escape writes a user ID like gpg. Control characters, colons, backslashes and
// invalid UTF-8 become \x and two digits.
func Escape(id string) string {
	var b strings.Builder
	for i := 0; i < len(id); {
		r, n := utf8.DecodeRuneInString(id[i:])
		if r < 0x20 || r == 0x7f || r == ':' || r == '\\' || r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, id[i])
		} else {
			b.WriteString(id[i : i+n])
		}
		i += n
	}
	return b.String()
}

package keyring

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// View is a key as clients see it.
type View struct {
	KeyID       string // 16 digits
	Fingerprint string // of the primary key
	Validity    string // gpg's letter: "r" revoked, "e" expired, "-" otherwise
	UserIDs     []string
	CreatedAt   string // Unix seconds
}

// List returns the keys of a ring in the order of their fingerprints; nil if
// there are none.
func (s *Store) List(ctx context.Context, name string) ([]View, error) {
	name, err := CleanName(name)
	if err != nil {
		return nil, err
	}
	ring, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	var views []View
	for _, k := range ring {
		v := View{KeyID: k.key.ID().String(), Fingerprint: k.key.Fingerprint(), Validity: "-", UserIDs: []string{},
			CreatedAt: strconv.FormatInt(k.key.Created().Unix(), 10)}
		end, ends := k.key.Expires()
		switch {
		case k.key.Revoked():
			v.Validity = "r"
		case ends && s.Now().After(end):
			v.Validity = "e"
		}
		for _, id := range k.key.UserIDs() {
			if id != "" {
				v.UserIDs = append(v.UserIDs, Escape(id))
			}
		}
		views = append(views, v)
	}
	return views, nil
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

package keyring

import (
	"context"
	"strconv"
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

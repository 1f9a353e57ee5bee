package pgp

import (
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Issuers returns the key IDs that the signatures of a clearsigned file name,
// without duplicates, in order. It verifies nothing. Signatures that name no key
// are skipped.
func Issuers(clearsigned []byte) ([]KeyID, error) {
	c, err := parseClear(clearsigned)
	if err != nil {
		return nil, err
	}
	var ids []KeyID
	for f, err := range frames(c.sigs) {
		if err != nil {
			return nil, err
		}
		p, err := f.parse()
		if err != nil {
			continue
		}
		sig, ok := p.(*packet.Signature)
		if ok && sig.IssuerKeyId != nil && !slices.Contains(ids, KeyID(*sig.IssuerKeyId)) {
			ids = append(ids, KeyID(*sig.IssuerKeyId))
		}
	}
	return ids, nil
}

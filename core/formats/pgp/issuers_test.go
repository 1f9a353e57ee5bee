package pgp

import (
	"slices"
	"testing"
)

// TestIssuers signs with several keys and a subkey. Their IDs come in order. A
// file without signatures is refused.
func TestIssuers(t *testing.T) {
	a, b := edSecret(t), addSubkey(t, rsaSecret(t), true, nothing)
	got, err := Issuers(clearsign(t, release, noon, a, b, a))
	if want := []KeyID{a.ID(), b.Subkeys()[0]}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, text := range []string{"", "text", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\ntext\n"} {
		if got, err := Issuers([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

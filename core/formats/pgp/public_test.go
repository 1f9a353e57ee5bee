package pgp

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestPublicOnly(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var armored []byte
	var prints []string
	for _, name := range []string{"One", "Two"} {
		key, err := Generate(name, "x@example.org", Ed25519, at)
		if err != nil {
			t.Fatal(err)
		}
		armored = append(armored, key.Armor()...)
		prints = append(prints, key.Fingerprint())
	}
	signer, err := PublicOnly(armored)
	if err != nil {
		t.Fatal(err)
	}
	if keys := signer.PublicKeys(); len(keys) != 2 || keys[0].Fingerprint() != prints[0] {
		t.Errorf("keys are %v", keys)
	}
	var out bytes.Buffer
	if err := signer.Clearsign(t.Context(), &out, []byte("x"), at); !errors.Is(err, ErrPublicOnly) || out.Len() > 0 {
		t.Errorf("clearsigned without a secret key: %v", err)
	}
	if err := signer.DetachSign(t.Context(), &out, []byte("x"), at); !errors.Is(err, ErrPublicOnly) || out.Len() > 0 {
		t.Errorf("signed without a secret key: %v", err)
	}
	for refs, want := range map[string][]string{"": prints[:1], prints[1]: prints[1:], prints[1] + "," + prints[0]: {prints[1], prints[0]}} {
		chosen, err := signer.(Chooser).Choose(refs)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range chosen.PublicKeys() {
			got = append(got, k.Fingerprint())
		}
		if len(got) != len(want) || got[0] != want[0] {
			t.Errorf("%q chooses %v, want %v", refs, got, want)
		}
	}
	if _, err := signer.(Chooser).Choose("0123456789ABCDEF"); !errors.Is(err, ErrNoSuchKey) {
		t.Errorf("a key that is not there is chosen: %v", err)
	}
	if _, err := PublicOnly([]byte("no keys")); err == nil {
		t.Error("what is no key is taken")
	}
}

package pgp

import (
	"bytes"
	"testing"
	"time"
)

// fuzzKeys are the keys of the seeds.
func fuzzKeys(f *testing.F) (trusted, stranger *SecretKey) {
	return addSubkey(f, edSecret(f), true, nothing), edSecret(f)
}

func FuzzKeyring(f *testing.F) {
	k, other := fuzzKeys(f)
	f.Add(ring(f, k, other).Binary())
	f.Add(k.Armor())
	f.Add([]byte{0xc6, 0x06, 4, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseKeyring(data)
		if err != nil {
			return
		}
		again := must(ParseKeyring(r.Binary()))(t)
		if !bytes.Equal(again.Binary(), r.Binary()) {
			t.Error("a ring changes when it is read again")
		}
		for _, k := range r.Keys() {
			Lint(k, noon)
			if found := r.Find(k.Fingerprint()); len(found) == 0 {
				t.Errorf("%s is not found", k.Fingerprint())
			}
		}
	})
}

func FuzzClearsign(f *testing.F) {
	k, other := fuzzKeys(f)
	trusted := ring(f, k)
	for _, text := range texts {
		f.Add(clearsign(f, text, noon, k))
	}
	f.Add(clearsign(f, release, noon, k, other))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, sigs, err := trusted.VerifyClearsigned(data, time.Time{})
		stripped, signed, stripErr := StripClearsign(data)
		if err == nil && (len(sigs) == 0 || !signed || stripErr != nil || !bytes.Equal(stripped, text)) {
			t.Errorf("verified %q, stripped %q", text, stripped)
		}
		if signed && !bytes.Contains(data, []byte(clearBegin)) {
			t.Errorf("signed text out of nothing: %q", stripped)
		}
	})
}

func FuzzDetached(f *testing.F) {
	k, other := fuzzKeys(f)
	trusted := ring(f, k)
	f.Add(detach(f, release, noon, k))
	f.Add(detach(f, release, noon, k, other))
	f.Add(forge(f, k, []byte(release), nothing).raw)
	f.Fuzz(func(t *testing.T, sig []byte) {
		sigs, err := trusted.VerifyDetached([]byte(release), sig, noon)
		if (err == nil) != (len(sigs) > 0) {
			t.Errorf("%v, %v", sigs, err)
		}
		// A signature does not verify another text.
		if _, err := trusted.VerifyDetached([]byte(release+"x"), sig, noon); err == nil {
			t.Errorf("%q signs another text", sig)
		}
	})
}

func FuzzSecretKeys(f *testing.F) {
	k, _ := fuzzKeys(f)
	f.Add(must(k.SecretBinary(nil))(f))
	f.Add(must(k.SecretArmor([]byte("x")))(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseSecretKeys(data)
		if err != nil {
			return
		}
		for _, k := range keys {
			if k.Locked() {
				continue // the data sets the cost of a passphrase
			}
			if s, err := NewSigner(k); err == nil {
				var out bytes.Buffer
				if err := s.DetachSign(t.Context(), &out, []byte(release), noon); (err == nil) != (out.Len() > 0) {
					t.Errorf("%v and %d bytes", err, out.Len())
				}
			}
		}
	})
}

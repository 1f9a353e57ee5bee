package pgp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func nothing(*packet.Signature) {}

func isWeak(err error) bool { return errors.Is(err, ErrWeakDigest) }

// opaque hides the type of its signer.
type opaque struct{ crypto.Signer }

// network is a ContextSigner that notes its contexts.
type network struct {
	opaque
	asked []context.Context
	err   error
}

func (n *network) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	n.asked = append(n.asked, ctx)
	if n.err != nil {
		return nil, n.err
	}
	return n.Sign(rand.Reader, digest, opts)
}

// forgeText clearsigns one line of any length.
func forgeText(t testing.TB, k *SecretKey, line string) []byte {
	t.Helper()
	f := forge(t, k, []byte(line), func(s *packet.Signature) { s.SigType = packet.SigTypeText })
	return appendClear(nil, [][]byte{[]byte(line)}, f.raw)
}

func TestSignDeterministic(t *testing.T) {
	keys := []*SecretKey{rsaSecret(t), edSecret(t)}
	for _, sign := range []func(testing.TB, string, time.Time, ...*SecretKey) []byte{clearsign, detach} {
		a, b := sign(t, release, noon, keys...), sign(t, release, noon.Add(time.Millisecond), keys...)
		if !bytes.Equal(a, b) {
			t.Errorf("equal text, keys and second:\n%s\n%s", a, b)
		}
		if c := sign(t, release, noon.Add(time.Second), keys...); bytes.Equal(a, c) {
			t.Error("another time, the same signature")
		}
	}
}

func TestClearsignForm(t *testing.T) {
	got := string(clearsign(t, "a \n- b\n", noon, edSecret(t)))
	if want := "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\na\n- - b\n-----BEGIN PGP SIGNATURE-----\n\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%s", got)
	}
	tail := got[strings.LastIndex(got, "\n="):]
	if len(tail) != len("\n=abcd\n-----END PGP SIGNATURE-----\n") || !strings.HasSuffix(tail, "\n-----END PGP SIGNATURE-----\n") {
		t.Errorf("no checksum: %q", tail)
	}
}

func TestSignRefuses(t *testing.T) {
	k := edSecret(t)
	expired := recertify(t, k, made, func(s *packet.Signature) { life := uint32(3600); s.KeyLifetimeSecs = &life })
	revoked := recertify(t, k, made, func(s *packet.Signature) { s.SigType = packet.SigTypeKeyRevocation })
	certifier := recertify(t, k, made, func(s *packet.Signature) { s.FlagSign = false })
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		key  *SecretKey
		text string
		at   time.Time
		want error
	}{
		"good":           {context.Background(), k, "x", noon, nil},
		"before made":    {context.Background(), k, "x", made.Add(-2 * time.Hour), ErrExpired},
		"expired":        {context.Background(), expired, "x", noon, ErrExpired},
		"revoked":        {context.Background(), revoked, "x", noon, ErrRevoked},
		"not signing":    {context.Background(), certifier, "x", noon, ErrNotSigning},
		"without secret": {context.Background(), &SecretKey{Key: k.Key}, "x", noon, ErrNoSecret},
		"cancelled":      {done, k, "x", noon, context.Canceled},
		"long line":      {context.Background(), k, strings.Repeat("x", maxLine), noon, ErrTooLarge},
		"long text":      {context.Background(), k, strings.Repeat("\n", maxMessage+1), noon, ErrTooLarge},
	} {
		var out bytes.Buffer
		err := must(NewSigner(tc.key))(t).Clearsign(tc.ctx, &out, []byte(tc.text), tc.at)
		if !errors.Is(err, tc.want) || (err != nil) != (out.Len() == 0) {
			t.Errorf("%s: %v, want %v, and %d bytes", name, err, tc.want, out.Len())
		}
	}
}

func TestNewSigner(t *testing.T) {
	k := edSecret(t)
	locked := must(ParseSecretKeys(must(k.SecretBinary([]byte("secret")))(t)))(t)[0]
	if _, err := NewSigner(); err != ErrNoDefaultKey {
		t.Errorf("without keys: %v", err)
	}
	if _, err := NewSigner(k, locked); !errors.Is(err, ErrLocked) {
		t.Errorf("locked: %v", err)
	}
	if _, err := locked.Unlock(nil); err != ErrLocked {
		t.Errorf("without passphrase: %v", err)
	}
	if _, err := locked.Unlock([]byte("wrong")); err != ErrPassphrase {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := locked.SecretBinary(nil); !errors.Is(err, ErrLocked) {
		t.Errorf("export of a locked key: %v", err)
	}
	unlocked := must(locked.Unlock([]byte("secret")))(t)
	if unlocked.Locked() || !locked.Locked() {
		t.Error("Unlock changed the key, or did not")
	}
	keys := must(NewSigner(unlocked, rsaSecret(t)))(t).PublicKeys()
	if len(keys) != 2 || keys[0].ID() != k.ID() || keys[1].ID() != rsaSecret(t).ID() {
		t.Errorf("%v", keys)
	}
}

func TestSelect(t *testing.T) {
	a := must(Generate("Alice Archive", "a@example.org", Ed25519, made))(t)
	b := addSubkey(t, must(Generate("Bob", "deadbeef@example.org", Ed25519, made))(t), true, nothing)
	keys := []*SecretKey{a, b}
	id, sub := a.ID().String(), b.Subkeys()[0].String()
	for refs, want := range map[string][]*SecretKey{
		"":                                       {a},
		" , ":                                    {a},
		id:                                       {a},
		id[8:]:                                   {a},
		"0x" + strings.ToLower(id):               {a},
		a.Fingerprint():                          {a},
		a.Fingerprint()[:20]:                     nil,
		sub:                                      {b},
		sub + "!":                                {b},
		"Bob":                                    {b},
		"<deadbeef@example.org>":                 {b},
		"deadbeef":                               {b},
		"example.org":                            {a},
		"bob, alice":                             {b, a},
		id + "," + id[8:] + ",,Alice":            {a},
		"Bob,nobody":                             nil,
		id[:8] + "\x00":                          nil,
		"ALICE ARCHIVE <A@EXAMPLE.ORG>,deadbeef": {a, b},
	} {
		got, err := Select(keys, refs)
		if len(want) == 0 {
			if !errors.Is(err, ErrNoSuchKey) {
				t.Errorf("%q: %v, %v", refs, got, err)
			}
			continue
		}
		if err != nil || len(got) != len(want) {
			t.Errorf("%q: %v, %v", refs, got, err)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%q: %s in place %d", refs, got[i].UserIDs(), i)
			}
		}
	}
	if _, err := Select(keys, "nobody"); err.Error() != "couldn't find key for key reference nobody" {
		t.Errorf("%v", err)
	}
	if _, err := Select(nil, ""); err != ErrNoDefaultKey {
		t.Errorf("%v", err)
	}
	if found := ring(t, a, b).Find(sub); len(found) != 1 || found[0] != b.Key || !b.Matches("bob") || a.Matches("") {
		t.Errorf("%v", found)
	}
}

func TestGenerate(t *testing.T) {
	for _, tc := range [][2]string{{"", ""}, {"a(b", ""}, {"a", "b>"}, {"a\nb", ""}} {
		if _, err := Generate(tc[0], tc[1], Ed25519, made); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", tc, err)
		}
	}
	if _, err := Generate("a", "", Algorithm(9), made); !errors.Is(err, ErrUnsupported) {
		t.Errorf("%v", err)
	}
	k := rsaSecret(t)
	if k.Algorithm() != "rsa3072" || !k.Created().Equal(made) || k.UserIDs()[0] != "Old Archive <rsa@example.org>" || k.Revoked() {
		t.Errorf("%s %s %q", k.Algorithm(), k.Created(), k.UserIDs())
	}
	if _, expires := k.Expires(); expires {
		t.Error("expires")
	}
}

func TestFromCryptoSigner(t *testing.T) {
	ctx := context.WithValue(context.Background(), opaque{}, "of the call")
	local := rsaSecret(t)
	n := &network{opaque: opaque{local.secrets[local.ID()].priv.PrivateKey.(*rsa.PrivateKey)}}
	k := must(FromCryptoSigner(ctx, n, "Old Archive", "rsa@example.org", made))(t)
	if !bytes.Equal(k.Binary(), local.Binary()) {
		t.Error("the certificate differs from that of the same key here")
	}
	var out bytes.Buffer
	if err := must(NewSigner(k))(t).DetachSign(ctx, &out, []byte(release), noon); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), detach(t, release, noon, local)) || len(n.asked) != 2 || n.asked[1] != ctx {
		t.Errorf("asked %d times", len(n.asked))
	}
	n.err = io.ErrUnexpectedEOF
	if err := must(NewSigner(k))(t).DetachSign(ctx, &out, nil, noon); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("signer that fails: %v", err)
	}
	if _, err := FromCryptoSigner(ctx, n, "a", "", made); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("signer that fails: %v", err)
	}
	if _, err := k.SecretBinary(nil); !errors.Is(err, ErrNoSecret) {
		t.Errorf("export: %v", err)
	}
}

func TestWithSigner(t *testing.T) {
	ctx := context.Background()
	p256 := opaque{must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)}
	made1 := must(FromCryptoSigner(ctx, p256, "a", "", made))(t)
	made2 := must(FromCryptoSigner(ctx, p256, "b", "", made))(t)
	if made1.Fingerprint() != made2.Fingerprint() {
		t.Error("the fingerprint does not only depend on key and time")
	}
	stored := must(ParseKeys(made1.Armor()))(t)[0]
	back := must(stored.WithSigner(p256))(t)
	if _, _, err := ring(t, made1).VerifyClearsigned(clearsign(t, release, noon, back), noon); err != nil {
		t.Error(err)
	}
	if _, err := edSecret(t).WithSigner(p256); !errors.Is(err, ErrNoSecret) {
		t.Errorf("another's signer: %v", err)
	}
	if both := must(made1.WithSigner(p256))(t); len(both.secrets) != 1 || both.Key != made1.Key {
		t.Errorf("%d private parts", len(both.secrets))
	}
	p384 := opaque{must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)}
	if _, err := FromCryptoSigner(ctx, p384, "a", "", made); !errors.Is(err, ErrUnsupported) {
		t.Errorf("P-384: %v", err)
	}
}

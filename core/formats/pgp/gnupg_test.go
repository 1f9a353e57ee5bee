package pgp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const release = "Origin: Example\nSuite: stable\nSHA256:\n 0123 1 main/binary-amd64/Packages\n"

// texts are hard to sign. gpg and this package read each of them in the same way.
var texts = []string{
	release,
	"",
	"\n",
	"\n\n\n",
	"no newline at the end",
	"- item\n-- \n-----BEGIN PGP SIGNATURE-----\n-\n",
	"trailing space \ntrailing tab\t\n \t \n",
	"carriage\r\nreturns\r\n",
	"in\rside\n",
	"both \r \r\n",
	"From here\nHash: SHA1\n\n",
	"\x00\x01\xff\n",
	"Ünïcode ✓\n",
	strings.Repeat("x", maxLine-len(dashEscape)) + "\n",
	"-" + strings.Repeat("x", maxLine-len(dashEscape)-1) + "\n",
}

func TestGPGVAccepts(t *testing.T) {
	g := newGPG(t)
	ed, old := edSecret(t), rsaSecret(t)
	sub := addSubkey(t, edSecret(t), true, nothing)
	remoteRSA := must(FromCryptoSigner(context.Background(), opaque{old.secrets[old.ID()].priv.PrivateKey.(*rsa.PrivateKey)}, "RSA", "", made))(t)
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	remoteP256 := must(FromCryptoSigner(context.Background(), opaque{p256}, "P-256", "", made))(t)
	for name, keys := range map[string][]*SecretKey{
		"ed25519":     {ed},
		"rsa3072":     {old},
		"subkey":      {sub},
		"both":        {old, ed},
		"remote rsa":  {remoteRSA},
		"remote p256": {remoteP256},
	} {
		trusted := ring(t, keys...)
		some := texts[:1]
		if name == "ed25519" {
			some = texts
		}
		for _, text := range some {
			status, said := g.gpgv(t, trusted, g.file(t, "InRelease", clearsign(t, text, noon, keys...)))
			if status != 0 || strings.Count(said, "Good signature") != len(keys) {
				t.Errorf("%s: InRelease of %.40q: %d\n%s", name, text, status, said)
			}
			status, said = g.gpgv(t, trusted, g.file(t, "Release.gpg", detach(t, text, noon, keys...)), g.file(t, "Release", []byte(text)))
			if status != 0 || strings.Count(said, "Good signature") != len(keys) {
				t.Errorf("%s: Release.gpg of %.40q: %d\n%s", name, text, status, said)
			}
		}
	}
}

// TestLineLimitIsThatOfGPGV shows that gpgv sets the limit on lines.
func TestLineLimitIsThatOfGPGV(t *testing.T) {
	g := newGPG(t)
	k := edSecret(t)
	sig := forgeText(t, k, strings.Repeat("x", 20000))
	if status, said := g.gpgv(t, ring(t, k), g.file(t, "InRelease", sig)); status == 0 {
		t.Errorf("gpgv reads longer lines than believed: %s", said)
	}
	if _, _, err := ring(t, k).VerifyClearsigned(sig, noon); err != nil {
		t.Errorf("%v", err)
	}
}

// TestExitStatus compares ExitStatus with gpgv.
func TestExitStatus(t *testing.T) {
	g := newGPG(t)
	k, other := edSecret(t), edSecret(t)
	good := clearsign(t, release, noon, k)
	bad := bytes.Replace(good, []byte("stable"), []byte("stale!"), 1)
	for name, tc := range map[string]struct {
		ring   *Keyring
		signed []byte
	}{
		"good":      {ring(t, k), good},
		"bad":       {ring(t, k), bad},
		"unknown":   {ring(t, other), good},
		"unsigned":  {ring(t, k), []byte(release)},
		"none of 2": {ring(t, k), bytes.Replace(clearsign(t, release, noon, k, other), []byte("stable"), []byte("stale!"), 1)},
	} {
		want, said := g.gpgv(t, tc.ring, g.file(t, "signed", tc.signed))
		_, _, err := tc.ring.VerifyClearsigned(tc.signed, noon)
		if got := ExitStatus(err); got != want {
			t.Errorf("%s: %d (%v), gpgv %d: %s", name, got, err, want, said)
		}
	}
}

// TestOneGoodOfTwoSignaturesSuffices signs with two keys, of which the ring has one. gpgv reports
// a good signature and exits with 2 for the unknown key. apt's method accepts the
// text by the report.
func TestOneGoodOfTwoSignaturesSuffices(t *testing.T) {
	g := newGPG(t)
	k, other := edSecret(t), edSecret(t)
	signed := clearsign(t, release, noon, k, other)
	status, said := g.gpgv(t, ring(t, k), g.file(t, "signed", signed))
	_, sigs, err := ring(t, k).VerifyClearsigned(signed, noon)
	if status != 2 || !strings.Contains(said, "Good signature") || err != nil || len(sigs) != 1 || sigs[0].Key != k.ID() {
		t.Errorf("%v, %v; gpgv %d: %s", sigs, err, status, said)
	}
}

// TestGPGSigned verifies signatures of gpg.
func TestGPGSigned(t *testing.T) {
	g := newGPG(t)
	g.gpg(t, nil, "--quick-gen-key", "gpg user <u@example.org>", "ed25519", "cert", "never")
	fpr := strings.Split(string(g.gpg(t, nil, "--list-keys", "--with-colons")), "\nfpr:::::::::")[1][:40]
	g.gpg(t, nil, "--quick-add-key", fpr, "rsa2048", "sign", "1y")
	now := time.Now()
	trusted := must(ParseKeyring(g.gpg(t, nil, "--export")))(t)
	if armored := must(ParseKeyring(g.gpg(t, nil, "--armor", "--export")))(t); !bytes.Equal(armored.Binary(), trusted.Binary()) {
		t.Error("armor holds something else")
	}
	key := trusted.Keys()[0]
	if key.Fingerprint() != fpr || key.UserIDs()[0] != "gpg user <u@example.org>" || key.Algorithm() != "ed25519" || len(key.Subkeys()) != 1 {
		t.Fatalf("%s %q %s %v", key.Fingerprint(), key.UserIDs(), key.Algorithm(), key.Subkeys())
	}
	for _, text := range texts {
		for _, mode := range [][]string{{"--clearsign"}, {"--clearsign", "--digest-algo", "SHA512"}} {
			signed := g.gpg(t, []byte(text), mode...)
			got, sigs, err := trusted.VerifyClearsigned(signed, now)
			if err != nil || len(sigs) != 1 || sigs[0].Key != key.ID() || sigs[0].Subkey != key.Subkeys()[0] {
				t.Errorf("%v of %.40q: %v, %v", mode, text, sigs, err)
				continue
			}
			if want := string((&clearText{lines: must(clearLines([]byte(text)))(t)}).text()); string(got) != want {
				t.Errorf("%v of %.40q: %.40q", mode, text, got)
			}
		}
	}
	for _, mode := range [][]string{{}, {"--armor"}, {"--textmode"}, {"--armor", "--textmode"}} {
		for _, text := range []string{release, "a \r\nb\n\n"} {
			sig := g.gpg(t, []byte(text), append(mode, "--detach-sign")...)
			if _, err := trusted.VerifyDetached([]byte(text), sig, now); err != nil {
				t.Errorf("%v: %v", mode, err)
			}
			if _, err := trusted.VerifyDetached([]byte(text+"x"), sig, now); ExitStatus(err) != 1 {
				t.Errorf("%v with another text: %v", mode, err)
			}
		}
	}
	if _, _, err := trusted.VerifyClearsigned(g.gpg(t, []byte(release), "--clearsign", "--digest-algo", "SHA1"), now); !isWeak(err) {
		t.Errorf("SHA-1: %v", err)
	}
	if _, err := trusted.VerifyDetached([]byte(release), g.gpg(t, []byte(release), "--sign", "--compress-algo", "none"), now); err == nil {
		t.Error("a message that is signed inside was taken for a signature")
	}
	raw := must(os.ReadFile(filepath.Join(string(g), "pubring.kbx")))(t)
	if _, err := ParseKeyring(raw); err == nil || !strings.Contains(err.Error(), "gpg --export") {
		t.Errorf("keybox: %v", err)
	}
}

// TestGPGSecret exchanges secret keys with gpg, locked and unlocked.
func TestGPGSecret(t *testing.T) {
	g := newGPG(t)
	for _, passphrase := range []string{"", "correct horse"} {
		ours := map[string]*SecretKey{"ed25519": edSecret(t), "subkey": addSubkey(t, edSecret(t), true, nothing)}
		if passphrase == "" {
			ours["rsa"] = rsaSecret(t)
		}
		for name, k := range ours {
			pass := []string{"--passphrase", passphrase, "--local-user", k.Fingerprint()}
			g.gpg(t, must(k.SecretArmor([]byte(passphrase)))(t), append(pass, "--import")...)
			signed := g.gpg(t, []byte(release), append(pass, "--clearsign")...)
			if _, _, err := ring(t, k).VerifyClearsigned(signed, time.Now()); err != nil {
				t.Errorf("%s signed by gpg: %v", name, err)
			}
			back := must(ParseSecretKeys(g.gpg(t, nil, append(pass, "--armor", "--export-secret-keys", k.Fingerprint())...)))(t)[0]
			if back.Locked() != (passphrase != "") {
				t.Errorf("%s: locked %v with passphrase %q", name, back.Locked(), passphrase)
			}
			back = must(back.Unlock([]byte(passphrase)))(t)
			if want := clearsign(t, release, noon, k); !slices.Equal(clearsign(t, release, noon, back), want) {
				t.Errorf("%s signs otherwise when it comes back", name)
			}
		}
	}
}

// TestGPGOfflinePrimary signs with a subkey whose primary key is absent.
func TestGPGOfflinePrimary(t *testing.T) {
	g := newGPG(t)
	k := addSubkey(t, edSecret(t), true, nothing)
	g.gpg(t, must(k.SecretBinary(nil))(t), "--import")
	half := must(ParseSecretKeys(g.gpg(t, nil, "--export-secret-subkeys")))(t)[0]
	if len(half.secrets) != 1 {
		t.Fatalf("%d private parts", len(half.secrets))
	}
	_, sigs, err := ring(t, k).VerifyClearsigned(clearsign(t, release, noon, half), noon)
	if err != nil || sigs[0].Signer() != k.Subkeys()[0] || sigs[0].Key != k.ID() {
		t.Errorf("%v, %v", sigs, err)
	}
	if _, err := half.SecretBinary(nil); err == nil {
		t.Error("a primary key that is not here was exported")
	}
}

package pgp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// made is the creation time of the tests' keys. noon is the time of their use.
var (
	made = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
)

var rsaKey = sync.OnceValues(func() (*SecretKey, error) { return Generate("Old Archive", "rsa@example.org", RSA3072, made) })

// rsaSecret returns the RSA key that all tests of a run share.
func rsaSecret(t testing.TB) *SecretKey {
	t.Helper()
	return must(rsaKey())(t)
}

// edSecret returns a new Ed25519 key.
func edSecret(t testing.TB) *SecretKey {
	t.Helper()
	return must(Generate("New Archive", "ed@example.org", Ed25519, made))(t)
}

// must returns v, and fails the test on an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// ring returns the ring of the public parts.
func ring(t testing.TB, keys ...*SecretKey) *Keyring {
	t.Helper()
	var certs []*Key
	for _, k := range keys {
		certs = append(certs, k.Key)
	}
	return must(NewKeyring(certs...))(t)
}

// clearsign signs text by the keys.
func clearsign(t testing.TB, text string, at time.Time, keys ...*SecretKey) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := must(NewSigner(keys...))(t).Clearsign(context.Background(), &b, []byte(text), at); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// detach signs data by the keys.
func detach(t testing.TB, data string, at time.Time, keys ...*SecretKey) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := must(NewSigner(keys...))(t).DetachSign(context.Background(), &b, []byte(data), at); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// forge signs data with the key after change has altered the signature.
func forge(t testing.TB, k *SecretKey, data []byte, change func(*packet.Signature)) frame {
	t.Helper()
	s := k.secrets[k.ID()]
	sig := newSignature(s.priv, packet.SigTypeBinary, noon)
	change(sig)
	h := sig.Hash.New()
	h.Write(data)
	if err := sig.Sign(h, s.priv, signConfig(noon)); err != nil {
		t.Fatal(err)
	}
	return must(serialize(sig))(t)
}

// recertify signs the key's user ID again at the given time, with a signature
// that change alters.
func recertify(t testing.TB, k *SecretKey, at time.Time, change func(*packet.Signature)) *SecretKey {
	t.Helper()
	s := k.secrets[k.ID()]
	sig := newSignature(s.priv, packet.SigTypePositiveCert, at)
	sig.FlagsValid, sig.FlagCertify, sig.FlagSign = true, true, true
	change(sig)
	var err error
	if sig.SigType == packet.SigTypeKeyRevocation {
		err = sig.RevokeKey(&s.priv.PublicKey, s.priv, signConfig(at))
	} else {
		err = sig.SignUserId(k.UserIDs()[0], &s.priv.PublicKey, s.priv, signConfig(at))
	}
	if err != nil {
		t.Fatal(err)
	}
	parts := []part{k.parts[0], k.parts[1]}
	if f := must(serialize(sig))(t); sig.SigType == packet.SigTypeKeyRevocation {
		parts[0].sigs = []frame{f}
	} else {
		parts[1].sigs = []frame{f}
	}
	return &SecretKey{Key: must(parseKey(parts))(t), secrets: k.secrets}
}

// addSubkey adds a subkey to the key. change sets its abilities. Without cross,
// the subkey has no signature that binds it to the key.
func addSubkey(t testing.TB, k *SecretKey, cross bool, change func(*packet.Signature)) *SecretKey {
	t.Helper()
	primary := k.secrets[k.ID()].priv
	sub := must(generateEd25519(made.Add(time.Hour)))(t)
	sub.IsSubkey = true
	sig := newSignature(primary, packet.SigTypeSubkeyBinding, made.Add(time.Hour))
	sig.FlagsValid, sig.FlagSign = true, true
	change(sig)
	if cross {
		back := newSignature(sub, packet.SigTypePrimaryKeyBinding, made.Add(time.Hour))
		if err := back.CrossSignKey(&sub.PublicKey, &primary.PublicKey, sub, signConfig(made)); err != nil {
			t.Fatal(err)
		}
		sig.EmbeddedSignature = back
	}
	if err := sig.SignKey(&sub.PublicKey, primary, signConfig(made)); err != nil && cross {
		t.Fatal(err)
	}
	var secret bytes.Buffer
	if err := sub.Serialize(&secret); err != nil {
		t.Fatal(err)
	}
	data := append(must(k.SecretBinary(nil))(t), secret.Bytes()...)
	if cross {
		data = append(data, must(serialize(sig))(t).raw...)
	}
	return must(ParseSecretKeys(data))(t)[0]
}

// gpgHome is a home directory of GnuPG.
type gpgHome string

// newGPG returns an empty home. Tests compare with GnuPG, so it must be
// installed.
func newGPG(t testing.TB) gpgHome {
	t.Helper()
	for _, tool := range []string{"gpg", "gpgv", "gpgconf"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is needed: %v", tool, err)
			}
			t.Skipf("NOT TESTED AGAINST GNUPG: %v", err)
		}
	}
	// The agent's socket path has at most 108 bytes. t.TempDir may be longer.
	dir := must(os.MkdirTemp("", "pgp"))(t)
	t.Cleanup(func() {
		if out, err := exec.Command("gpgconf", "--homedir", dir, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("gpgconf: %v: %s", err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	g := gpgHome(dir)
	g.file(t, "gpg-agent.conf", []byte("s2k-count 65536\n")) // without it the agent calibrates for seconds
	return g
}

// file writes a file into the home and returns its path.
func (g gpgHome) file(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(string(g), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// gpg runs gpg with the input and returns its output.
func (g gpgHome) gpg(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("gpg", append([]string{"--homedir", string(g), "--batch", "--quiet", "--yes", "--no-tty",
		"--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
	cmd.Stdin = bytes.NewReader(input)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("gpg %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out.Bytes()
}

// gpgv returns the exit status and the output of gpgv.
func (g gpgHome) gpgv(t testing.TB, ring *Keyring, files ...string) (status int, said string) {
	t.Helper()
	keys := g.file(t, "trusted.gpg", ring.Binary())
	out, err := exec.Command("gpgv", append([]string{"--homedir", string(g), "--keyring", keys}, files...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		status = exit.ExitCode()
	}
	return status, string(out)
}

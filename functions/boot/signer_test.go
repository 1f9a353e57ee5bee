package boot

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/pgp"
	"aptless/infra/aws"
)

// kmsServer speaks the protocol of KMS for keys by their ID.
func kmsServer(t *testing.T, keys map[string]crypto.Signer) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			KeyId, MessageType, SigningAlgorithm string
			Message                              []byte
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		key, ok := keys[in.KeyId]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			w.Write([]byte(`{"__type":"NotFoundException","message":"no such key"}`))
			return
		}
		out := map[string]any{"KeyId": in.KeyId}
		switch r.Header.Get("X-Amz-Target") {
		case "TrentService.GetPublicKey":
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Error(err)
			}
			out["PublicKey"], out["KeyUsage"] = der, "SIGN_VERIFY"
			if in.KeyId == "encrypts" {
				out["KeyUsage"] = "ENCRYPT_DECRYPT"
			}
		case "TrentService.Sign":
			if in.MessageType != "DIGEST" || !strings.HasSuffix(in.SigningAlgorithm, "SHA_256") {
				t.Errorf("%s of %s", in.SigningAlgorithm, in.MessageType)
			}
			signature, err := key.Sign(rand.Reader, in.Message, crypto.SHA256)
			if err != nil {
				t.Error(err)
			}
			out["Signature"] = signature
		default:
			t.Errorf("unknown request %s", r.Header.Get("X-Amz-Target"))
		}
		json.NewEncoder(w).Encode(out)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_KMS", server.URL)
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
}

// TestSigner holds that publications are signed by KMS keys and a key of a secret
// together, and that gpgv accepts the signatures.
func TestSigner(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:kms:eu-central-1:111122223333:key/1234"
	kmsServer(t, map[string]crypto.Signer{arn: rsaKey, "alias/apt": ecKey, "encrypts": rsaKey})
	created := time.Now().Add(-time.Hour).Truncate(time.Second)
	var public bytes.Buffer
	for _, id := range []string{arn, "kms:alias/apt"} {
		signer, err := aws.OpenKMS(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		k, err := pgp.FromCryptoSigner(t.Context(), signer, "Repository", "apt@example.org", created)
		if err != nil {
			t.Fatal(err)
		}
		public.Write(k.Armor())
	}
	old, err := pgp.Generate("Old", "old@example.org", pgp.Ed25519, created)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := old.SecretArmor(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"public": public.Bytes(), "secret": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	publicID, secretID := "file:"+filepath.Join(dir, "public"), "file:"+filepath.Join(dir, "secret")
	d, err := aws.Open(t.Context(), aws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := newSigner(t.Context(), d, arn+" kms:alias/apt "+secretID, publicID)
	if err != nil {
		t.Fatal(err)
	}
	var clear bytes.Buffer
	if err := signer.Clearsign(t.Context(), &clear, []byte("Origin: x\n"), time.Now()); err != nil {
		t.Fatal(err)
	}
	ring, err := pgp.NewKeyring(signer.PublicKeys()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, sigs, err := ring.VerifyClearsigned(clear.Bytes(), time.Now()); err != nil || len(sigs) != 3 {
		t.Errorf("%d signatures, %v", len(sigs), err)
	}
	if n := d.Counts(); n["kms.GetPublicKey"] != 2 || n["kms.Sign"] != 2 {
		t.Errorf("%v", n)
	}
	gpgv(t, dir, ring, clear.Bytes())

	known, err := newSigner(t.Context(), d, "", publicID)
	if err != nil || len(known.PublicKeys()) != 2 {
		t.Fatalf("%v, %v", known, err)
	}
	if err := known.Clearsign(t.Context(), &clear, nil, time.Now()); !errors.Is(err, pgp.ErrPublicOnly) {
		t.Error(err)
	}
	for id, want := range map[string]string{
		"kms:nothing":  "NotFoundException",
		"kms:encrypts": "not for SIGN_VERIFY",
	} {
		if _, err := newSigner(t.Context(), d, id, publicID); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), old.Armor(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newSigner(t.Context(), d, arn, "file:"+filepath.Join(dir, "other")); !errors.Is(err, pgp.ErrNoSecret) {
		t.Errorf("a key whose public key is not there: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := signer.Clearsign(cancelled, &clear, nil, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// gpgv verifies a clearsigned text with Debian's tool.
func gpgv(t *testing.T, dir string, ring *pgp.Keyring, clear []byte) {
	t.Helper()
	keys, text := filepath.Join(dir, "ring.gpg"), filepath.Join(dir, "InRelease")
	for name, data := range map[string][]byte{keys: ring.Binary(), text: clear} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("gpgv", "--homedir", dir, "--keyring", keys, text).CombinedOutput(); err != nil || strings.Count(string(out), "Good signature") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestIsKMS(t *testing.T) {
	for id, want := range map[string]bool{
		"arn:aws:kms:eu-central-1:111122223333:key/1":      true,
		"arn:aws-cn:kms:cn-north-1:111122223333:alias/apt": true,
		"kms:alias/apt": true,
		"arn:aws:secretsmanager:eu-central-1:111122223333:secret:a": false,
		"apt-signing-key": false,
		"file:/etc/key":   false,
	} {
		if aws.IsKMS(id) != want {
			t.Errorf("%s: %v", id, !want)
		}
	}
}

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pair writes a certificate for a name and its key. The files have a time that is ahead
// of now, in seconds.
func pair(t *testing.T, dir, name string, ahead int) (file, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	file, key = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for name, block := range map[string]*pem.Block{file: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(ahead) * time.Second)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return file, key
}

// TestReplacedCertificateIsServed, and a pair that does not fit is not.
func TestReplacedCertificateIsServed(t *testing.T) {
	dir := t.TempDir()
	file, key := pair(t, dir, "first", 0)
	c, err := readCertificate(file, key)
	if err != nil {
		t.Fatal(err)
	}
	serves := func(want string) {
		t.Helper()
		got, err := c.config().GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if leaf, err := x509.ParseCertificate(got.Certificate[0]); err != nil || leaf.Subject.CommonName != want {
			t.Errorf("%v, %v, want %s", leaf.Subject, err, want)
		}
	}
	serves("first")
	pair(t, dir, "second", 10)
	if err := c.read(false); err != nil {
		t.Fatal(err)
	}
	serves("second")
	other, _ := pair(t, t.TempDir(), "other", 20)
	data, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.read(true); err == nil {
		t.Error("a pair that does not fit is taken")
	}
	serves("second")
	if _, err := readCertificate(file, key); err == nil {
		t.Error("a server starts with a pair that does not fit")
	}
}

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/front/auth"
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
	c, err := readCertificate(file, key, "", false)
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
	if _, err := readCertificate(file, key, "", false); err == nil {
		t.Error("a server starts with a pair that does not fit")
	}
}

// TestCertificatesAreReplacedUnderLoad: no connection fails while the files are replaced,
// one after the other, and the last connection has the last certificate.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	dir := t.TempDir()
	file, key := pair(t, dir, "localhost", 0)
	c, err := readCertificate(file, key, "", false)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{log: slog.New(slog.DiscardHandler), mode: &mode{tls: c}}
	server := s.httpServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "yes") }))
	s.listen(t.Context(), server, listeners{{Listener: inner}}, 100, make(chan error, 1))
	defer server.Close()
	ask := func() (*x509.Certificate, error) {
		conn, err := tls.Dial("tcp", inner.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if answer, err := answered(conn); err != nil || answer != "200 yes" {
			return nil, fmt.Errorf("%s, %w", answer, err)
		}
		return conn.ConnectionState().PeerCertificates[0], nil
	}
	stop, failed, asked := make(chan struct{}), make(chan error, 4), atomic.Int64{}
	for range cap(failed) {
		go func() {
			for {
				if _, err := ask(); err != nil {
					failed <- err
					return
				}
				asked.Add(1)
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
			}
		}()
	}
	for i := range 20 {
		for before := asked.Load(); asked.Load() == before && len(failed) == 0; {
			runtime.Gosched()
		}
		pair(t, dir, fmt.Sprintf("number %d", i), i+1) // two files, written one after the other
		if err := c.read(i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if last, err := ask(); err != nil || last.Subject.CommonName != "number 19" {
		t.Errorf("%v, %v", last, err)
	}
}

// clientPair returns an authority's file, and a certificate of it for a client's URI.
func clientPair(t *testing.T, uri string) (authorities string, client tls.Certificate) {
	t.Helper()
	keys := [2]*ecdsa.PrivateKey{}
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{u}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	ca, err := x509.CreateCertificate(rand.Reader, root, root, &keys[0].PublicKey, keys[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &keys[1].PublicKey, keys[0])
	if err != nil {
		t.Fatal(err)
	}
	authorities = filepath.Join(t.TempDir(), "ca")
	put(t, authorities, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})), 0o600)
	return authorities, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: keys[1]}
}

// TestClientCertificateIsAPrincipal: with a binding it needs no token, over HTTP/1.1 and
// HTTP/2. A certificate of another authority does not get through TLS.
func TestClientCertificateIsAPrincipal(t *testing.T) {
	file, key := pair(t, t.TempDir(), "localhost", 0)
	authorities, client := clientPair(t, "spiffe://example.org/ci/hello")
	_, foreign := clientPair(t, "spiffe://example.org/ci/hello")
	secret := auth.NewSecret(auth.API)
	t.Setenv(adminVariable, secret)
	for _, demand := range []string{"optional", "require"} {
		r := newRunning(t, withKey(t), "--tls-cert", file, "--tls-key", key, "--tls-client-ca", authorities, "--tls-client-auth", demand)
		ask := func(cert *tls.Certificate, http2 bool, token, method, path, body string) (int, string, error) {
			config := &tls.Config{InsecureSkipVerify: true}
			if cert != nil {
				config.Certificates = []tls.Certificate{*cert}
			}
			transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2, DialContext: r.client.Transport.(*http.Transport).DialContext}
			defer transport.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), method, "https://localhost"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return 0, "", err
			}
			defer resp.Body.Close()
			if (resp.ProtoMajor == 2) != http2 {
				t.Errorf("%s", resp.Proto)
			}
			data, err := io.ReadAll(resp.Body)
			return resp.StatusCode, string(data), err
		}
		for { // until the server listens
			if _, _, err := ask(&client, false, "", "GET", "/api/ready", ""); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		const binding = `{"Kind":"cert","Match":{"uri":["spiffe://example.org/ci/*"]},"Owner":"ci","Grants":[{"Role":"uploader","Repos":["hello"]}]}`
		if code, answer, err := ask(&client, false, secret, "PUT", "/api/auth/bindings/ci", binding); code != 200 {
			t.Fatalf("%d %s %v", code, answer, err)
		}
		for _, http2 := range []bool{false, true} {
			code, answer, err := ask(&client, http2, "", "GET", "/api/auth/whoami", "")
			if want := `{"Kind":"cert","Name":"spiffe://example.org/ci/hello","Owner":"ci","Grants":[{"Role":"uploader","Repos":["hello"]}]}`; code != 200 || answer != want {
				t.Errorf("%s: %d %s %v", demand, code, answer, err)
			}
		}
		if code, _, err := ask(&foreign, false, "", "GET", "/api/auth/whoami", ""); err == nil {
			t.Errorf("%s: a certificate of another authority: %d", demand, code)
		}
		code, _, err := ask(nil, false, "", "GET", "/api/auth/whoami", "")
		if demand == "require" && err == nil || demand == "optional" && code != 401 {
			t.Errorf("%s: without a certificate: %d %v", demand, code, err)
		}
		r.end()
	}
}

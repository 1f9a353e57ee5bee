package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// certificate is a pair of files that may be replaced while the server runs, and the file
// with the authorities of client certificates.
type certificate struct {
	file, key   string
	authorities string             // "" asks for no client certificates
	demand      tls.ClientAuthType // with authorities

	mu      sync.Mutex
	current *tls.Config
	changed [3]time.Time // of the files of current
}

// readCertificate reads a pair of files, which has to fit. authorities is the file with the
// authorities of client certificates, "" for none; with required each client needs one.
func readCertificate(file, key, authorities string, required bool) (*certificate, error) {
	c := &certificate{file: file, key: key, authorities: authorities, demand: tls.VerifyClientCertIfGiven}
	if required {
		c.demand = tls.RequireAndVerifyClientCert
	}
	return c, c.read(true)
}

// read reads the files again if they have changed, or in any case. Files that do not fit
// are not taken: the former ones stay.
func (c *certificate) read(always bool) error {
	var changed [3]time.Time
	for i, name := range []string{c.file, c.key, c.authorities} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
		changed[i] = info.ModTime()
	}
	c.mu.Lock()
	same := changed == c.changed
	c.mu.Unlock()
	if same && !always {
		return nil
	}
	next, err := c.load()
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.changed = next, changed
	return nil
}

// load returns the settings of connections by the files as they are.
func (c *certificate) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.file, c.key)
	if err != nil {
		return nil, err
	}
	next := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if c.authorities == "" {
		return next, nil
	}
	data, err := os.ReadFile(c.authorities)
	if err != nil {
		return nil, err
	}
	next.ClientAuth, next.ClientCAs = c.demand, x509.NewCertPool()
	if !next.ClientCAs.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s has no certificate", c.authorities)
	}
	return next, nil
}

// now returns the settings of a new connection.
func (c *certificate) now(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, nil
}

// config returns the settings of a listener, whose connections use the files as they are
// by then.
func (c *certificate) config() *tls.Config {
	// net/http looks at NextProtos when the first listener is served, also at one without TLS.
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetConfigForClient: c.now, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		current, err := c.now(hello)
		return &current.Certificates[0], err
	}}
}

// watch reads the files again every minute, and at SIGHUP, until ctx is done.
func (c *certificate) watch(ctx context.Context, log *slog.Logger) {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		always := false
		select {
		case <-ctx.Done():
			return
		case <-hangUp:
			always = true
		case <-ticker.C:
		}
		if err := c.read(always); err != nil {
			log.Warn("the former certificate stays", "error", err)
		}
	}
}

// listen begins to serve on all sockets, with most open connections on each, until the
// server is shut down. It sends the error of each socket to failed.
func (s *server) listen(ctx context.Context, server *http.Server, sockets listeners, most int, failed chan<- error) {
	if s.mode.tls != nil {
		go s.mode.tls.watch(ctx, s.log)
		server.TLSConfig = s.mode.tls.config()
	}
	for _, l := range sockets {
		plain, l := s.mode.tls == nil || sockets.plain(l), bounded(l, most)
		go func() {
			if plain {
				failed <- server.Serve(l)
				return
			}
			failed <- server.ServeTLS(l, "", "")
		}()
	}
}

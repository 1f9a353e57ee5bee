package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// certificate is a pair of files that may be replaced while the server runs.
type certificate struct {
	file, key string

	mu      sync.Mutex
	pair    *tls.Certificate
	changed [2]time.Time // of the files of pair
}

// readCertificate reads a pair of files, which has to fit.
func readCertificate(file, key string) (*certificate, error) {
	c := &certificate{file: file, key: key}
	return c, c.read(true)
}

// read reads the files again if they have changed, or in any case. A pair that does
// not fit is not taken: the former one stays.
func (c *certificate) read(always bool) error {
	var changed [2]time.Time
	for i, name := range []string{c.file, c.key} {
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
	pair, err := tls.LoadX509KeyPair(c.file, c.key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pair, c.changed = &pair, changed
	return nil
}

// config returns the settings of a listener with the certificate as it is by then.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.pair, nil
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

// listen serves until the server is shut down.
func (s *server) listen(ctx context.Context, server *http.Server, listener net.Listener) error {
	if s.mode.tls == nil {
		return server.Serve(listener)
	}
	go s.mode.tls.watch(ctx, s.log)
	server.TLSConfig = s.mode.tls.config()
	return server.ServeTLS(listener, "", "")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"aptless/core/engine/driver"
	"aptless/core/front/api"
	"aptless/core/front/app"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// access are the flags of serve that say which requests are answered.
type access struct {
	auth, insecure, plain bool
	hosts                 []string
	keep                  int // days
	certificate, key      string

	authorities string // of client certificates
	demand      string // optional or require

	connections int
	origins     []string
	proxies     []string
}

func (a *access) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&a.auth, "auth", false, "require a token for each request below /api, at this start and at all later ones; the first start makes an admin token")
	flags.BoolVar(&a.insecure, "insecure-open", false, "serve without authentication although other hosts can reach the address: each of them may do everything")
	flags.BoolVar(&a.plain, "plain-http", false, "serve with authentication and without TLS on an address that other hosts can reach: for a proxy in front that has TLS")
	flags.StringArrayVar(&a.hosts, "allow-host", nil, "name besides localhost for which a server without authentication answers; may be repeated")
	flags.IntVar(&a.keep, "audit-keep", 400, "days for which audit records are kept")
	flags.StringVar(&a.certificate, "tls-cert", "", "file with the certificate of the server, as PEM; it is read again when it changes, and at SIGHUP")
	flags.StringVar(&a.key, "tls-key", "", "file with the key of the certificate")
	flags.StringVar(&a.authorities, "tls-client-ca", "", "file with the authorities of client certificates, as PEM: /api/auth/bindings gives grants to such clients")
	flags.StringVar(&a.demand, "tls-client-auth", "", "with --tls-client-ca: optional, which is the default, or require")
	flags.IntVar(&a.connections, "max-connections", 1024, "open connections of each address at a time; further ones wait")
	flags.StringArrayVar(&a.origins, "cors-origin", nil, "origin of a web page that may call the API from a browser, for example https://ui.example.org; may be repeated")
	flags.StringArrayVar(&a.proxies, "trusted-proxy", nil, "addresses of proxies whose X-Forwarded-For is believed, for example 10.0.0.0/8, or unix for clients of a Unix socket; may be repeated")
}

// The variables with the token of an administrator, or the name of a file with it.
const (
	adminVariable     = "APTLESS_ADMIN_TOKEN"
	adminFileVariable = "APTLESS_ADMIN_TOKEN_FILE"
)

// environmentToken returns the digest of the token in the environment, "" if there
// is none.
func environmentToken(getenv func(string) string) (string, error) {
	name, secret := adminVariable, getenv(adminVariable)
	if file := getenv(adminFileVariable); secret == "" && file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", adminFileVariable, err)
		}
		name, secret = adminFileVariable, strings.TrimSpace(string(data))
	} else if secret == "" {
		return "", nil
	}
	if kind, ok := auth.KindOf(secret); !ok || kind != auth.API {
		return "", fmt.Errorf("%s is no token: \"aptless token generate\" makes one", name)
	}
	return auth.Digest(secret), nil
}

// loopback reports whether only this host reaches an address.
func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// mode is how a server answers.
type mode struct {
	app.Auth
	tls *certificate // nil without
}

// check refuses flags that contradict each other, before anything is opened.
func (a *access) check() error {
	if (a.certificate == "") != (a.key == "") {
		return errors.New("--tls-cert and --tls-key are given together")
	}
	if a.authorities == "" && a.demand != "" || a.authorities != "" && a.certificate == "" {
		return errors.New("--tls-client-auth needs --tls-client-ca, which needs --tls-cert")
	}
	if a.demand != "" && a.demand != "optional" && a.demand != "require" {
		return errors.New("--tls-client-auth: optional or require")
	}
	if a.keep < 1 || a.keep > 36500 {
		return errors.New("--audit-keep: 1 to 36500 days")
	}
	if a.auth && a.insecure {
		return errors.New("--auth and --insecure-open contradict each other")
	}
	if a.connections < 1 {
		return errors.New("--max-connections: at least 1")
	}
	_, err := a.reach()
	return err
}

// reach returns the pages and proxies that are trusted.
func (a *access) reach() (api.Reach, error) {
	var r api.Reach
	for _, origin := range a.origins {
		if err := r.Origin(origin); err != nil {
			return r, fmt.Errorf("--cors-origin %w", err)
		}
	}
	for _, proxy := range a.proxies {
		if err := r.Proxy(proxy); err != nil {
			return r, fmt.Errorf("--trusted-proxy %w", err)
		}
	}
	return r, nil
}

// decide returns the mode of a server whose data is in table. It closes the
// installation if the flags or the environment say so. reached is an address that other
// hosts can reach, "" if there is none.
func (a *access) decide(ctx context.Context, table driver.Table, reached string, log *slog.Logger) (*mode, error) {
	m := &mode{Auth: app.Auth{AnyHost: a.insecure, Hosts: a.hosts, Keep: time.Duration(a.keep) * 24 * time.Hour}}
	var err error
	if m.Reach, err = a.reach(); err != nil {
		return nil, err
	}
	if m.Environment, err = environmentToken(os.Getenv); err != nil {
		return nil, err
	}
	store := &auth.Store{Table: table, Now: time.Now}
	stored, err := store.Mode(ctx)
	if err != nil {
		return nil, fmt.Errorf("mode of the data folder: %w", err)
	}
	m.Closed = stored.Closed() || a.auth || m.Environment != ""
	if err := a.refuse(m.Closed, stored, reached); err != nil {
		return nil, err
	}
	if a.certificate != "" {
		if m.tls, err = readCertificate(a.certificate, a.key, a.authorities, a.demand == "require"); err != nil {
			return nil, err
		}
	}
	if m.Closed && !stored.Closed() {
		err = setMode(ctx, table, log, store.Close, "closed")
	}
	return m, err
}

// refuse returns why a server must not start on its addresses.
func (a *access) refuse(closed bool, stored auth.Mode, reached string) error {
	switch {
	case stored.Closed() && a.insecure:
		return fmt.Errorf("this data folder has authentication since %s: \"aptless auth open --data <dir>\" ends it", stored.Since.Format(time.RFC3339))
	case closed && a.insecure:
		return fmt.Errorf("--insecure-open and %s contradict each other", adminVariable)
	case !closed && !a.insecure && reached != "":
		return fmt.Errorf("%s is no loopback address and there is no authentication: give --auth, or --insecure-open", reached)
	case closed && reached != "" && a.certificate == "" && !a.plain:
		return errors.New("tokens would be sent in clear: give --tls-cert, or --plain-http behind TLS")
	}
	return nil
}

// adminFile is the file with the first admin token, in the data folder.
const adminFile = "admin-token"

// firstAdmin makes an admin token where no live token can manage tokens: its file
// first, then its row. It returns the path of the file, "" if there is none.
func firstAdmin(ctx context.Context, table driver.Table, data string, log *slog.Logger) (string, error) {
	path := filepath.Join(data, adminFile)
	store := &auth.Store{Table: table, Now: time.Now}
	has, err := store.HasAdmin(ctx)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return "", err
	}
	if has && missing {
		return "", nil
	}
	if has {
		return path, nil
	}
	secret := strings.TrimSpace(string(text))
	if missing {
		secret = auth.NewSecret(auth.API)
		if err := writeSecret(path, secret); err != nil {
			return "", err
		}
	}
	if err := adopt(ctx, store, log, secret, "admin-"+auth.IDOf(auth.Digest(secret))); err != nil {
		return "", fmt.Errorf("no live token may manage tokens, and %s is not taken: %w. Remove the file, or run \"aptless token create --admin --data %s\"", path, err, data)
	}
	return path, nil
}

// adminOrder is the order of a token that may do everything.
func adminOrder(name string) auth.Order {
	return auth.Order{Name: name, Grants: []auth.Grant{{Role: auth.Admin}}, Expires: auth.Never}
}

// writeSecret writes a new file that only its owner reads.
func writeSecret(path, secret string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(secret + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// setMode changes the mode of an installation, with its record.
func setMode(ctx context.Context, table driver.Table, log *slog.Logger, set func(context.Context, ...driver.Op) error, mode string) error {
	records := &audit.Store{Table: table, Now: time.Now, Log: log}
	p := records.Begin(audit.Record{Event: audit.ModeSet, Of: mode, By: audit.By{Kind: string(auth.System)}})
	err := set(ctx, p.Op)
	p.Done(err)
	return err
}

// adopt makes a token of an administrator whose secret exists, with its record.
func adopt(ctx context.Context, store *auth.Store, log *slog.Logger, secret, name string) error {
	records := &audit.Store{Table: store.Table, Now: time.Now, Log: log}
	var p *audit.Pending
	_, err := store.Adopt(ctx, secret, adminOrder(name), func(t auth.Token) []driver.Op {
		if p == nil {
			p = records.Begin(audit.Record{Event: audit.TokenCreated, Of: t.ID, By: audit.By{Kind: string(auth.System)}})
		}
		return []driver.Op{p.Op}
	})
	if p != nil {
		p.Done(err)
	}
	return err
}

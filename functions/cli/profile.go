package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"aptless/core/client"
)

// Defaults of the address of a server.
const (
	socket     = "/run/aptless/api.sock"
	defaultURL = "http://127.0.0.1:8080"
)

// profile is a server and how to sign in, as a section of the file of profiles.
type profile struct {
	URL          string `toml:"url"`
	Auth         string `toml:"auth"` // "", "none", "token", "basic", authAWS, authGitHub or authGitLab
	User         string `toml:"user"` // of basic
	Token        string `toml:"token"`
	TokenCommand string `toml:"token_command"` // prints a token
	Region       string `toml:"region"`        // of authAWS; "" is that of the address or of the AWS SDK
	Policy       string `toml:"policy"`        // of authGitHub and authGitLab; "" if one matches
	CAFile       string `toml:"ca_file"`
	AptlyConfig  string `toml:"aptly_config"` // -config of old scripts that selects this profile
	Parallel     int    `toml:"parallel"`
}

// profiles is the file of profiles.
type profiles struct {
	Default string             `toml:"default"`
	Profile map[string]profile `toml:"profile"`
}

// settings are the settings of one run.
type settings struct {
	profile
	name, file       string // of the profile and its file; "" for none
	urlFrom, tokenOf string
}

// configFile returns the path of the file of profiles. named reports that the user named it.
func (e Env) configFile(o options) (path string, named bool) {
	if o.config != "" {
		return o.config, true
	}
	if path := e.Getenv("APTLESS_CONFIG"); path != "" {
		return path, true
	}
	if e.Home == "" {
		return "", false
	}
	return filepath.Join(e.Home, "aptless", "config.toml"), false
}

// readProfiles reads the file of profiles. A file with a token that others can read is
// refused. A file that is not there is empty, unless the user named it.
func readProfiles(path string, named bool) (profiles, error) {
	var p profiles
	if path == "" {
		return p, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return p, nil
	}
	if err != nil {
		return p, usagef("the file of profiles cannot be read: %v", err)
	}
	meta, err := toml.DecodeFile(path, &p)
	if err != nil {
		return p, usagef("%s: %v", path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return p, usagef("%s: the key %s is not known", path, unknown[0])
	}
	for name, one := range p.Profile {
		if one.Token != "" && info.Mode().Perm()&0o077 != 0 {
			return p, usagef("%s has the token of the profile %s, and other users can read it: chmod 600 %s", path, name, quote(path))
		}
	}
	return p, nil
}

// settle decides where the server is: flags, variables, profile, default, in this order.
func (e Env) settle(o options, alias bool) (settings, error) {
	path, named := e.configFile(o)
	aptly := ""
	if ext := filepath.Ext(o.config); ext == ".conf" || ext == ".json" || alias && o.config != "" && ext != ".toml" { // aptly's -config selects a profile
		aptly, o.config = o.config, ""
		path, named = e.configFile(o)
	}
	all, err := readProfiles(path, named)
	if err != nil {
		return settings{}, err
	}
	s := settings{file: path}
	for name, p := range all.Profile {
		if aptly != "" && p.AptlyConfig == aptly {
			s.name = name
		}
	}
	if aptly != "" && s.name == "" {
		return settings{}, usagef("aptly's own configuration is not read: name the profile that %s stands for by aptly_config = %q in %s", aptly, aptly, cmp.Or(path, "the file of profiles"))
	}
	for _, name := range []string{o.profile, s.name, e.Getenv("APTLESS_PROFILE"), all.Default} {
		if name != "" {
			s.name = name
			break
		}
	}
	if s.name != "" {
		p, ok := all.Profile[s.name]
		if !ok {
			return settings{}, usagef("there is no profile %q in %s", s.name, path)
		}
		s.profile, s.urlFrom = p, "profile "+s.name
	}
	s.address(e, o)
	return s, s.sign(e, o)
}

// address sets the URL and its source.
func (s *settings) address(e Env, o options) {
	switch {
	case o.url != "":
		s.URL, s.urlFrom = o.url, "--url"
	case e.Getenv("APTLESS_URL") != "":
		s.URL, s.urlFrom = e.Getenv("APTLESS_URL"), "APTLESS_URL"
	case s.URL == "":
		s.URL, s.urlFrom = defaultURL, "default"
		if _, err := os.Stat(socket); err == nil {
			s.URL = "unix://" + socket
		}
	}
	s.URL = strings.TrimSuffix(s.URL, "/")
	if s.urlFrom == "--url" || s.urlFrom == "APTLESS_URL" { // the token of a profile is for its server
		s.Token, s.TokenCommand = "", ""
		if s.Auth == authAWS || s.Auth == authGitHub || s.Auth == authGitLab {
			s.Auth = ""
		}
	}
}

// sign sets the token and its source.
func (s *settings) sign(e Env, o options) error {
	switch s.Auth {
	case "", "token", "basic":
	case "none":
		s.Token, s.tokenOf = "", "none"
		return nil
	case authAWS, authGitHub, authGitLab:
		s.Token, s.tokenOf = "", "auth of profile "+s.name
		return nil
	default:
		return usagef("auth = %q is not known: none, token, basic, aws, oidc-github or oidc-gitlab", s.Auth)
	}
	switch {
	case o.tokenFile != "":
		data, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return usagef("--token-file: %v", err)
		}
		s.Token, s.tokenOf = strings.TrimSpace(string(data)), "--token-file"
	case e.Getenv("APTLESS_TOKEN") != "":
		s.Token, s.tokenOf = e.Getenv("APTLESS_TOKEN"), "APTLESS_TOKEN"
	case s.Token != "":
		s.tokenOf = "profile " + s.name
	case s.TokenCommand != "":
		out, err := exec.Command("sh", "-c", s.TokenCommand).Output()
		if err != nil {
			return usagef("token_command of the profile %s failed: %v", s.name, err)
		}
		s.Token, s.tokenOf = strings.TrimSpace(string(out)), "token_command"
	case e.Kept != nil:
		token, err := e.Kept(s.URL)
		if err != nil {
			return err
		}
		if s.Token = token; token != "" {
			s.tokenOf = "aptless login"
		}
	}
	return nil
}

// dial makes a client for the settings.
func (s settings) dial(e Env) (*client.Client, *signIn, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 10 * time.Minute
	transport.MaxIdleConnsPerHost = 8
	base := s.URL
	if path, ok := strings.CutPrefix(base, "unix://"); ok {
		base, transport.Proxy = "http://localhost", nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	at, err := url.Parse(base)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, nil, usagef("%q is no address of a server: http://, https:// or unix:///", s.URL)
	}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, nil, usagef("ca_file: %v", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, nil, usagef("ca_file %s has no certificate", s.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	hosts := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host || len(via) > 5 {
			return fmt.Errorf("the server sends this request on to another host, %s", r.URL.Host)
		}
		return nil
	}}
	in := &signIn{settings: s, env: e, base: base, http: hosts}
	return &client.Client{URL: base, HTTP: hosts, Authorize: in.authorize}, in, nil
}

package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"aptless/core/client"
)

// Variables of CI jobs. GitHub sets the two for a job with the permission id-token: write.
// A job of GitLab names the first in its id_tokens.
const (
	idTokenVariable      = "APTLESS_ID_TOKEN"
	requestURLVariable   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	requestTokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// Values of auth of a profile, besides "none", "token" and "basic".
const (
	authAWS    = "aws"         // Signature Version 4 by AWS credentials
	authGitHub = "oidc-github" // a short token for the ID token of the job
	authGitLab = "oidc-gitlab"
)

// maxIDToken bounds the answer with a token, in bytes.
const maxIDToken = 64 << 10

// leaveTime bounds the request that ends a short token.
const leaveTime = 10 * time.Second

// spare is the time before its expiry from which on a short token is not used.
const spare = time.Minute

// signIn adds the credentials of a run to its requests. Credentials that take a request are
// got once, before the first request.
type signIn struct {
	settings
	env  Env
	base string       // of the server
	http *http.Client // to the server

	once  sync.Once
	token string
	sign  func(*http.Request) error
	err   error
	ends  bool // the token is of this run alone
}

// authorize adds the credentials to a request to the server.
func (s *signIn) authorize(r *http.Request) error {
	s.once.Do(func() {
		switch s.Auth {
		case authAWS:
			s.sign, s.err = s.env.signer(r.Context(), s.Region)
		case authGitHub, authGitLab:
			s.token, s.err = s.exchange(r.Context())
		default:
			s.token = s.Token
		}
	})
	switch {
	case s.err != nil:
		return s.err
	case s.sign != nil:
		return s.sign(r)
	case s.Auth == "basic" && s.token != "":
		r.SetBasicAuth(s.User, s.token)
	case s.token != "":
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	return nil
}

// signer returns the function that signs by AWS credentials.
func (e Env) signer(ctx context.Context, region string) (func(*http.Request) error, error) {
	if e.SignAWS == nil {
		return nil, usagef(`auth = "aws" is not in this program`)
	}
	sign, err := e.SignAWS(ctx, region)
	if err != nil {
		return nil, usagef(`auth = "aws": %v`, err)
	}
	return sign, nil
}

// shortToken is a token that the server has made for an ID token.
type shortToken struct{ Token, Expires string }

// usable reports whether the token lasts a while.
func (s shortToken) usable(now time.Time) bool {
	at, err := time.Parse(time.RFC3339, s.Expires)
	return s.Token != "" && err == nil && now.Add(spare).Before(at)
}

// exchange gets a short token for the ID token of the CI job. An ID token is exchanged once,
// so the short token of GitLab's is kept for the next command of the job.
func (s *signIn) exchange(ctx context.Context) (string, error) {
	id := s.env.Getenv(idTokenVariable)
	kept := s.keptAt(id)
	if kept != "" {
		var made shortToken
		if data, err := os.ReadFile(kept); err == nil && json.Unmarshal(data, &made) == nil && made.usable(s.env.Now()) {
			return made.Token, nil
		}
	}
	if id == "" {
		if s.Auth == authGitLab {
			return "", usagef(`auth = "%s": the variable %s is empty: name it in id_tokens of the job`, s.Auth, idTokenVariable)
		}
		var err error
		if id, err = s.githubToken(ctx); err != nil {
			return "", err
		}
	}
	body, err := json.Marshal(map[string]string{"token": id, "policy": s.Policy})
	if err != nil {
		return "", err
	}
	var made shortToken
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/api/auth/oidc/token", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if err := ask(s.http, r, &made); err != nil {
		return "", fmt.Errorf("the server does not take the ID token of the job: %w", err)
	}
	if made.Token == "" {
		return "", errors.New("the server has made no token for the ID token of the job")
	}
	if kept != "" {
		if data, err := json.Marshal(made); err == nil && os.MkdirAll(filepath.Dir(kept), 0o700) == nil {
			_ = os.WriteFile(kept, data, 0o600) // the next command then needs another ID token
		}
	}
	s.ends = kept == ""
	return made.Token, nil
}

// leave ends the short token that no other command uses. One that cannot be ended ends by
// itself within minutes.
func (s *signIn) leave(ctx context.Context) {
	if !s.ends {
		return
	}
	s.ends = false
	ctx, stop := context.WithTimeout(ctx, leaveTime)
	defer stop()
	if r, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.base+"/api/auth/tokens/self", nil); err == nil {
		r.Header.Set("Authorization", "Bearer "+s.token)
		_ = ask(s.http, r, &struct{}{})
	}
}

// keptAt is the file of the short token for an ID token; "" for none.
func (s *signIn) keptAt(id string) string {
	if id == "" || s.env.Home == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(s.base + "\x00" + s.Policy + "\x00" + id))
	return filepath.Join(s.env.Home, "aptless", "short", hex.EncodeToString(sum[:16])+".json")
}

// githubToken asks GitHub for the ID token of the job.
func (s *signIn) githubToken(ctx context.Context) (string, error) {
	from, secret := s.env.Getenv(requestURLVariable), s.env.Getenv(requestTokenVariable)
	at, err := url.Parse(from)
	if from == "" || secret == "" || err != nil {
		return "", usagef(`auth = "%s": there is no ID token: the job needs the permission id-token: write`, s.Auth)
	}
	var server struct{ Audience string }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/api/auth/oidc/audience", nil)
	if err == nil {
		err = ask(s.http, r, &server)
	}
	if err != nil {
		return "", err
	}
	query := at.Query()
	query.Set("audience", server.Audience)
	at.RawQuery = query.Encode()
	var made struct{ Value string }
	if r, err = http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil); err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	if err := ask(&http.Client{Timeout: time.Minute}, r, &made); err != nil || made.Value == "" {
		return "", fmt.Errorf("GitHub makes no ID token: %v", err)
	}
	return made.Value, nil
}

// ask sends a request that has its own credentials, and reads the JSON of the answer.
func ask(c *http.Client, r *http.Request, into any) error {
	answer, err := c.Do(r)
	if err != nil {
		return &client.Unreachable{Method: r.Method, Path: r.URL.Path, Err: client.Bare(err)}
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxIDToken))
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return client.Refused(r.Method, r.URL.Path, answer, data)
	}
	return json.Unmarshal(data, into)
}

package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"aptless/core/archive/upstream"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app"
	"aptless/core/front/auth"
	"aptless/core/front/auth/oidc/oidctest"
	guarding "aptless/infra/upstream"
)

// trusting is a process with authentication that asks an issuer for its keys.
type trusting struct {
	*guarded
	issuer *oidctest.Issuer
	moved  atomic.Int64 // by which its clock is ahead, in nanoseconds
}

func (x *trusting) now() time.Time { return time.Now().Add(time.Duration(x.moved.Load())) }

func newTrusting(t *testing.T, issuer string, set ...func(*app.Config)) *trusting {
	t.Helper()
	x := &trusting{issuer: oidctest.New(t, issuer, jose.ES256)}
	x.issuer.Now = x.now
	x.guarded = newGuarded(t, append([]func(*app.Config){func(c *app.Config) {
		c.Upstream, c.Address, c.Now = x.issuer, oidctest.Audience, x.now
	}}, set...)...)
	return x
}

// policy returns the body of a policy that lets acme/hello upload into the repository
// hello, with changes.
func policy(issuer string, changes map[string]any) string {
	claims := map[string]any{"repository": []string{"acme/hello"}, "ref": []string{"refs/heads/main"}}
	if issuer == oidctest.GitLab {
		claims = map[string]any{"project_path": []string{"acme/hello"}, "ref_protected": []string{"true"}, "ref": []string{"main"}}
	}
	body := map[string]any{"Issuer": issuer, "Claims": claims, "Grants": []auth.Grant{{Role: auth.Uploader, Repos: []string{"hello"}}}}
	for name, value := range changes {
		body[name] = value
	}
	data, _ := json.Marshal(body)
	return string(data)
}

// set stores a policy.
func (x *trusting) set(t *testing.T, name string, changes map[string]any) string {
	t.Helper()
	return x.must(t, x.root, "PUT", "/api/auth/policies/"+name, policy(x.issuer.Name, changes))
}

// exchange sends an ID token. The source is forgotten, so that failures do not count.
func (x *trusting) exchange(idToken string) (int, string) {
	x.moved.Add(int64(10 * time.Second)) // one failure less
	return x.as("", "POST", "/api/auth/oidc/token", fmt.Sprintf(`{"token":%q}`, idToken))
}

// short returns the short token for an ID token.
func (x *trusting) short(t *testing.T, idToken string) string {
	t.Helper()
	code, answer := x.exchange(idToken)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &made); err != nil || code != 201 || made.Token == "" {
		t.Fatalf("exchange: %d %s", code, answer)
	}
	return made.Token
}

const notValid = `{"error":"the ID token is not valid"}`

// invalid holds that an ID token is refused, and that the answer does not say why.
func (x *trusting) invalid(t *testing.T, what, idToken string) {
	t.Helper()
	if code, answer := x.exchange(idToken); code != 401 || answer != notValid {
		t.Errorf("%s: %d %s", what, code, answer)
	}
}

// TestForgedIDTokensAreInvalid: without a signature, signed by the public key as a
// secret, by another key, or with a key of its own in the header.
func TestForgedIDTokensAreInvalid(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.issuer.Rotate(t, jose.RS256)
	x.set(t, "hello", nil)
	claims := func() map[string]any { return x.issuer.Claims(nil) }
	public := x.issuer.Public()
	kid := map[jose.HeaderKey]any{"kid": public.KeyID}
	own := oidctest.NewKey(t, jose.RS256)
	jwk := jose.JSONWebKey{Key: own.Public(), KeyID: public.KeyID}
	der, _ := json.Marshal(public)
	part := func(v any) string {
		data, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	good := x.issuer.Sign(t, claims())
	parts := strings.Split(good, ".")
	for what, idToken := range map[string]string{
		"nothing":       "",
		"two parts":     parts[0] + "." + parts[1],
		"alg none":      part(map[string]string{"alg": "none", "kid": public.KeyID}) + "." + parts[1] + ".",
		"no signature":  parts[0] + "." + parts[1] + ".",
		"HS256":         oidctest.Sign(t, jose.HS256, der, kid, claims()),
		"RS512":         oidctest.Sign(t, jose.RS512, own, kid, claims()),
		"another key":   oidctest.Sign(t, jose.RS256, own, kid, claims()),
		"jwk":           oidctest.Sign(t, jose.RS256, own, map[jose.HeaderKey]any{"kid": public.KeyID, "jwk": jwk}, claims()),
		"jku":           oidctest.Sign(t, jose.RS256, own, map[jose.HeaderKey]any{"kid": public.KeyID, "jku": "https://evil.example/keys"}, claims()),
		"crit":          x.issuer.SignWith(t, map[jose.HeaderKey]any{"crit": []string{"b64"}, "b64": true}, claims()),
		"no kid":        x.issuer.SignWith(t, map[jose.HeaderKey]any{"kid": nil}, claims()),
		"other payload": parts[0] + "." + part(claims()) + "." + parts[2],
		"JSON form":     `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"large":         x.issuer.Sign(t, x.issuer.Claims(map[string]any{"x": strings.Repeat("x", 17<<10)}))[:17<<10],
	} {
		x.invalid(t, what, idToken)
	}
	x.short(t, good)
	x.short(t, x.issuer.SignWith(t, map[jose.HeaderKey]any{"jku": "https://evil.example/keys"}, claims())) // not looked at
}

// TestUnknownIssuerIsNotAsked for its keys: the sender does not choose a server.
func TestUnknownIssuerIsNotAsked(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	for _, name := range []string{"https://evil.example", x.issuer.Name + "/", strings.ToUpper(x.issuer.Name), ""} {
		x.invalid(t, name, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"iss": name})))
	}
	if n := x.issuer.Asked(); n != 0 {
		t.Errorf("%d documents were fetched", n)
	}
}

func TestIDTokenForAnotherAudienceIsInvalid(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	for _, aud := range []any{"https://other.example", oidctest.Audience + "/", []string{oidctest.Audience, "https://other.example"}, []string{}, nil, 5} {
		x.invalid(t, fmt.Sprint(aud), x.issuer.Sign(t, x.issuer.Claims(map[string]any{"aud": aud})))
	}
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"aud": []string{oidctest.Audience}})))
	if answer := x.must(t, "", "GET", "/api/auth/oidc/audience", ""); answer != `{"audience":"`+oidctest.Audience+`"}` {
		t.Error(answer)
	}
}

// TestTimesOfIDTokensHaveALeeway of 30 seconds. exp and iat are needed.
func TestTimesOfIDTokensHaveALeeway(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	at := func(d time.Duration) int64 { return x.now().Add(10*time.Second + d).Unix() } // exchange moves the clock
	for _, c := range []struct {
		claim string
		past  time.Duration
		valid bool
	}{
		{"exp", -32 * time.Second, false}, {"exp", -28 * time.Second, true}, {"exp", 25 * time.Hour, false},
		{"nbf", 32 * time.Second, false}, {"nbf", 28 * time.Second, true}, {"iat", 32 * time.Second, false}, {"iat", 28 * time.Second, true},
	} {
		idToken := x.issuer.Sign(t, x.issuer.Claims(map[string]any{c.claim: at(c.past)}))
		if c.valid {
			x.short(t, idToken)
		} else {
			x.invalid(t, fmt.Sprint(c.claim, c.past), idToken)
		}
	}
	for _, claim := range []string{"exp", "iat"} {
		x.invalid(t, "without "+claim, x.issuer.Sign(t, x.issuer.Claims(map[string]any{claim: nil})))
		x.invalid(t, "text as "+claim, x.issuer.Sign(t, x.issuer.Claims(map[string]any{claim: "soon"})))
	}
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"nbf": nil, "jti": "without nbf"})))
}

// TestIDTokenIsExchangedOnce also if two clients send it at once.
func TestIDTokenIsExchangedOnce(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	idToken := x.issuer.Sign(t, x.issuer.Claims(nil))
	x.short(t, idToken)
	x.invalid(t, "again", idToken)
	for range 5 {
		idToken = x.issuer.Sign(t, x.issuer.Claims(nil))
		var made, refused atomic.Int32
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				switch code, answer := x.exchange(idToken); {
				case code == 201:
					made.Add(1)
				case code == 401 && answer == notValid:
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 || refused.Load() != 1 {
			t.Errorf("%d were made, %d refused", made.Load(), refused.Load())
		}
	}
}

// TestVariedSignatureIsNoOtherToken: a signature of ES256 has a second valid form. A
// token without jti is known by its header and payload.
func TestVariedSignatureIsNoOtherToken(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	idToken := x.issuer.Sign(t, x.issuer.Claims(map[string]any{"jti": nil}))
	at := strings.LastIndexByte(idToken, '.')
	signature, err := base64.RawURLEncoding.DecodeString(idToken[at+1:])
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	new(big.Int).Sub(order, new(big.Int).SetBytes(signature[32:])).FillBytes(signature[32:])
	x.short(t, idToken[:at+1]+base64.RawURLEncoding.EncodeToString(signature)) // the varied one is valid
	x.invalid(t, "the other signature", idToken)
}

// noPolicy holds that a valid ID token matches no policy, and that the answer has the
// token's claims and nothing of a policy.
func (x *trusting) noPolicy(t *testing.T, what string, claims map[string]any) {
	t.Helper()
	code, answer := x.exchange(x.issuer.Sign(t, claims))
	var told struct {
		Error  string
		Claims map[string]any
	}
	if err := json.Unmarshal([]byte(answer), &told); err != nil || code != 403 || told.Error != "no trust policy matches this token" {
		t.Errorf("%s: %d %s", what, code, answer)
	}
	if told.Claims["iss"] != x.issuer.Name || strings.Contains(answer, "Grants") {
		t.Errorf("%s: %s", what, answer)
	}
}

func TestClaimsThatAreNoTextMatchNothing(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", map[string]any{"Claims": map[string]any{"repository": []string{"acme/hello"}, "environment": []string{"*"}}})
	x.noPolicy(t, "missing", x.issuer.Claims(map[string]any{"environment": nil}))
	claims := x.issuer.Claims(nil)
	claims["environment"] = nil // null
	x.noPolicy(t, "null", claims)
	x.noPolicy(t, "a list", x.issuer.Claims(map[string]any{"environment": []string{"release"}}))
	x.noPolicy(t, "an object", x.issuer.Claims(map[string]any{"environment": map[string]any{}}))
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"environment": "Release", "repository": "ACME/Hello"})))
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"environment": true})))
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"environment": 7})))
}

// TestPatternsOfOwnersEndAtASlash: acme/* is one organisation.
func TestPatternsOfOwnersEndAtASlash(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", map[string]any{"Claims": map[string]any{"repository": []string{"acme/*"}}})
	x.noPolicy(t, "another owner", x.issuer.Claims(map[string]any{"repository": "acme-evil/hello"}))
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"repository": "acme/other"})))
	for _, claim := range []string{"repository", "project_path", "sub"} {
		body := policy(x.issuer.Name, map[string]any{"Claims": map[string]any{claim: []string{"acme*"}, "repository_id": []string{"1"}}})
		x.refused(t, x.root, "PUT", "/api/auth/policies/other", body, 400, "the pattern acme* of "+claim+" matches names of any owner: it needs a / or : before the star")
	}
}

// TestRecycledRepositoryNameIsRefused: the first exchange pins the IDs of the repository
// and of its owner.
func TestRecycledRepositoryNameIsRefused(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.noPolicy(t, "another repository", x.issuer.Claims(map[string]any{"repository_id": "1002"}))
	x.noPolicy(t, "another owner", x.issuer.Claims(map[string]any{"repository_owner_id": "8"}))
	x.noPolicy(t, "no owner", x.issuer.Claims(map[string]any{"repository_owner_id": nil}))
	x.set(t, "hello", map[string]any{"TTL": "5m"})
	x.noPolicy(t, "a changed policy", x.issuer.Claims(map[string]any{"repository_id": "1002"}))
	x.set(t, "hello", map[string]any{"Pin": []string{"repository_owner_id"}})
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(map[string]any{"repository_id": "1002"})))
}

// TestForkHasNoToken, and a short token has the grants of its policy, for 15 minutes.
func TestForkHasNoToken(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	for _, event := range []string{"pull_request", "pull_request_target"} {
		x.noPolicy(t, event, x.issuer.Claims(map[string]any{"event_name": event}))
	}
	short := x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.refused(t, short, "POST", "/api/auth/tokens", `{"Name":"x","Grants":[{"Role":"reader"}]}`, 403, "no permission: auth.manage")
	x.refused(t, short, "GET", "/api/repos/other", "", 403, "no permission: repo.read on other")
	if me := x.must(t, short, "GET", "/api/auth/whoami", ""); !strings.Contains(me, `"Owner":"hello:acme/hello"`) || !strings.Contains(me, `"Policy":"hello"`) {
		t.Error(me)
	}
	ended := x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.must(t, ended, "DELETE", "/api/auth/tokens/self", "")
	if code, answer := x.as(ended, "GET", "/api/repos", ""); code != 401 {
		t.Errorf("a token that has ended itself: %d %s", code, answer)
	}
	x.moved.Add(int64(16 * time.Minute))
	if code, answer := x.as(short, "GET", "/api/repos/hello", ""); code != 401 || !strings.Contains(answer, "expired") {
		t.Errorf("after 16 minutes: %d %s", code, answer)
	}
}

// TestMergeRequestOfAForkHasNoToken of GitLab.
func TestMergeRequestOfAForkHasNoToken(t *testing.T) {
	x := newTrusting(t, oidctest.GitLab)
	x.set(t, "hello", nil)
	x.noPolicy(t, "merge request", x.issuer.LabClaims(map[string]any{"pipeline_source": "merge_request_event"}))
	x.short(t, x.issuer.Sign(t, x.issuer.LabClaims(nil)))
	x.noPolicy(t, "another project", x.issuer.LabClaims(map[string]any{"project_id": "9"}))
}

// TestIssuerIsAskedForKeysWithinBounds: documents of another issuer, addresses that are
// not public, redirects, and too much of anything end with 503.
func TestIssuerIsAskedForKeysWithinBounds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var connections atomic.Int32
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			c.Close()
		}
	}()
	guard, err := guarding.New(guarding.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const doc = oidctest.GitHub + "/.well-known/openid-configuration"
	many, _ := json.Marshal(map[string]any{"keys": make([]jose.JSONWebKey, 0)})
	var keys []string
	for range 1000 {
		keys = append(keys, `{"kty":"oct"}`)
	}
	set := []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`)
	local := listener.Addr().String()
	for what, answer := range map[string]func(string) ([]byte, bool, error){
		"another issuer": func(at string) ([]byte, bool, error) {
			return []byte(`{"issuer":"https://evil.example","jwks_uri":"https://evil.example/keys"}`), at == doc, nil
		},
		"jwks_uri by http":      discovered("http://" + local + "/keys"),
		"jwks_uri of metadata":  discovered("https://169.254.169.254/latest"),
		"jwks_uri on this host": discovered("https://" + local + "/keys"),
		"jwks_uri with a user":  discovered("https://a:b@example.org/keys"),
		"no keys":               func(at string) ([]byte, bool, error) { return many, at != doc, nil },
		"1,000 keys":            func(at string) ([]byte, bool, error) { return set, at != doc, nil },
		"10 MB of keys":         func(at string) ([]byte, bool, error) { return make([]byte, 10<<20), at != doc, nil },
		"no JSON":               func(at string) ([]byte, bool, error) { return []byte("<html>"), at == doc, nil },
	} {
		x := newTrusting(t, oidctest.GitHub, func(c *app.Config) { c.Upstream = fallback{c.Upstream, guard} })
		x.set(t, "hello", nil)
		x.issuer.Answer(answer)
		code, text := x.exchange(x.issuer.Sign(t, x.issuer.Claims(nil)))
		if code != http.StatusServiceUnavailable || text != `{"error":"keys of the issuer cannot be read"}` {
			t.Errorf("%s: %d %s", what, code, text)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to this host", n)
	}
}

// discovered answers with a discovery document that names an address for the keys.
func discovered(keys string) func(string) ([]byte, bool, error) {
	return func(at string) ([]byte, bool, error) {
		data, _ := json.Marshal(map[string]string{"issuer": oidctest.GitHub, "jwks_uri": keys})
		return data, at == oidctest.GitHub+"/.well-known/openid-configuration", nil
	}
}

// fallback asks a second Fetcher for addresses that the first does not have.
type fallback struct{ first, second upstream.Fetcher }

func (f fallback) Fetch(ctx context.Context, r upstream.Request) (*upstream.Answer, error) {
	a, err := f.first.Fetch(ctx, r)
	var status *upstream.StatusError
	if errors.As(err, &status) {
		return f.second.Fetch(ctx, r)
	}
	return a, err
}

// TestNewKeysOfTheIssuerAreGoodWithinAMinute, and old ones while it does not answer.
func TestNewKeysOfTheIssuerAreGoodWithinAMinute(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.issuer.Rotate(t, jose.EdDSA)
	x.invalid(t, "a new key within the minute", x.issuer.Sign(t, x.issuer.Claims(nil)))
	asked := x.issuer.Asked()
	x.moved.Add(int64(time.Minute))
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	if n := x.issuer.Asked() - asked; n != 2 {
		t.Errorf("%d documents were fetched", n)
	}
	x.issuer.Answer(func(string) ([]byte, bool, error) { return nil, true, errors.New("down") })
	x.moved.Add(int64(23 * time.Hour))
	x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.moved.Add(int64(time.Hour))
	if code, answer := x.exchange(x.issuer.Sign(t, x.issuer.Claims(nil))); code != 503 {
		t.Errorf("keys of 24 hours: %d %s", code, answer)
	}
}

// TestChangedPolicyRevokesItsTokens, and so does one that is removed.
func TestChangedPolicyRevokesItsTokens(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	first := x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.set(t, "hello", map[string]any{"Grants": []auth.Grant{{Role: auth.Reader, Repos: []string{"hello"}}}})
	second := x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.must(t, x.root, "DELETE", "/api/auth/policies/hello", "")
	for _, token := range []string{first, second} {
		if code, answer := x.as(token, "GET", "/api/version", ""); code != 401 {
			t.Errorf("%d %s", code, answer)
		}
	}
	x.refused(t, x.root, "DELETE", "/api/auth/policies/hello", "", 404, "no such policy")
	x.invalid(t, "without a policy", x.issuer.Sign(t, x.issuer.Claims(nil)))
}

func TestPoliciesAreChecked(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	for want, changes := range map[string]map[string]any{
		"a policy does not grant auth.manage":                                                                       {"Grants": []auth.Grant{{Role: auth.Admin}}},
		"a policy does not grant gpg.manage":                                                                        {"Grants": []auth.Grant{{Role: auth.Maintainer}}},
		"a policy does not grant gpg.read":                                                                          {"Grants": []auth.Grant{{Role: auth.Reader}}},
		"a policy does not grant audit.read":                                                                        {"Grants": []auth.Grant{{Can: []auth.Permission{auth.AuditRead}}}},
		`invalid TTL "2h": 1m to 60m`:                                                                               {"TTL": "2h"},
		`Issuer: "http://x" is no address of https without user, query and fragment`:                                {"Issuer": "http://x"},
		`Issuer: "https://x#" is no address of https without user, query and fragment`:                              {"Issuer": "https://x#"},
		"a policy has patterns of 1 to 20 Claims":                                                                   {"Claims": nil},
		"Claims need one of repository, repository_id, repository_owner_id, project_path, project_id, namespace_id": {"Claims": map[string]any{"sub": []string{"repo:x/y:*"}}},
		`the claim "ref" has no pattern`:                                                                            {"Claims": map[string]any{"ref": []string{}}},
	} {
		x.refused(t, x.root, "PUT", "/api/auth/policies/p", policy(oidctest.GitHub, changes), 400, want)
	}
	answer := x.set(t, "p", map[string]any{"Claims": map[string]any{"repository": []string{"acme/*"}, "sub": []string{"repo:acme/*"}}})
	for _, part := range []string{`"Audience":"` + oidctest.Audience + `"`, `"Pin":["repository_owner_id"]`, `"TTL":"15m"`, "neither environment nor ref", "sub is used"} {
		if !strings.Contains(answer, part) {
			t.Errorf("%s lacks %s", answer, part)
		}
	}
	x.set(t, "q", map[string]any{"Claims": map[string]any{"repository": []string{"acme/hello"}}})
	idToken := x.issuer.Sign(t, x.issuer.Claims(nil))
	x.refused(t, "", "POST", "/api/auth/oidc/token", fmt.Sprintf(`{"token":%q}`, idToken), 400, "more than one policy matches: name one of p, q")
	x.must(t, "", "POST", "/api/auth/oidc/token", fmt.Sprintf(`{"token":%q,"policy":"q"}`, idToken))
	if code, answer := x.as("", "POST", "/api/auth/oidc/token", strings.Repeat(" ", 21<<10)); code != 413 {
		t.Errorf("a large body: %d %s", code, answer)
	}
}

// TestExchangesAreRecorded with the reason of a refusal, which the answer does not have.
func TestExchangesAreRecorded(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	idToken := x.issuer.Sign(t, x.issuer.Claims(map[string]any{"email": "marker@example.org"}))
	x.short(t, idToken)
	x.invalid(t, "again", idToken)
	list := x.must(t, x.root, "GET", "/api/audit?until="+x.now().Add(time.Hour).UTC().Format(time.RFC3339), "")
	for _, part := range []string{`"Event":"policy.set"`, `"Event":"oidc.exchanged"`, `"sha":"0123456789abcdef`, `"Event":"oidc.refused"`, `"Error":"it was exchanged before"`} {
		if !strings.Contains(list, part) {
			t.Errorf("%s is not in %s", part, list)
		}
	}
	if strings.Contains(list, "marker") || strings.Contains(list, idToken) {
		t.Errorf("the records have an address or the ID token: %s", list)
	}
}

// TestFailedExchangesAreLimited as failed tokens are.
func TestFailedExchangesAreLimited(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.set(t, "hello", nil)
	last := 0
	for range 25 {
		last, _ = x.as("", "POST", "/api/auth/oidc/token", `{"token":"x.y.z"}`)
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last of 25: %d", last)
	}
}

// TestJobUploadsIntoItsRepository and nowhere else.
func TestJobUploadsIntoItsRepository(t *testing.T) {
	x := newTrusting(t, oidctest.GitHub)
	x.works(t)
	for _, name := range []string{"hello", "other"} {
		x.must(t, x.root, "POST", "/api/repos", `{"Name":"`+name+`"}`)
	}
	x.set(t, "hello", nil)
	short := x.short(t, x.issuer.Sign(t, x.issuer.Claims(nil)))
	x.must(t, short, "PUT", "/api/files/ci/hello.deb", string(debtest.Deb(debtest.Spec{})))
	x.refused(t, short, "POST", "/api/repos/other/file/ci", "", 403, "no permission: repo.import on other")
	if answer := x.must(t, short, "POST", "/api/repos/hello/file/ci", ""); !strings.Contains(answer, "hello_1.0_all added") {
		t.Error(answer)
	}
}

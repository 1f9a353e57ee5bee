package host

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"aptless/infra/aws"
)

const caller = "arn:aws:iam::123456789012:user/ci"

// TestSignedRequests: the SDK's signature is accepted, and no other request.
func TestSignedRequests(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDCI")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", "eu-central-1")
	signer, err := aws.NewSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]User{"AKIDCI": {Secret: "secret", ARN: caller}}
	for name, c := range map[string]struct {
		change func(*http.Request)
		body   string // as it arrives
		users  map[string]User
		ahead  time.Duration
		ok     bool
	}{
		"as signed":        {nil, "body", users, 0, true},
		"another body":     {nil, "bodx", users, 0, false},
		"another path":     {func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/api/files/b", "" }, "body", users, 0, false},
		"another query":    {func(r *http.Request) { r.URL.RawQuery = "x=2&y=a+b" }, "body", users, 0, false},
		"another method":   {func(r *http.Request) { r.Method = "DELETE" }, "body", users, 0, false},
		"another host":     {func(r *http.Request) { r.Host = "evil.example" }, "body", users, 0, false},
		"another header":   {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, "body", users, 0, false},
		"another secret":   {nil, "body", map[string]User{"AKIDCI": {Secret: "other"}}, 0, false},
		"an unknown key":   {nil, "body", map[string]User{}, 0, false},
		"an old signature": {nil, "body", users, 6 * time.Minute, false},
		"one to come":      {nil, "body", users, -6 * time.Minute, false},
		"no signature":     {func(r *http.Request) { r.Header.Del("Authorization") }, "body", users, 0, false},
		"a token":          {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "body", users, 0, false},
		"the host unsigned": {func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDCI/20260101/eu-central-1/execute-api/aws4_request, SignedHeaders=x-amz-date, Signature=00")
		}, "body", users, 0, false},
	} {
		r, err := http.NewRequest("POST", "https://api.example.org/api/files/a%2Fb%20c/x+y~z?x=1&y=a+b&y=%2F", bytes.NewReader([]byte("body")))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if err := signer.Sign(r); err != nil {
			t.Fatal(err)
		}
		r.Host = r.URL.Host
		r.Header.Set("Content-Length", "4")
		if c.change != nil {
			c.change(r)
		}
		if key, ok := signedBy(r, []byte(c.body), c.users, time.Now().Add(c.ahead)); ok != c.ok || ok && key != "AKIDCI" {
			t.Errorf("%s: %q, %v", name, key, ok)
		}
	}
}

// TestGatewayTellsTheFunctionWhoCalls: with users it asks for signatures and passes the
// ARN on. A claim in a header has no effect. Without users it asks for nothing.
func TestGatewayTellsTheFunctionWhoCalls(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDCI")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", "eu-central-1")
	signer, err := aws.NewSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, server := echo(t, time.Minute)
	signed := httptest.NewServer(Gateway{Function: f, Users: map[string]User{"AKIDCI": {"secret", caller}}})
	defer signed.Close()
	ask := func(server *httptest.Server, sign bool) (int, string) {
		r, err := http.NewRequest("POST", server.URL+"/caller", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorizer", "arn:aws:iam::1:user/claimed")
		if sign {
			if err := signer.Sign(r); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var refused struct{ Message string }
		if json.Unmarshal(data, &refused) == nil && refused.Message != "" {
			return resp.StatusCode, refused.Message
		}
		return resp.StatusCode, string(data)
	}
	if code, text := ask(signed, false); code != 403 || text != "Forbidden" {
		t.Errorf("unsigned: %d %s", code, text)
	}
	if code, text := ask(signed, true); code != 200 || text != caller {
		t.Errorf("signed: %d %s", code, text)
	}
	if code, text := ask(server, true); code != 200 || text != "" {
		t.Errorf("a signature for a route without an authorizer: %d %s", code, text)
	}
}

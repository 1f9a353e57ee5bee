package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// run runs a command and returns its output.
func run(t *testing.T, cmd *cobra.Command, in string, args ...string) (string, error) {
	t.Helper()
	out := new(bytes.Buffer)
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(out)
	cmd.SetErr(out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// TestJobExchangesItsIDToken: that of the variable, or an ID token that GitHub makes for
// the audience of the server. A token of "aptless login" is not sent.
func TestJobExchangesItsIDToken(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("APTLESS_TOKEN", "a-token-of-mine")
	t.Setenv(idTokenVariable, "")
	t.Setenv(requestURLVariable, "")
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = append(sent, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(body)))
		switch r.URL.Path {
		case "/api/auth/oidc/audience":
			io.WriteString(w, `{"audience":"https://deb.example.org"}`)
		case "/github":
			io.WriteString(w, `{"value":"x.y.z"}`)
		default:
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"Token":"apts_made"}`)
		}
	}))
	defer server.Close()
	if _, err := run(t, tokenCommand(), "", "exchange", "--url", server.URL); err == nil || !strings.Contains(err.Error(), "there is no ID token") {
		t.Error(err)
	}
	t.Setenv(requestURLVariable, server.URL+"/github?api-version=2")
	t.Setenv(requestTokenVariable, "of-the-job")
	if out, err := run(t, tokenCommand(), "", "exchange", "--url", server.URL); err != nil || out != "apts_made\n" {
		t.Errorf("%q, %v", out, err)
	}
	want := []string{"GET /api/auth/oidc/audience", "GET /github?api-version=2&audience=https%3A%2F%2Fdeb.example.org Bearer of-the-job",
		`POST /api/auth/oidc/token  {"policy":"","token":"x.y.z"}`}
	if strings.Join(sent, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent %q", sent)
	}
	sent = nil
	t.Setenv(idTokenVariable, "of.the.lab")
	if out, err := run(t, tokenCommand(), "", "exchange", "--url", server.URL, "--policy", "p"); err != nil || out != "apts_made\n" {
		t.Errorf("%q, %v", out, err)
	}
	if len(sent) != 1 || sent[0] != `POST /api/auth/oidc/token  {"policy":"p","token":"of.the.lab"}` {
		t.Errorf("sent %q", sent)
	}
}

func TestPolicyCommands(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("APTLESS_TOKEN", "mine")
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = append(sent, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(body)))
		if r.URL.Path == "/api/auth/policies" {
			io.WriteString(w, `[{"Name":"p"}]`)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"Name": "p", "TTL": "15m", "Warnings": []string{"sub is used"}})
	}))
	defer server.Close()
	for _, c := range []struct {
		args []string
		in   string
		sent string
		told string
	}{
		{[]string{"list"}, "", "GET /api/auth/policies Bearer mine", `"Name": "p"`},
		{[]string{"show", "p"}, "", "GET /api/auth/policies/p Bearer mine", `"TTL": "15m"`},
		{[]string{"set", "p"}, `{"TTL":"5m"}`, `PUT /api/auth/policies/p Bearer mine {"TTL":"5m"}`, "warning: sub is used"},
		{[]string{"remove", "p"}, "", "DELETE /api/auth/policies/p Bearer mine", ""},
	} {
		sent = nil
		out, err := run(t, policyCommand(), c.in, append(c.args, "--url", server.URL)...)
		if err != nil || len(sent) != 1 || sent[0] != c.sent || !strings.Contains(out, c.told) {
			t.Errorf("%q: %q, %v; sent %q", c.args, out, err, sent)
		}
	}
	if _, err := run(t, policyCommand(), "{", "set", "p", "--url", server.URL); err == nil {
		t.Error("half of a JSON text is sent")
	}
}

package aws

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/core/front/auth"
	"aptless/infra/aws"
	"aptless/localstack"
	"aptless/localstack/host"
)

// TestAuthorizerIAM: the gateway asks for signatures, and the function decides by the ARN.
// The command "aptless upload --sigv4" gets through, also with a file that goes directly to
// the storage.
func TestAuthorizerIAM(t *testing.T) {
	const ci, other = "arn:aws:sts::123456789012:assumed-role/ci/run-1", "arn:aws:iam::123456789012:user/other"
	p := deploy(t, 0, nil, func(o *localstack.Options) {
		o.Values = map[string]string{"Authorizer": "IAM", "IamDefaultRole": "none"}
		o.Users = map[string]host.User{"AKIDCI": {Secret: "s1", ARN: ci}, "AKIDOTHER": {Secret: "s2", ARN: other}}
	})
	as := func(key, secret, method, path, body string) (int, string) {
		t.Setenv("AWS_ACCESS_KEY_ID", key)
		t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
		signer, err := aws.NewSigner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, p.api.URL+path, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if key != "" {
			if err := signer.Sign(r); err != nil {
				t.Fatal(err)
			}
		} else {
			r.Header.Set("Authorization", "Bearer "+p.token)
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
		return resp.StatusCode, string(data)
	}
	store := &auth.Store{Table: p.drivers.Table, Now: time.Now}
	if _, err := store.SetBinding(t.Context(), auth.OpenPrincipal(), auth.Binding{Name: "ci", Kind: auth.IAM, Owner: "ci", Grants: []auth.Grant{{Role: auth.Admin}},
		Match: map[string][]string{"arn": {"arn:aws:sts::123456789012:assumed-role/ci/*"}}}, nil); err != nil {
		t.Fatal(err)
	}
	if code, answer := as("AKIDCI", "wrong", "GET", "/api/version", ""); code != 403 || !strings.Contains(answer, `"Forbidden"`) {
		t.Errorf("a wrong secret: %d %s", code, answer)
	}
	if code, answer := as("AKIDOTHER", "s2", "POST", "/api/repos", `{"Name":"hello"}`); code != 403 || !strings.Contains(answer, "no permission") {
		t.Errorf("without a binding: %d %s", code, answer)
	}
	if code, answer := as("AKIDCI", "s1", "POST", "/api/repos", `{"Name":"hello"}`); code != 201 {
		t.Fatalf("with a binding: %d %s", code, answer)
	}
	if code, answer := as("", "", "GET", "/api/version", ""); code != 403 {
		t.Errorf("a token in place of a signature: %d %s", code, answer)
	}
	program := aptless(t)
	small := debtest.Spec{Package: "hello"}
	file := filepath.Join(t.TempDir(), debtest.FileName(small))
	large := filepath.Join(t.TempDir(), "large.bin")
	for name, data := range map[string][]byte{file: debtest.Deb(small), large: make([]byte, 5<<20)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "upload", "--sigv4", "--url", p.api.URL, "d", file, large)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIDCI", "AWS_SECRET_ACCESS_KEY=s1", "APTLESS_TOKEN=unused")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("upload: %v: %s", err, out)
	}
	code, answer := as("AKIDCI", "s1", "GET", "/api/files/d", "")
	var files []string
	if err := json.Unmarshal([]byte(answer), &files); err != nil || code != 200 || len(files) != 2 {
		t.Errorf("%d %s", code, answer)
	}
}

// TestRevokedTokenIsRefusedWithin31Seconds by all instances of the function.
func TestRevokedTokenIsRefusedWithin31Seconds(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil)
	var made struct{ ID, Token string }
	if err := json.Unmarshal(p.must("POST", "/api/auth/tokens", `{"Name":"gone","Grants":[{"Role":"reader"}]}`), &made); err != nil {
		t.Fatal(err)
	}
	// ask sends several requests at once, so that several instances answer, and returns
	// the number of answers that are not 401.
	ask := func() int {
		codes := make([]int, 6)
		var wg sync.WaitGroup
		for i := range codes {
			wg.Go(func() {
				r, _ := http.NewRequest("GET", p.api.URL+"/api/repos", nil)
				r.Header.Set("Authorization", "Bearer "+made.Token)
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				codes[i] = resp.StatusCode
			})
		}
		wg.Wait()
		passed := 0
		for _, code := range codes {
			if code != http.StatusUnauthorized {
				passed++
			}
		}
		return passed
	}
	if n := ask(); n != 6 {
		t.Fatalf("%d of 6 requests pass", n)
	}
	p.must("DELETE", "/api/auth/tokens/"+made.ID, "")
	for end := time.Now().Add(31 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		ask() // instances that were asked lately remember the token as long as they may
	}
	if n := ask(); n != 0 {
		t.Errorf("%d requests pass after 31 seconds", n)
	}
}

package aws

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/client"
	"aptless/core/formats/deb/debtest"
	"aptless/functions/proxy"
	"aptless/infra/aws"
	"aptless/localstack"
	"aptless/localstack/host"
	"aptless/tests/apt"
)

// TestProxy: curl has no token and signs nothing. It uploads files that are too large for a
// request, imports and publishes them, with each of the authorizers.
func TestProxy(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:user/ci"
	for _, authorizer := range []string{"TOKENS", "IAM"} {
		t.Run(authorizer, func(t *testing.T) {
			p := deploy(t, 0, nil, func(o *localstack.Options) {
				o.Values = map[string]string{"Authorizer": authorizer}
				o.Users = map[string]host.User{"AKIDCI": {Secret: "s1", ARN: arn}}
			})
			authorize := func(r *http.Request) error { r.Header.Set("Authorization", "Bearer "+p.token); return nil }
			if authorizer == "IAM" {
				t.Setenv("AWS_ACCESS_KEY_ID", "AKIDCI")
				t.Setenv("AWS_SECRET_ACCESS_KEY", "s1")
				signer, err := aws.NewSigner(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				authorize = signer.Sign
			}
			near := httptest.NewServer(&proxy.Proxy{Log: slog.New(slog.DiscardHandler), Spool: t.TempDir(),
				Client: &client.Client{URL: p.api.URL, HTTP: http.DefaultClient, OnePut: 8 << 20, Authorize: proxy.Replayable(authorize)}})
			defer near.Close()
			curl := func(args ...string) string {
				t.Helper()
				out, err := exec.CommandContext(t.Context(), "curl", append([]string{"-sS"}, args...)...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				return string(out)
			}
			dir, name := t.TempDir(), fmt.Sprint("curled", time.Now().UnixNano())
			form := []string{}
			for pkg, size := range map[string]int{"small": 100, "direct": 6 << 20, "parted": 9 << 20} {
				spec := debtest.Spec{Package: pkg, Version: "1+b1", Compression: "none", Files: map[string]string{"usr/share/" + pkg: strings.Repeat("x", size)}}
				file := filepath.Join(dir, debtest.FileName(spec))
				if err := os.WriteFile(file, debtest.Deb(spec), 0o600); err != nil {
					t.Fatal(err)
				}
				form = append(form, "-F", "file=@"+file)
			}
			json := []string{"-H", "Content-Type: application/json", "--data"}
			if got := curl(append(form, near.URL+"/api/files/"+name)...); strings.Count(got, name+"/") != 3 {
				t.Fatal(got)
			}
			curl(append(json, `{"Name":"`+name+`"}`, near.URL+"/api/repos")...)
			if got := curl("-X", "POST", near.URL+"/api/repos/"+name+"/file/"+name); strings.Count(got, " added") != 3 || !strings.Contains(got, `"FailedFiles":[]`) {
				t.Fatal(got)
			}
			curl(append(json, `{"SourceKind":"local","Distribution":"`+name+`","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}]}`, near.URL+"/api/publish")...)
			if err := (apt.Tree{Fetch: apt.FetchHTTP(http.DefaultClient, p.public.URL)}).Verify(t.Context(), name); err != nil {
				t.Error(err)
			}
			if got := curl(near.URL + "/api/repos/" + name + "/packages?q=Name%20(~%20.*)&limit=2"); strings.Count(got, " 1+b1 ") != 2 {
				t.Error(got)
			}
			if got := curl("-H", "Origin: https://example.org", near.URL+"/api/version"); !strings.Contains(got, "no web page of another site") {
				t.Error(got)
			}
		})
	}
}

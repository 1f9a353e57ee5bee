package aws

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/localstack"
)

// without returns a copy of the template in which one text is replaced.
func without(t *testing.T, text, by string) string {
	t.Helper()
	data, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), text) {
		t.Fatalf("the template has no %q", text)
	}
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), text, by, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRolesAreEvaluated: on this machine, too, a function does nothing that its role does not
// allow. Without the right to write published files, no publication succeeds.
func TestRolesAreEvaluated(t *testing.T) {
	t.Parallel()
	const right = `            - Sid: Tree
              Effect: Allow
              Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]`
	p := deploy(t, 0, nil, func(o *localstack.Options) {
		o.Template = without(t, right, strings.Replace(right, `"s3:PutObject", `, "", 1))
		o.MayBeDenied = true
	})
	p.must("POST", "/api/repos", `{"Name":"rights"}`)
	p.admit("POST", "/api/publish/rights", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"rights"}]}`)
	want := "s3:PutObject of arn:aws:s3:::" + p.local.Config.PublicBucket + "/"
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		denied := p.Stack.Denied()["PublishFunction"]
		if slices.ContainsFunc(denied, func(d string) bool { return strings.HasPrefix(d, want) }) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("denied: %q, want %s", denied, want)
		}
	}
	if code, _, _ := p.read("/rights/dists/stable/InRelease"); code != http.StatusNotFound {
		t.Errorf("published without the right: %d", code)
	}
}

// TestKeysThatComeLater: without keys the API answers 503 and tasks wait with the reason.
// They run as soon as the operator has put the keys. The keys are parameters of Systems
// Manager by default, and secrets on demand.
func TestKeysThatComeLater(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"PARAMETERS", "SECRETS"} {
		t.Run(place, func(t *testing.T) { keysLater(t, place) })
	}
}

func keysLater(t *testing.T, place string) {
	var data string
	p := deploy(t, 0, nil, func(o *localstack.Options) {
		o.KeysLater, data = true, o.Data
		o.Values = map[string]string{"Keys": place}
	})
	if status, answer, err := p.send("GET", "/api/version", "", nil); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("without keys: %d %s, %v", status, answer, err)
	}
	if err := p.PutKeys(data); err != nil {
		t.Fatal(err)
	}
	token, err := p.AdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.token = token
	name := "later-" + strings.ToLower(place)
	p.must("POST", "/api/repos", `{"Name":"`+name+`"}`)
	if err := p.upload(name, debtest.Spec{Package: "later"}); err != nil {
		t.Fatal(err)
	}
	p.must("POST", "/api/repos/"+name+"/file/"+name, "")
	p.must("POST", "/api/publish/"+name, `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}]}`)
	if !slices.Contains(p.Stack.Used("PublishFunction"), map[string]string{"PARAMETERS": "ssm:GetParameter", "SECRETS": "secretsmanager:GetSecretValue"}[place]) {
		t.Errorf("the publisher used %q", p.Stack.Used("PublishFunction"))
	}
}

package aws

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/localstack"
	"aptless/tests/apt"
)

// TestPrivateDownloads: CloudFront's function asks for a token below a private prefix, by
// the values that the API function writes into its store. The real apt reads with the
// token in its URL. A revoked token is refused.
func TestPrivateDownloads(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil, func(o *localstack.Options) { o.Values = map[string]string{"PrivateDownloads": "yes"} })
	p.must("POST", "/api/repos", `{"Name":"private"}`)
	if err := p.upload("private", debtest.Spec{Package: "for-few"}); err != nil {
		t.Fatal(err)
	}
	p.must("POST", "/api/repos/private/file/private", "")
	for _, prefix := range []string{"team-a", "open"} {
		p.must("POST", "/api/publish/"+prefix, `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"private"}]}`)
	}
	token := func(name, prefix string) (secret, id string) {
		var made struct{ Token, ID string }
		body := `{"Name":"` + name + `","Kind":"download","Grants":[{"Role":"downloader","Tree":["` + prefix + `"]}]}`
		if err := json.Unmarshal(p.must("POST", "/api/auth/tokens", body), &made); err != nil {
			t.Fatal(err)
		}
		return made.Token, made.ID
	}
	ask := func(path, secret string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.public.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if secret != "" {
			r.SetBasicAuth("apt", secret)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Cache-Control")
	}
	// until waits for a status: the store may be written by the next tick.
	until := func(path, secret string, want int) {
		t.Helper()
		code := 0
		for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if code, _ = ask(path, secret); code == want {
				return
			}
		}
		t.Fatalf("%s: %d, want %d", path, code, want)
	}
	if code, _ := ask("/open/dists/stable/InRelease", ""); code != 401 {
		t.Errorf("before the first list: %d", code)
	}
	p.must("PUT", "/api/auth/access", `{"Private":["team-a"],"Digests":"public"}`) // other tests publish by digest
	t.Cleanup(func() {
		var now struct{ Version string }
		if err := json.Unmarshal(p.must("GET", "/api/auth/access", ""), &now); err != nil {
			t.Error(err)
		}
		p.must("PUT", "/api/auth/access", `{"Private":[],"Version":"`+now.Version+`"}`)
	})
	good, id := token("reader-a", "team-a")
	other, _ := token("reader-b", "team-b")
	const release = "/team-a/dists/stable/InRelease"
	until("/open/dists/stable/InRelease", "", 200)
	until(release, good, 200)
	for path, secret := range map[string]string{release: "", "/repos/-" + release: "", "/snapshots/20300101T000000Z" + release: "", "/%74eam-a/dists/stable/InRelease": "", "/team-a/none": ""} {
		if code, _ := ask(path, secret); code != 401 {
			t.Errorf("%s without a token: %d", path, code)
		}
		if code, _ := ask(path, other); code != 403 {
			t.Errorf("%s with another token: %d", path, code)
		}
	}
	if _, cache := ask(release, good); cache != "private" {
		t.Errorf("Cache-Control: %s", cache)
	}
	_, key, _ := p.read("/key.asc")
	client := apt.New(t, apt.Options{URL: strings.Replace(p.public.URL, "://", "://apt:"+good+"@", 1) + "/team-a", Suite: "stable", SignedBy: []byte(key)})
	if err := client.Update(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Download(t.Context(), "for-few").Err(); err != nil {
		t.Fatal(err)
	}
	p.must("DELETE", "/api/auth/tokens/"+id, "")
	until(release, good, 401)
}

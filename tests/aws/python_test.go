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
)

// throughProxy uploads files by a form, imports them and lists the packages, as clients of
// aptly in Python do. The arguments are a URL, a name and files.
const throughProxy = `
import sys, requests
url, name, files = sys.argv[1], sys.argv[2], sys.argv[3:]
s = requests.Session()
def ok(r):
    r.raise_for_status()
    return r.json()
got = ok(s.post(url + "/api/files/" + name, files=[("file", (f.rsplit("/", 1)[1], open(f, "rb"))) for f in files]))
assert len(got) == len(files), got
ok(s.post(url + "/api/repos", json={"Name": name}))
got = ok(s.post(url + "/api/repos/" + name + "/file/" + name, params={"noRemove": "0"}))
assert got["FailedFiles"] == [] and len(got["Report"]["Added"]) == len(files), got
got = ok(s.get(url + "/api/repos/" + name + "/packages", params={"q": "Name"}))
assert len(got) == len(files), got
r = s.get(url + "/api/repos/none-" + name)
assert r.status_code == 404 and "not found" in r.json()["error"], r.text
`

// signedUpload uploads a file by a signed request, and confirms it. The token goes to the
// API only. The arguments are a URL, a token, a name and a file.
const signedUpload = `
import hashlib, os, sys, requests
url, token, name, file = sys.argv[1:]
auth = {"Authorization": "Bearer " + token}
data = open(file, "rb").read()
body = [{"name": os.path.basename(file), "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
r = requests.post(url + "/api/files/" + name, json=body, headers=auth)
r.raise_for_status()
signed = r.json()[0]
other = requests.request(signed["method"], signed["url"], headers=signed["headers"], data=b"x" * len(data))
assert 400 <= other.status_code < 500, other.status_code
with open(file, "rb") as f:
    r = requests.request(signed["method"], signed["url"], headers=signed["headers"], data=f)
r.raise_for_status()
assert "Authorization" not in r.request.headers
r = requests.post(url + "/api/files/" + name, params={"confirm": "1"}, json=body, headers=auth)
r.raise_for_status()
r = requests.get(url + "/api/files/" + name, headers=auth)
assert r.json() == [os.path.basename(file)], r.text
`

// TestRequestsOfPython: the library requests sends forms through the proxy, and large files
// by signed requests to the storage.
func TestRequestsOfPython(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil)
	authorize := func(r *http.Request) error { r.Header.Set("Authorization", "Bearer "+p.token); return nil }
	near := httptest.NewServer(&proxy.Proxy{Log: slog.New(slog.DiscardHandler), Spool: t.TempDir(), Client: &client.Client{URL: p.api.URL, HTTP: http.DefaultClient, Authorize: proxy.Replayable(authorize)}})
	defer near.Close()
	dir, name := t.TempDir(), fmt.Sprint("python", time.Now().UnixNano())
	var files []string
	for pkg, size := range map[string]int{"small": 100, "large": 6 << 20} {
		spec := debtest.Spec{Package: pkg, Version: "1+b1", Compression: "none", Files: map[string]string{"usr/share/" + pkg: strings.Repeat("x", size)}}
		file := filepath.Join(dir, debtest.FileName(spec))
		if err := os.WriteFile(file, debtest.Deb(spec), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	for about, args := range map[string][]string{
		"through the proxy": append([]string{throughProxy, near.URL, name}, files...),
		"by a signature":    {signedUpload, p.api.URL, p.token, name + "-signed", files[0]},
	} {
		out, err := exec.CommandContext(t.Context(), "python3", append([]string{"-c"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", about, err, out)
		}
	}
}

package aws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// python reads a URL with a token by urllib, which follows redirects.
const python = `
import sys, urllib.request
r = urllib.request.Request(sys.argv[1])
r.add_unredirected_header("Authorization", "Bearer " + sys.argv[2])
sys.stdout.buffer.write(urllib.request.urlopen(r).read())
`

// TestLongAnswers reads a listing that does not fit into an answer of a function. Clients
// that follow redirects get all of it, and the token goes to the API only.
func TestLongAnswers(t *testing.T) {
	p := deploy(t, 0, nil)
	random := rand.New(rand.NewPCG(1, 2))
	const repos, size = 32, 240_000
	for i := range repos {
		comment := make([]byte, size*3/4) // random bytes, so compression does not help
		for j := range comment {
			comment[j] = byte(random.Uint32())
		}
		p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":"long-%03d","Comment":%q}`, i, base64.StdEncoding.EncodeToString(comment)))
	}
	check := func(about string, data []byte, err error) {
		t.Helper()
		var list []struct{ Name, Comment string }
		if err == nil {
			err = json.Unmarshal(data, &list)
		}
		n := 0
		for _, r := range list {
			if strings.HasPrefix(r.Name, "long-") && len(r.Comment) == size {
				n++
			}
		}
		if err != nil || n != repos {
			t.Errorf("%s: %d bytes, %d repositories, %v: %.200s", about, len(data), n, err, data)
		}
	}
	const path = "/api/repos"
	p.api.URL = strings.Replace(p.api.URL, "127.0.0.1", "localhost", 1) // the store has another name
	data, err := p.get(path)
	check("Go", data, err)
	plain := &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token is sent to the store")
		}
		return nil
	}}
	r, err := http.NewRequest("GET", p.api.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	data, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	check("Go without compression", data, err)
	for about, command := range map[string][]string{
		"curl":              {"curl", "-sfL", "-H", "Authorization: Bearer " + p.token, p.api.URL + path},
		"curl --compressed": {"curl", "-sfL", "--compressed", "-u", "token:" + p.token, p.api.URL + path},
		"urllib":            {"python3", "-c", python, p.api.URL + path, p.token},
	} {
		var failed bytes.Buffer
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Stderr = &failed
		data, err := cmd.Output()
		check(about+" "+failed.String(), data, err)
	}
	names := map[string]bool{}
	for info, err := range p.drivers.Blobs.List(t.Context(), "private/answers/", "") {
		if err != nil {
			t.Fatal(err)
		}
		names[info.Key] = true
	}
	if len(names) != 5 {
		t.Errorf("%d stored answers, want one for each client: %v", len(names), names)
	}
}

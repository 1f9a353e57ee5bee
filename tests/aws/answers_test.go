package aws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/client"
	"aptless/core/formats/deb/debtest"
	"aptless/functions/proxy"
	"aptless/localstack"
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
	t.Parallel()
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

// TestLongListings: a listing for which the time of the function does not suffice is
// answered 202 with its task, and so is a change. The proxy and the client of aptless wait
// for the task. All of them are slow at the same time.
func TestLongListings(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	var blocked atomic.Int64
	w := &watch{hold: func(r *http.Request) {
		if r.Method != http.MethodGet {
			return
		}
		blocked.Add(1)
		defer blocked.Add(-1)
		for end := time.Now().Add(time.Minute); slow.Load() && r.Context().Err() == nil && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond) // S3 does not answer
		}
	}}
	p := deploy(t, 0, w, func(o *localstack.Options) { o.Answer = 6 * time.Second })
	name := fmt.Sprint("listed", time.Now().UnixNano())
	for _, n := range []string{"-a", "-b", "-c", "-d", "-e"} {
		p.must("POST", "/api/repos", `{"Name":"`+name+n+`"}`)
		if err := p.upload(name+n, debtest.Spec{Package: name + n}); err != nil {
			t.Fatal(err)
		}
		if n <= "-c" { // the others are imported below
			p.must("POST", "/api/repos/"+name+n+"/file/"+name+n, "")
		}
	}
	c := &client.Client{URL: p.api.URL, HTTP: http.DefaultClient, Authorize: func(r *http.Request) error { r.Header.Set("Authorization", "Bearer "+p.token); return nil }}
	near := httptest.NewServer(&proxy.Proxy{Log: slog.New(slog.DiscardHandler), Client: c})
	defer near.Close()
	slow.Store(true)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		out, err := exec.CommandContext(t.Context(), "curl", "-sSf", near.URL+"/api/repos/"+name+"-b/packages").Output()
		if err != nil || !strings.HasPrefix(string(out), `["Pall `+name+`-b 1.0 `) {
			t.Errorf("the proxy: %s, %v", out, err)
		}
	})
	waiting.Go(func() {
		keys, err := client.Send(t.Context(), c, client.ListKeys("repos", name+"-c"))
		if err != nil || len(keys.Value) != 1 || keys.Task == 0 {
			t.Errorf("the client: %+v, %v", keys, err)
		}
	})
	waiting.Go(func() {
		out, err := exec.CommandContext(t.Context(), "curl", "-sSf", "-X", "POST", near.URL+"/api/repos/"+name+"-e/file/"+name+"-e").Output()
		if err != nil || !strings.HasPrefix(string(out), `{"FailedFiles":[]`) {
			t.Errorf("a change through the proxy: %s, %v", out, err)
		}
	})
	for end := time.Now().Add(time.Minute); blocked.Load() < 3 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	// Now the time of these three runs, so it ends before that of the next two.
	tasks := map[string]int{}
	for about, request := range map[string][]string{"a listing": {p.api.URL + "/api/repos/" + name + "-a/packages"}, "a change": {"-X", "POST", p.api.URL + "/api/repos/" + name + "-d/file/" + name + "-d"}} {
		out, err := exec.CommandContext(t.Context(), "curl", append([]string{"-sS", "-u", "token:" + p.token, "-w", "%{http_code}"}, request...)...).Output()
		var task struct{ ID int }
		text, ok := strings.CutSuffix(string(out), "202")
		if err != nil || !ok || json.Unmarshal([]byte(text), &task) != nil || task.ID == 0 {
			t.Errorf("%s without the proxy: %s, %v", about, out, err)
		}
		tasks[about] = task.ID
	}
	slow.Store(false)
	waiting.Wait()
	for about, want := range map[string]string{"a listing": `{"Code":200,"Value":["Pall ` + name + `-a 1.0 `, "a change": `{"Code":200,"Value":{"FailedFiles":[]`} {
		if status, data, err := p.wait(tasks[about]); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s, %v", about, status, data, err)
		}
		data, err := p.get(fmt.Sprintf("/api/tasks/%d/return_value", tasks[about]))
		if err != nil || !strings.HasPrefix(string(data), want) {
			t.Errorf("%s: %s, %v", about, data, err)
		}
	}
}

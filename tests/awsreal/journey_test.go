//go:build awsreal

package awsreal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

// call calls the API of the stack.
func call(t *testing.T, method, path, kind string, body []byte) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(os.Getenv("APTLESS_URL"), "/")+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", "Bearer "+os.Getenv("APTLESS_TOKEN"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, data
}

// must calls the API, and waits for the task of an answer 202.
func must(t *testing.T, method, path, body string) []byte {
	t.Helper()
	status, data := call(t, method, path, "application/json", []byte(body))
	var task struct{ ID, State int }
	for tries := 0; status == http.StatusAccepted && tries < 40; tries++ {
		if err := json.Unmarshal(data, &task); err != nil {
			t.Fatal(err)
		}
		if task.State >= 2 {
			break
		}
		_, data = call(t, "GET", fmt.Sprintf("/api/tasks/%d/wait", task.ID), "", nil)
	}
	if status >= 300 || task.State == 3 {
		t.Fatalf("%s %s: %d %s", method, path, status, data)
	}
	return data
}

// TestJourney goes from a package to apt's view of the published tree, on a deployed stack.
// The files have plus signs. Tasks of one resource follow each other without long pauses.
func TestJourney(t *testing.T) {
	name := fmt.Sprint("real", time.Now().Unix())
	root := strings.TrimSuffix(os.Getenv("APTLESS_REPOSITORY"), "/")
	must(t, "POST", "/api/repos", `{"Name":"`+name+`"}`)
	defer must(t, "DELETE", "/api/repos/"+name+"?force=1", "")
	spec := debtest.Spec{Package: "g++-real", Version: "1.0+b1"}
	if status, data := call(t, "PUT", "/api/files/"+name+"/"+debtest.FileName(spec), "application/octet-stream", debtest.Deb(spec)); status != http.StatusOK {
		t.Fatalf("upload: %d %s", status, data)
	}
	must(t, "POST", "/api/repos/"+name+"/file/"+name, "")
	begun := time.Now()
	must(t, "POST", "/api/publish/"+name, `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}]}`)
	t.Logf("the publication took %v", time.Since(begun))
	defer must(t, "DELETE", "/api/publish/"+name+"/stable?force=1", "")
	if err := (apt.Tree{Fetch: apt.FetchHTTP(http.DefaultClient, root+"/"+name)}).Verify(t.Context(), "stable"); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]int{"/": 200, "/key.asc": 200, "/" + name + "/aptless.sources": 200, "/" + name + "/pool/main/g/g++-real/" + debtest.FileName(spec): 200,
		"/" + name + "/none": 404, "/" + name + "/pool/sha256/ab/" + strings.Repeat("ab", 32) + "/x.deb": 403} {
		resp, err := http.Get(root + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	// A message that waits for its turn is woken by the end of the task before it. If waking
	// had no effect, each of the tasks would wait out a pause.
	const tasks = 20
	var last struct{ ID int }
	begun = time.Now()
	for i := range tasks {
		_, data := call(t, "PUT", "/api/repos/"+name+"?_async=1", "application/json", fmt.Appendf(nil, `{"Comment":"%d"}`, i))
		if err := json.Unmarshal(data, &last); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
	}
	for range 40 {
		if _, data := call(t, "GET", fmt.Sprintf("/api/tasks/%d/wait", last.ID), "", nil); bytes.Contains(data, []byte(`"State":2`)) {
			break
		}
	}
	took := time.Since(begun)
	t.Logf("%d tasks of one repository took %v", tasks, took)
	if took > 2*time.Minute {
		t.Errorf("%d tasks of one repository take %v: waiting messages are not woken", tasks, took)
	}
}

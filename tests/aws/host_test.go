package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/infra/aws"
	"aptless/localstack"
	"aptless/localstack/services"
	"aptless/tests/apt"
)

// built is the output folder of programs, or "" before the build.
var built string

// programs builds the functions, and the program aptless, once.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "aptless-functions-")
	if err != nil {
		return "", err
	}
	built = dir
	args := []string{"build", "-tags", "lambda.norpc", "-o", dir, "aptless/functions/aptless"}
	for _, name := range functions {
		args = append(args, "aptless/functions/"+name)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	for _, name := range functions {
		folder := filepath.Join(dir, "code", name)
		if err := errors.Join(os.MkdirAll(folder, 0o750), os.Rename(filepath.Join(dir, name), filepath.Join(folder, "bootstrap"))); err != nil {
			return dir, err
		}
	}
	return dir, nil
})

// functions are the programs of Lambda functions.
var functions = []string{"api", "worker", "schedule"}

// aptless returns the path of the program aptless.
func aptless(t *testing.T) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "aptless")
}

// deployed is aptless as Lambda functions on this machine.
type deployed struct {
	*localstack.Aptless
	drivers     *aws.Drivers
	local       *services.Local // with the names of table and buckets
	t           *testing.T
	token       string // may do everything
	api, public *httptest.Server
	log         string // file with the output of the functions
	former      string // key of a package that was removed
}

// deploy runs the functions. A worker that is silent for a lease counts as dead. The
// functions' requests to DynamoDB and S3 pass watch, if it is set.
func deploy(t *testing.T, lease time.Duration, watch *watch, set ...func(*localstack.Options)) *deployed {
	t.Helper()
	return deployOn(t, alone(t), lease, watch, set...)
}

// deployOn is deploy on the table and the buckets of l.
func deployOn(t *testing.T, l *services.Local, lease time.Duration, watch *watch, set ...func(*localstack.Options)) *deployed {
	t.Helper()
	d := connect(t, l)
	behind := *l
	if watch != nil {
		behind.Config.DynamoDBURL = watch.before(t, l.Config.DynamoDBURL)
		behind.Config.S3URL = watch.before(t, l.Config.S3URL)
	}
	code, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "functions.log"))
	if err != nil {
		t.Fatal(err)
	}
	public := httptest.NewUnstartedServer(nil)
	o := localstack.Options{
		Edge: "../../infra/edge", Address: "http://" + public.Listener.Addr().String(),
		Template: "../../template.yaml", Code: filepath.Join(code, "code"), Data: t.TempDir(), Queues: fmt.Sprint("host", opened.Add(1)),
		Lease: lease, Every: lease, Functions: file, Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range set {
		f(&o)
	}
	a, err := localstack.Start(t.Context(), &behind, d, o)
	t.Cleanup(func() {
		a.Stop()
		t.Logf("memory of the largest processes in MB: %v", a.Stack.Peaks())
		if denied := a.Stack.Denied(); len(denied) > 0 && !o.MayBeDenied {
			t.Errorf("refused by the policies of the template: %v", denied)
		}
		if t.Failed() {
			if data, err := os.ReadFile(file.Name()); err == nil {
				t.Logf("%s", data[:min(len(data), 6000)])
			}
		}
		file.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	var token string
	if !o.KeysLater {
		if token, err = a.AdminToken(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p := &deployed{token: token, Aptless: a, drivers: d, local: l, t: t, api: httptest.NewServer(a.API), public: public, log: file.Name()}
	public.Config.Handler = a.Public
	public.Start()
	t.Cleanup(p.api.Close)
	t.Cleanup(p.public.Close)
	return p
}

// send sends a request and waits for its task, also longer than the gateway does.
func (p *deployed) send(method, path, contentType string, body []byte) (int, []byte, error) {
	r, err := http.NewRequest(method, p.api.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", contentType)
	r.SetBasicAuth("token", p.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		return resp.StatusCode, data, err
	}
	var task struct{ ID, State int }
	if err := json.Unmarshal(data, &task); err != nil {
		return 0, nil, err
	}
	return p.wait(task.ID)
}

// admit sends a request with _async and returns its task.
func (p *deployed) admit(method, path, body string) int {
	p.t.Helper()
	r, err := http.NewRequest(method, p.api.URL+path+"?_async=1", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var task struct{ ID int }
	if err := json.NewDecoder(resp.Body).Decode(&task); err != nil || resp.StatusCode != http.StatusAccepted {
		p.t.Fatalf("%s %s: %d, %v", method, path, resp.StatusCode, err)
	}
	return task.ID
}

// closed holds that no request passes without credentials.
func (p *deployed) closed() {
	p.t.Helper()
	for _, path := range []string{"/api/version", "/api/repos", "/api/none"} {
		resp, err := http.Get(p.api.URL + path)
		if err != nil {
			p.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			p.t.Errorf("%s without credentials: %d", path, resp.StatusCode)
		}
	}
}

func (p *deployed) get(path string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, p.api.URL+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// wait waits until a task has ended.
func (p *deployed) wait(id int) (int, []byte, error) {
	for range 40 {
		data, err := p.get(fmt.Sprintf("/api/tasks/%d/wait", id))
		if err != nil {
			return 0, nil, err
		}
		var task struct{ ID, State int }
		if json.Unmarshal(data, &task) == nil && task.State >= 2 {
			if task.State == 3 {
				output, err := p.get(fmt.Sprintf("/api/tasks/%d/output", id))
				return http.StatusInternalServerError, output, err
			}
			return http.StatusOK, data, nil
		}
	}
	return 0, nil, fmt.Errorf("task %d does not end", id)
}

// insist repeats a request while the answer asks for a retry. It returns the number of
// retries.
func insist(send func() (int, []byte, error), again func(status int, data []byte) bool) (status int, data []byte, times int, err error) {
	const tries = 10
	for times = range tries {
		if status, data, err = send(); err != nil || !again(status, data) {
			break
		}
	}
	return status, data, times, err
}

// crowded reports an answer that means too many concurrent requests.
func crowded(status int, _ []byte) bool { return status == http.StatusServiceUnavailable }

// givenUp also reports the answer after repeated deaths of workers without progress.
func givenUp(status int, data []byte) bool {
	return crowded(status, data) || bytes.Contains(data, []byte("given up after"))
}

func (p *deployed) must(method, path, body string) []byte {
	p.t.Helper()
	status, data, err := p.send(method, path, "application/json", []byte(body))
	if err != nil || status >= 300 {
		p.t.Fatalf("%s %s: %d %s, %v", method, path, status, data, err)
	}
	return data
}

// form uploads packages to an upload directory.
func (p *deployed) form(dir string, packages ...debtest.Spec) (int, []byte, error) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, spec := range packages {
		w, err := form.CreateFormFile("file", debtest.FileName(spec))
		if err != nil {
			return 0, nil, err
		}
		w.Write(debtest.Deb(spec))
	}
	form.Close()
	return p.send("POST", "/api/files/"+dir, form.FormDataContentType(), b.Bytes())
}

func (p *deployed) upload(dir string, packages ...debtest.Spec) error {
	status, data, err := p.form(dir, packages...)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("upload: %d %s", status, data)
	}
	return err
}

// lease is the lease of workers in tests that kill them. It is longer than the pauses of a
// loaded machine, and short enough to wait for.
const lease = 3 * time.Second

// TestDeployed has the real apt-get install a package published by Lambda functions.
func TestDeployed(t *testing.T) {
	t.Parallel()
	p := deploy(t, 0, nil)
	p.closed()
	p.must("GET", "/api/version", "")
	p.must("POST", "/api/repos", `{"Name":"deployed"}`)
	if err := p.upload("in", debtest.Spec{Package: "served-by-lambda", Files: map[string]string{"usr/share/served": "yes"}}); err != nil {
		t.Fatal(err)
	}
	p.must("POST", "/api/repos/deployed/file/in", "")
	p.must("POST", "/api/publish", `{"SourceKind":"local","Distribution":"deployed","Architectures":["amd64"],"Sources":[{"Name":"deployed"}]}`)
	p.must("POST", "/api/publish/by_hash", `{"SourceKind":"local","Distribution":"deployed","Architectures":["amd64"],"Sources":[{"Name":"deployed"}],"PoolLayout":"hash"}`)
	for _, root := range []string{p.public.URL, p.public.URL + "/by/hash"} {
		if err := (apt.Tree{Fetch: apt.FetchHTTP(http.DefaultClient, root)}).Verify(t.Context(), "deployed"); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.Get(p.public.URL + "/key.asc")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	key, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{p.public.URL, p.public.URL + "/by/hash"} {
		client := apt.New(t, apt.Options{URL: root, Suite: "deployed", SignedBy: key})
		if err := client.Update(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := client.Download(t.Context(), "served-by-lambda").Err(); err != nil {
			t.Fatal(err)
		}
		if files := client.Files(t); len(files) != 1 {
			t.Errorf("%d files were downloaded from %s", len(files), root)
		}
	}
	for info, err := range p.drivers.Blobs.List(t.Context(), "public/by/hash/", "") {
		if err != nil || strings.Contains(info.Key, "/pool/") {
			t.Errorf("%s, %v", info.Key, err)
		}
	}
}

// TestWorkersKilled kills workers at random while clients upload, import and publish.
// Every admitted task is done once, and the tree has the packages of the repository.
func TestWorkersKilled(t *testing.T) {
	t.Parallel()
	clients, kills := 24, 60
	if testing.Short() {
		clients, kills = 4, 5
	}
	p := deploy(t, lease, nil)
	p.must("POST", "/api/repos", `{"Name":"killed"}`)
	p.must("POST", "/api/publish", `{"SourceKind":"local","Distribution":"killed","Architectures":["amd64"],"Sources":[{"Name":"killed"}]}`)
	ctx, stop := context.WithCancel(t.Context())
	var killing, working sync.WaitGroup
	killed := 0
	killing.Go(func() {
		random := rand.New(rand.NewPCG(7, 11))
		for ctx.Err() == nil && killed < kills {
			if p.Stack.Kill(random, "WorkerFunction", "PublishFunction") {
				killed++
			}
			time.Sleep(time.Duration(200+random.IntN(1200)) * time.Millisecond)
		}
	})
	for c := range clients {
		working.Go(func() {
			dir := fmt.Sprint("killed-", c)
			if err := p.upload(dir, debtest.Spec{Package: fmt.Sprintf("pkg%d", c)}); err != nil {
				t.Error(err)
				return
			}
			for _, request := range [][3]string{{"POST", "/api/repos/killed/file/" + dir, ""}, {"PUT", "/api/publish/:./killed", "{}"}} {
				status, data, again, err := insist(func() (int, []byte, error) {
					return p.send(request[0], request[1], "application/json", []byte(request[2]))
				}, givenUp)
				if err != nil || status >= 300 && again == 0 { // otherwise the final state is checked
					t.Errorf("%s: %d %s, %v", request[1], status, data, err)
				}
				if again > 0 {
					t.Logf("%s was asked for %d times", request[1], again+1)
				}
			}
		})
	}
	working.Wait()
	stop()
	killing.Wait()
	t.Logf("%d workers killed", killed)
	if killed == 0 {
		t.Error("no worker was killed")
	}
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/repos/killed/packages", ""), &keys); err != nil || len(keys) != clients {
		t.Errorf("%d packages, %v, want %d", len(keys), err, clients)
	}
	p.must("PUT", "/api/publish/:./killed", "{}")
	fetch := apt.FetchHTTP(http.DefaultClient, p.public.URL)
	if err := (apt.Tree{Fetch: fetch}).Verify(t.Context(), "killed"); err != nil {
		t.Error(err)
	}
	packages, err := fetch(t.Context(), "dists/killed/main/binary-amd64/Packages")
	if n := strings.Count(string(packages), "Package: pkg"); err != nil || n != clients {
		t.Errorf("%d packages are published, %v, want %d", n, err, clients)
	}
}

// TestDeployedParallel has many clients upload, and then import into one repository at
// once through the gateway and the API's function, all with one token. All succeed, and no
// package is lost.
func TestDeployedParallel(t *testing.T) {
	t.Parallel()
	clients := 200
	if testing.Short() {
		clients = 8
	}
	p := deploy(t, 0, nil)
	p.closed() // to requests without the token
	p.must("POST", "/api/repos", `{"Name":"crowd"}`)
	var all, uploaded sync.WaitGroup
	var comeback atomic.Int64
	uploaded.Add(clients)
	for c := range clients {
		all.Go(func() {
			dir := fmt.Sprint("crowd-", c)
			status, data, _, err := insist(func() (int, []byte, error) {
				return p.form(dir, debtest.Spec{Package: fmt.Sprintf("pkg%d", c)})
			}, crowded)
			uploaded.Done()
			if err != nil || status != http.StatusOK {
				t.Errorf("upload: %d %s, %v", status, data, err)
				return
			}
			uploaded.Wait()
			status, data, refused, err := insist(func() (int, []byte, error) {
				return p.send("POST", "/api/repos/crowd/file/"+dir, "", nil)
			}, crowded)
			comeback.Add(int64(refused))
			// A refused request may have been admitted; then its folder is empty. The content of the
			// repository decides.
			if err != nil || status != http.StatusOK && refused == 0 {
				t.Errorf("import: %d %s, %v", status, data, err)
			}
		})
	}
	all.Wait()
	t.Logf("%d imports were refused at first", comeback.Load())
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/repos/crowd/packages", ""), &keys); err != nil || len(keys) != clients {
		t.Errorf("%d packages, %v, want %d", len(keys), err, clients)
	}
}

// TestDeployedOrder alternates removals and additions of one package without waiting. The
// last one decides.
func TestDeployedOrder(t *testing.T) {
	t.Parallel()
	tasks := 40
	if testing.Short() {
		tasks = 8
	}
	p := deploy(t, 0, nil)
	p.must("POST", "/api/repos", `{"Name":"turns"}`)
	if err := p.upload("turns", debtest.Spec{Package: "turns"}); err != nil {
		t.Fatal(err)
	}
	p.must("POST", "/api/repos/turns/file/turns", "")
	var keys []string
	list := func(want int) {
		t.Helper()
		if err := json.Unmarshal(p.must("GET", "/api/repos/turns/packages", ""), &keys); err != nil || len(keys) != want {
			t.Fatalf("%q, %v, want %d", keys, err, want)
		}
	}
	list(1)
	body := fmt.Sprintf(`{"PackageRefs":[%q]}`, keys[0])
	other := map[string]string{http.MethodDelete: http.MethodPost, http.MethodPost: http.MethodDelete}
	for _, last := range []string{http.MethodDelete, http.MethodPost} {
		var ids []int
		for i := range tasks {
			method := last
			if (tasks-i)%2 == 0 {
				method = other[last]
			}
			ids = append(ids, p.admit(method, "/api/repos/turns/packages", body))
		}
		for _, id := range ids {
			if status, data, err := p.wait(id); err != nil || status != http.StatusOK {
				t.Errorf("task %d: %d %s, %v", id, status, data, err)
			}
		}
		list(map[string]int{http.MethodDelete: 0, http.MethodPost: 1}[last])
	}
}

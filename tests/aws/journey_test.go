package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/infra/aws"
	"aptless/localstack/services"
	"aptless/tests/apt"
)

// process is aptless on the substitutes, with API and worker in the test's process.
type process struct {
	*app.App
	drivers *aws.Drivers
	t       *testing.T
}

func serve(t *testing.T, set ...func(*app.Config)) *process {
	return serveBy(t, alone(t), worker, func(error) {}, set...)
}

// serveBy serves with the services l, and the workers that by makes. failed receives the errors of the queue's
// deliveries.
func serveBy(t *testing.T, l *services.Local, by func(*aws.Drivers, driver.Handler) aws.Deliver, failed func(error), set ...func(*app.Config)) *process {
	d := connect(t, l)
	key, err := pgp.Generate("Test", "test@example.org", pgp.Ed25519, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := app.Config{Version: app.Version, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	for _, f := range set {
		f(&c)
	}
	a, err := app.New(ctx, app.Drivers{Blobs: d.Blobs, Table: d.Table, Queue: d.Queue}, signer, c)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { d.Queue.Serve(ctx, 8, by(d, a.Dispatcher.Handle), failed) })
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	return &process{a, d, t}
}

func (p *process) do(method, path, contentType string, body []byte) ([]byte, error) {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	p.Handler.ServeHTTP(w, r)
	if w.Code >= 400 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.Bytes(), nil
}

func (p *process) must(method, path, body string) []byte {
	p.t.Helper()
	answer, err := p.do(method, path, "application/json", []byte(body))
	if err != nil {
		p.t.Fatal(err)
	}
	return answer
}

func (p *process) upload(dir string, packages ...debtest.Spec) error {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, spec := range packages {
		w, err := form.CreateFormFile("file", debtest.FileName(spec))
		if err != nil {
			return err
		}
		w.Write(debtest.Deb(spec))
	}
	form.Close()
	_, err := p.do("POST", "/api/files/"+dir, form.FormDataContentType(), b.Bytes())
	return err
}

// fetch reads a file of the public bucket, as CloudFront does.
func (p *process) fetch(ctx context.Context, path string) ([]byte, error) {
	r, _, err := p.drivers.Blobs.Open(ctx, "public/"+path, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// counted logs the requests of a step.
func (p *process) counted(name string, step func()) {
	before := p.drivers.Counts()
	step()
	line := name + ":"
	after := p.drivers.Counts()
	for _, request := range slices.Sorted(maps.Keys(after)) {
		if n := after[request] - before[request]; n > 0 {
			line += fmt.Sprintf(" %s %d", request, n)
		}
	}
	p.t.Log(line)
}

// TestJourney uploads, imports, publishes and publishes again, and reads the tree as apt
// does.
func TestJourney(t *testing.T) {
	t.Parallel()
	p := serve(t)
	name := fmt.Sprint("journey", time.Now().UnixNano())
	p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name))
	spec := func(n int) debtest.Spec { return debtest.Spec{Package: fmt.Sprintf("pkg%04d", n), Version: "1.0"} }
	var many []debtest.Spec
	for n := range 100 {
		many = append(many, spec(n))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	p.counted("upload of 100", func() { must(p.upload(name, many...)) })
	p.counted("import of 100", func() { p.must("POST", "/api/repos/"+name+"/file/"+name, "") })
	publish := fmt.Sprintf(`{"SourceKind":"local","Distribution":%q,"Architectures":["amd64"],"Sources":[{"Name":%[1]q}]}`, name)
	p.counted("first publish of 100", func() { p.must("POST", "/api/publish", publish) })
	must(apt.Tree{Fetch: p.fetch}.Verify(t.Context(), name))
	p.counted("upload of 1", func() { must(p.upload(name, spec(5000))) })
	p.counted("import of 1", func() { p.must("POST", "/api/repos/"+name+"/file/"+name, "") })
	p.counted("publish of 1", func() { p.must("PUT", "/api/publish/:./"+name, "{}") })
	must(apt.Tree{Fetch: p.fetch}.Verify(t.Context(), name))
	packages, err := p.fetch(t.Context(), "dists/"+name+"/main/binary-amd64/Packages")
	must(err)
	if n := bytes.Count(packages, []byte("Package: pkg")); n != 101 {
		t.Errorf("%d packages are published, want 101", n)
	}
}

// TestParallelImports has many clients upload and import into one repository at once. No
// package is lost.
func TestParallelImports(t *testing.T) {
	t.Parallel()
	clients := 200
	if testing.Short() {
		clients = 40
	}
	p := serve(t)
	name := fmt.Sprint("parallel", time.Now().UnixNano())
	p.must("POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, name))
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			dir := fmt.Sprintf("%s-%d", name, c)
			err := p.upload(dir, debtest.Spec{Package: fmt.Sprintf("pkg%d", c), Version: "1.0"})
			if err == nil {
				_, err = p.do("POST", "/api/repos/"+name+"/file/"+dir, "", nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/repos/"+name+"/packages", ""), &keys); err != nil || len(keys) != clients {
		t.Errorf("%d packages, %v, want %d", len(keys), err, clients)
	}
}

package readers

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/api"
	"aptless/core/front/app"
	"aptless/tests/cache"
)

var (
	publishes = flag.Int("publishes", 0, "number of publications; 0 is 300, with -short 120")
	seed      = flag.Uint64("seed", 1, "of the run")
)

// world is a publisher, its storage, and its readers.
type world struct {
	t       *testing.T
	random  *rand.Rand
	signer  pgp.Signer
	env     *drivertest.Env
	app     *app.App
	process context.Context // belongs to the living publisher
	readers []*reader
	deaths  int
	turning sync.Mutex // a reader is running: its requests start no other reader
}

// turn lets some readers send a request.
func (w *world) turn() {
	if !w.turning.TryLock() {
		return
	}
	defer w.turning.Unlock()
	for _, r := range w.readers {
		if w.random.IntN(40) == 0 {
			r.step()
		}
	}
}

// start starts a publisher on the storage of the last one. It dies after a random number of
// calls.
func (w *world) start() {
	plan := drivertest.Fault{Call: 1 + w.random.IntN(4000), When: drivertest.When(w.random.IntN(3)), Die: true}
	if w.env == nil {
		w.env = drivertest.NewEnv(plan)
	} else {
		w.env = w.env.Restart(plan)
		w.deaths++
	}
	env := w.env
	w.process, _ = env.Faults.Context(w.t.Context())
	a, err := app.New(w.process, app.Drivers{Blobs: turns{env.Blobs, w.turn}, Table: env.Table, Queue: env.Queue}, w.signer, app.Config{
		Version: "test", Log: slog.New(slog.DiscardHandler), Now: env.Clock.Now, Wait: time.Hour,
		Sleep: func(_ context.Context, d time.Duration) error { env.Clock.Advance(d); return nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.app = a
}

var errDied = errors.New("the publisher died")

// do sends a request and runs its task. After a death the next publisher finishes the
// task.
func (w *world) do(method, path, media string, body []byte) (int, error) {
	r := httptest.NewRequestWithContext(w.process, method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", media)
	answer := httptest.NewRecorder()
	w.app.Handler.ServeHTTP(answer, r)
	err := w.env.Drain(w.process, w.app.Dispatcher.Handle)
	if !w.env.Faults.Dead() {
		return answer.Code, err
	}
	for {
		w.start()
		err := errors.Join(w.app.Dispatcher.Resend(w.process, true), w.env.Drain(w.process, w.app.Dispatcher.Handle))
		if !w.env.Faults.Dead() {
			return 0, errors.Join(errDied, err)
		}
	}
}

// must repeats a request until a living publisher has answered it or its effect is there.
func (w *world) must(method, path, media string, body []byte) {
	w.t.Helper()
	for {
		code, err := w.do(method, path, media, body)
		if errors.Is(err, errDied) {
			continue
		}
		if err != nil || code != http.StatusOK && code != http.StatusAccepted && code != http.StatusConflict && code != http.StatusBadRequest {
			w.t.Fatalf("%s %s: %d, %v", method, path, code, err)
		}
		return
	}
}

func (w *world) json(method, path, body string) {
	w.t.Helper()
	w.must(method, path+"?_async=1", "application/json", []byte(body))
}

// publish publishes a version of the probe.
func (w *world) publish(version int) {
	w.t.Helper()
	w.add(version)
	w.json("PUT", "/api/publish/:./stable", "{}")
}

// add puts a version of the probe into the repository.
func (w *world) add(version int) {
	w.t.Helper()
	spec := debtest.Spec{Package: "probe", Version: fmt.Sprint(version), Architecture: "amd64", Compression: "none"}
	var form bytes.Buffer
	f := multipart.NewWriter(&form)
	part, err := f.CreateFormFile("file", debtest.FileName(spec))
	if err != nil {
		w.t.Fatal(err)
	}
	part.Write(debtest.Deb(spec))
	f.Close()
	w.must("POST", "/api/files/in", f.FormDataContentType(), form.Bytes())
	w.json("POST", "/api/repos/r/file/in", "")
}

// quiet is the number of turns of readers between two publications. A publication has about
// as many calls.
const quiet = 40

// TestReaders holds that readers by hash never fail and that no reader goes back.
func TestReaders(t *testing.T) {
	n := *publishes
	switch {
	case n == 0 && testing.Short():
		n = 120
	case n == 0:
		n = 300
	}
	w := newWorld(t)
	w.json("POST", "/api/repos", `{"Name":"r"}`)
	w.publishFirst()
	last := 0
	for version := 2; version <= n; version++ {
		for range quiet {
			w.env.Clock.Advance(time.Duration(w.random.IntN(9)) * time.Second)
			w.turn()
		}
		w.publish(version)
		if version%50 == 0 { // removes old versions, like a repository of replaced packages
			w.trim(last, version-2)
			last = version - 2
		}
	}
	w.report(n)
}

func newWorld(t *testing.T) *world {
	key, err := pgp.Generate("Archive", "archive@example.org", pgp.Ed25519, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := pgp.NewKeyring(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, random: rand.New(rand.NewPCG(*seed, 2)), signer: signer}
	// Readers read from the storage, as on AWS, and not from a dying publisher.
	origin := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		tree := api.Tree{Blobs: w.env.Memory.Blobs, Log: slog.New(slog.DiscardHandler)}
		tree.ServeHTTP(out, r)
	})
	now := func() time.Time { return w.env.Clock.Now() }
	for _, cached := range []bool{false, true} {
		from := &cache.Cache{Origin: origin, Now: now, Off: !cached}
		for _, byHash := range []bool{false, true} {
			for _, warm := range []bool{false, true} {
				name := fmt.Sprintf("by-hash %t, warm %t, proxy %t", byHash, warm, cached)
				w.readers = append(w.readers, &reader{name: name, from: from, byHash: byHash, warm: warm, ring: ring})
			}
		}
	}
	w.start()
	return w
}

// publishFirst makes the publication before the first reader.
func (w *world) publishFirst() {
	readers := w.readers
	w.readers = nil
	w.add(1)
	w.json("POST", "/api/publish", `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"SkipContents":true,"Sources":[{"Name":"r"}]}`)
	w.readers = readers
}

// trim removes the versions of the probe in a range.
func (w *world) trim(after, upTo int) {
	query := fmt.Sprintf(`/api/repos/r/packages?q=probe%%20(%%3E%%3E%%20%d)%%2Cprobe%%20(%%3C%%3D%%20%d)`, after, upTo)
	r := httptest.NewRequestWithContext(w.process, "GET", query, nil)
	answer := httptest.NewRecorder()
	w.app.Handler.ServeHTTP(answer, r)
	if answer.Code == http.StatusOK { // otherwise the publisher died; a later call removes them
		w.json("DELETE", "/api/repos/r/packages", `{"PackageRefs":`+answer.Body.String()+`}`)
	}
}

// report logs the results of the readers.
func (w *world) report(n int) {
	var plain, plainFailures int
	for _, r := range w.readers {
		w.t.Logf("%-40s %6d updates, %d failed, version %d", r.name, r.updates, len(r.failures), r.version)
		if r.updates == 0 || r.version < n/2 {
			w.t.Errorf("%s has hardly read", r.name)
		}
		for _, back := range r.back {
			w.t.Errorf("went back: %s", back)
		}
		if !r.byHash {
			plain, plainFailures = plain+r.updates, plainFailures+len(r.failures)
			continue
		}
		for _, failure := range r.failures {
			w.t.Error(failure)
		}
	}
	w.t.Logf("%d publications, %d publishers died; of %d updates by plain names %d failed", n, w.deaths, plain, plainFailures)
	if w.deaths == 0 {
		w.t.Error("no publisher died")
	}
}

// turns runs readers before each call of the storage.
type turns struct {
	driver.Blobs
	turn func()
}

func (b turns) Stat(ctx context.Context, key string) (driver.Info, error) {
	b.turn()
	return b.Blobs.Stat(ctx, key)
}

func (b turns) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	b.turn()
	return b.Blobs.Put(ctx, key, r, opt)
}

func (b turns) Copy(ctx context.Context, dst, src string, opt driver.PutOptions) (driver.Info, error) {
	b.turn()
	return b.Blobs.Copy(ctx, dst, src, opt)
}

func (b turns) Delete(ctx context.Context, keys ...string) error {
	b.turn()
	return b.Blobs.Delete(ctx, keys...)
}

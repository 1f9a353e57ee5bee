package tests

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http/httptest"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/infra/embedded"
)

// BenchmarkOneChange measures a publication after one more package, at several sizes, with
// and without Contents. It also measures a switch and a rollback between snapshots that
// differ by one package. It reports time, calls of the ports, objects and bytes written,
// and the peak resident size. It runs on embedded storage, in this process, with packages
// of 20 files each.
func BenchmarkOneChange(b *testing.B) {
	fmt.Printf("%8s  %-26s %9s %7s %8s %9s %9s\n", "packages", "", "ms", "calls", "objects", "MB put", "peak MiB")
	for _, n := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				oneChange(b, n)
			}
		})
	}
}

// bench is aptless on embedded storage with measured requests.
type bench struct {
	b       *testing.B
	n       int
	store   *embedded.Store
	written *writes
	app     *app.App
}

func newBench(b *testing.B, n int) *bench {
	store, err := embedded.Open(b.TempDir(), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	key, err := pgp.Generate("Bench", "bench@example.org", pgp.RSA3072, time.Now().Add(-time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &bench{b: b, n: n, store: store, written: &writes{Blobs: store.Blobs}}
	m.app, err = app.New(ctx, app.Drivers{Blobs: m.written, Table: store.Table, Queue: store.Queue}, signer,
		app.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() { store.Queue.Serve(ctx, m.app.Dispatcher.Handle); close(served) }()
	b.Cleanup(func() { stop(); <-served; store.Close() })
	return m
}

func (m *bench) send(method, path, contentType string, body []byte) {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	m.app.Handler.ServeHTTP(w, r)
	if w.Code >= 400 {
		m.b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

func (m *bench) json(method, path, body string) {
	m.send(method, path, "application/json", []byte(body))
}

// measured sends a request and prints its measurements.
func (m *bench) measured(name, method, path, body string) {
	time.Sleep(1100 * time.Millisecond) // publications are a second apart; this wait is not measured
	resetPeak()
	before, put, began := m.store.Counts(), m.written.bytes.Load(), time.Now()
	m.json(method, path, body)
	took, after := time.Since(began), m.store.Counts()
	fmt.Printf("%8d  %-26s %9.1f %7d %8d %9.2f %9d\n", m.n, name, float64(took.Microseconds())/1000, calls(after)-calls(before),
		after.Put+after.Copy-before.Put-before.Copy, float64(m.written.bytes.Load()-put)/1e6, peak()>>10)
}

// fill uploads and imports the packages of a range of numbers.
func (m *bench) fill(from, to int) {
	const most = 500 // packages of one request
	for first := from; first < to; first += most {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for i := first; i < min(first+most, to); i++ {
			files := map[string]string{}
			for f := range 20 {
				files[fmt.Sprintf("usr/share/package-%05d/file-%02d", i, f)] = ""
			}
			spec := debtest.Spec{Package: fmt.Sprintf("package-%05d", i), Architecture: "amd64", Files: files, Compression: "gzip",
				Fields: map[string]string{"Depends": "libc6 (>= 2.36), base-files", "Homepage": "https://example.org/"}}
			part, err := w.CreateFormFile("file", debtest.FileName(spec))
			if err != nil {
				m.b.Fatal(err)
			}
			part.Write(debtest.Deb(spec))
		}
		w.Close()
		m.send("POST", "/api/files/d", w.FormDataContentType(), form.Bytes())
		m.json("POST", "/api/repos/r/file/d", "")
	}
}

func oneChange(b *testing.B, n int) {
	m := newBench(b, n)
	m.json("POST", "/api/repos", `{"Name":"r"}`)
	m.fill(0, n)
	m.json("POST", "/api/repos/r/snapshots", `{"Name":"before"}`)
	const local = `{"SourceKind":"local","Distribution":"x","Sources":[{"Name":"r"}],"SkipContents":%t}`
	m.json("POST", "/api/publish/with", fmt.Sprintf(local, false))
	m.json("POST", "/api/publish/without", fmt.Sprintf(local, true))
	m.json("POST", "/api/publish/snap", `{"SourceKind":"snapshot","Distribution":"x","Sources":[{"Name":"before"}]}`)
	m.fill(n, n+1)
	m.json("POST", "/api/repos/r/snapshots", `{"Name":"after"}`)
	m.measured("one more, with Contents", "PUT", "/api/publish/with/x", "{}")
	m.measured("one more, without", "PUT", "/api/publish/without/x", "{}")
	m.measured("nothing new", "PUT", "/api/publish/with/x", "{}")
	m.json("PUT", "/api/publish/snap/x", `{"Snapshots":[{"Name":"after","Component":"main"}]}`)
	m.measured("switch to a former list", "PUT", "/api/publish/snap/x", `{"Snapshots":[{"Name":"before","Component":"main"}]}`)
	m.measured("rollback", "POST", "/api/publish/snap/x/rollback", `{"Generation":2}`)
}

package tests

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"aptless/core/app"
	"aptless/core/pgp"
	"aptless/infra/embedded"
)

// generator is where the workload generator is, beside the checkout.
const generator = "../../shared/bench"

// workload makes n packages of the series, after the first skip.
func workload(b *testing.B, skip, n int) []string {
	if _, err := os.Stat(generator); err != nil {
		b.Skip("the workload generator is not beside the checkout (../shared/bench)")
	}
	dir := b.TempDir()
	bin, err := filepath.Abs(filepath.Join(dir, "debgen"))
	if err != nil {
		b.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = generator
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(bin, "debs", "-out", dir+"/debs", "-n", fmt.Sprint(n), "-skip", fmt.Sprint(skip)).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	files, err := filepath.Glob(dir + "/debs/*.deb")
	if err != nil {
		b.Fatal(err)
	}
	return files
}

// BenchmarkMainJob measures upload, import, the first publication and the one
// after one more package, on embedded storage in this process.
func BenchmarkMainJob(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			files, more := workload(b, 0, n), workload(b, n, 1)
			for b.Loop() {
				mainJob(b, files, more)
			}
		})
	}
}

func mainJob(b *testing.B, files, more []string) {
	store, err := embedded.Open(b.TempDir(), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	key, err := pgp.Generate("Bench", "bench@example.org", pgp.RSA3072, time.Now().Add(-time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	signer, err := pgp.NewSigner(key)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.New(ctx, app.Drivers{Blobs: store.Blobs, Table: store.Table, Queue: store.Queue}, signer,
		app.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() { store.Queue.Serve(ctx, a.Dispatcher.Handle); close(served) }()
	defer func() { stop(); <-served }()
	step := func(name, method, path, contentType string, body []byte) {
		before, began := store.Counts(), time.Now()
		r := httptest.NewRequest(method, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		a.Handler.ServeHTTP(w, r)
		if w.Code >= 400 {
			b.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		b.Logf("%-22s %8.1f ms  heap %4d MiB  %+v -> %+v", name, float64(time.Since(began).Microseconds())/1000, mem.HeapSys>>20, before, store.Counts())
	}
	const js = "application/json"
	step("create", "POST", "/api/repos", js, []byte(`{"Name":"r"}`))
	upload := func(name string, files []string) {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				b.Fatal(err)
			}
			part, _ := w.CreateFormFile("file", filepath.Base(f))
			part.Write(data)
		}
		w.Close()
		step(name, "POST", "/api/files/d", w.FormDataContentType(), form.Bytes())
	}
	for i := 0; i < len(files); i += 1000 {
		upload(fmt.Sprintf("upload %d", i), files[i:min(i+1000, len(files))])
	}
	step("import", "POST", "/api/repos/r/file/d", "", nil)
	step("publish", "POST", "/api/publish", js, []byte(`{"SourceKind":"local","Distribution":"s","Sources":[{"Name":"r"}]}`))
	upload("upload one more", more)
	step("import one more", "POST", "/api/repos/r/file/d", "", nil)
	time.Sleep(1100 * time.Millisecond) // two publications are a second apart; the wait is not what is measured
	step("publish one more", "PUT", "/api/publish/:./s", js, []byte(`{}`))
	time.Sleep(1100 * time.Millisecond)
	step("publish no change", "PUT", "/api/publish/:./s", js, []byte(`{}`))
}

package tests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/formats/pgp"
	"aptless/core/front/app"
	"aptless/infra/embedded"
)

// generator is the folder of the workload generator, beside the checkout.
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

// BenchmarkMainJob measures upload, import, the first publication and the next one after
// one more package, on embedded storage in this process. It reports time, calls of the
// ports, bytes put and the peak resident size, which includes the test's own packages.
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
	written := &writes{Blobs: store.Blobs}
	a, err := app.New(ctx, app.Drivers{Blobs: written, Table: store.Table, Queue: store.Queue}, signer,
		app.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() { store.Queue.Serve(ctx, a.Dispatcher.Handle); close(served) }()
	defer func() { stop(); <-served }()
	fmt.Printf("%d packages\n%-20s %10s %9s %9s %10s\n", len(files), "", "ms", "calls", "MB put", "peak MiB")
	step := func(name, method, path, contentType string, body []byte) {
		resetPeak()
		before, bytesBefore, began := calls(store.Counts()), written.bytes.Load(), time.Now()
		r := httptest.NewRequest(method, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		a.Handler.ServeHTTP(w, r)
		if w.Code >= 400 {
			b.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		fmt.Printf("%-20s %10.1f %9d %9.2f %10d\n", name, float64(time.Since(began).Microseconds())/1000,
			calls(store.Counts())-before, float64(written.bytes.Load()-bytesBefore)/1e6, peak()>>10)
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
	time.Sleep(1100 * time.Millisecond) // publications are a second apart; this wait is not measured
	step("publish one more", "PUT", "/api/publish/:./s", js, []byte(`{}`))
	time.Sleep(1100 * time.Millisecond)
	step("publish no change", "PUT", "/api/publish/:./s", js, []byte(`{}`))
}

// writes counts the bytes that are put. Copies count 0.
type writes struct {
	driver.Blobs
	bytes atomic.Int64
}

func (w *writes) Put(ctx context.Context, key string, r io.Reader, opt driver.PutOptions) (driver.Info, error) {
	info, err := w.Blobs.Put(ctx, key, r, opt)
	w.bytes.Add(info.Size)
	return info, err
}

// calls returns the number of calls of the ports except the queue.
func calls(c embedded.Counts) int64 {
	return c.Open + c.Stat + c.Put + c.Copy + c.List + c.Delete + c.RowGet + c.RowScan + c.RowWrite + c.RowPut + c.Add
}

// resetPeak resets the peak, if the system supports it (proc(5), clear_refs).
func resetPeak() {
	runtime.GC()
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // otherwise the peak is that of the whole process
}

// peak returns the peak resident size in KiB, or 0 if unknown.
func peak() (kib int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(after, &kib)
	return kib
}

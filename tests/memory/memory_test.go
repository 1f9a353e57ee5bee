package memory

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"aptless/core/engine/parallel"
	"aptless/core/front/app"
	"aptless/core/front/app/apptest"
	"aptless/infra/embedded"
)

// limit is the memory limit of the process in bytes, also for GOMEMLIMIT.
const limit = app.DefaultMemory

// TestMemoryStaysBelowTheLimit uploads files that unpack to much more than the memory. It
// imports them concurrently and publishes them with Contents.
func TestMemoryStaysBelowTheLimit(t *testing.T) {
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := apptest.New(t, app.Drivers{Blobs: store.Blobs, Table: store.Table, Queue: store.Queue}, func(c *app.Config) { c.Memory = limit })
	p.Serve(t, func(ctx context.Context) { store.Queue.Serve(ctx, p.Dispatcher.Handle) })

	many, releases, paths := 50, 2000, 1_000_000
	if testing.Short() {
		many, releases, paths = 10, 200, 100_000
	}
	var imports []string
	add := func(dir, how string, files map[string][]byte) {
		for i := 0; len(files) > 0; i++ {
			some := map[string][]byte{}
			for name, data := range files {
				if some[name] = data; len(some) == 100 {
					break
				}
			}
			for name := range some {
				delete(files, name)
			}
			p.MustUpload(t, dir, some)
		}
		p.Must(t, "POST", "/api/repos", fmt.Sprintf(`{"Name":%q}`, dir), nil)
		imports = append(imports, "/api/repos/"+dir+how)
	}
	// Three files, 9 MB together, have a million paths of 230 bytes each.
	huge, data := map[string][]byte{}, archive(paths, 230)
	for i := range 3 {
		name := fmt.Sprint("huge", i)
		huge[name+"_1_amd64.deb"] = packed(name, data)
	}
	add("huge", "/file/huge", huge)
	// Fifty files have 32 MB of paths each, half of the limit. They are in five directories
	// that are imported concurrently.
	data = archive(8_000, 4_000)
	for d := range 5 {
		files := map[string][]byte{}
		for i := range many / 5 {
			name := fmt.Sprintf("large%d-%d", d, i)
			files[name+"_1_amd64.deb"] = packed(name, data)
		}
		add(fmt.Sprint("large", d), fmt.Sprint("/file/large", d), files)
	}
	// Release files, a few of the largest accepted size.
	changes := map[string][]byte{}
	for i := range releases {
		size := 2 << 10
		if i%(releases/16) == 0 {
			size = 15 << 20
		}
		changes[fmt.Sprintf("r%d.changes", i)] = release(i, size)
	}
	add("releases", "/include/releases?acceptUnsigned=1&ignoreSignature=1", changes)
	huge, changes, data = nil, nil, nil

	debug.FreeOSMemory()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	peak := watch(t)
	err = parallel.Each(t.Context(), len(imports), len(imports), func(_ context.Context, i int) error {
		code, answer := p.Ask(t, "POST", imports[i], "")
		if code != 200 {
			return fmt.Errorf("%s: %d %.500s", imports[i], code, answer)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("imports: peak %d MiB of %d", peak()>>20, limit>>20)
	if code, answer := p.Ask(t, "POST", "/api/publish/p", `{"SourceKind":"local","Sources":[{"Name":"large0"}],"Distribution":"d"}`); code != 201 {
		t.Errorf("publish: %d %.500s", code, answer)
	}
	t.Logf("a publication with Contents: peak %d MiB of %d", peak()>>20, limit>>20)
	if most := peak(); most > limit {
		t.Errorf("the process took %d MiB, more than its %d", most>>20, limit>>20)
	}
}

// watch samples the memory that the runtime's limit counts: all memory except released
// memory. The returned function returns the peak.
func watch(t *testing.T) func() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	most := make(chan uint64, 1)
	most <- 0
	sample := func() uint64 {
		m := <-most
		metrics.Read(samples)
		m = max(m, samples[0].Value.Uint64()-samples[1].Value.Uint64())
		most <- m
		return m
	}
	stop := make(chan struct{})
	stopped := parallel.Start(func() (struct{}, error) {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return struct{}{}, nil
			case <-ticker.C:
				sample()
			}
		}
	})
	t.Cleanup(func() { close(stop); stopped.Result(); runtime.GC() })
	return sample
}

// archive returns a data.tar.zst with count paths of length bytes.
func archive(paths, length int) []byte {
	var data bytes.Buffer
	z, err := zstd.NewWriter(&data, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err) // impossible: the options are constant
	}
	header := &tar.Header{Mode: 0o644, Format: tar.FormatUSTAR}
	folder := "./" + strings.Repeat("d", 90) + "/" + strings.Repeat("e", 60) + "/"
	if length > 250 {
		header.Format, folder = tar.FormatGNU, "./"+strings.Repeat(strings.Repeat("d", 90)+"/", length/91-1)
	}
	w := tar.NewWriter(z)
	for i := range paths {
		header.Name = folder + fmt.Sprintf("%0*d", length-len(folder)+2, i)
		if err := w.WriteHeader(header); err != nil {
			panic(err)
		}
	}
	w.Close()
	z.Close()
	return data.Bytes()
}

// packed returns a .deb with a data.tar.zst.
func packed(name string, data []byte) []byte {
	var control bytes.Buffer
	w := tar.NewWriter(&control)
	text := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: d\n", name)
	w.WriteHeader(&tar.Header{Name: "./control", Size: int64(len(text)), Mode: 0o644})
	io.WriteString(w, text)
	w.Close()
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar", control.Bytes()}, {"data.tar.zst", data}} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
		if len(m.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// release returns a .changes of about size bytes, without files.
func release(n, size int) []byte {
	head := fmt.Sprintf("Format: 1.8\nSource: s%d\nBinary: s%d\nArchitecture: source\nVersion: 1\nDistribution: d\nMaintainer: A <a@example.org>\nFiles:\nChanges:\n", n, n)
	line := " " + strings.Repeat("x", 98) + "\n"
	return []byte(head + strings.Repeat(line, size/len(line)))
}

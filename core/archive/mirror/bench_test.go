package mirror_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/front/app/apptest"
)

// manyPackages makes an archive of n packages with one shared file, so that the
// benchmark leaves out the network. Some are new, all over the index.
func manyPackages(w *apptest.Mirroring, n, fresh int, date string) upstreamtest.Tree {
	data := debtest.Deb(debtest.Spec{})
	h := deb.NewHasher()
	h.Write(data)
	f := h.File("")
	var index bytes.Buffer
	for i := range n {
		version := "1.0-1"
		if fresh > 0 && i%(n/fresh) == 0 {
			version = "1.1-1"
		}
		fmt.Fprintf(&index, "Package: package%d\nVersion: %s\nArchitecture: amd64\nMaintainer: Some Body <somebody@example.org>\nInstalled-Size: 1234\n"+
			"Depends: libc6 (>= 2.36), package%d, package%d (>= 1.0) | package%d\nSection: misc\nPriority: optional\n"+
			"Description: the package of the number %[1]d, which has a line of text of a usual length\nDescription-md5: 0123456789abcdef0123456789abcdef\n"+
			"Tag: role::program, interface::commandline, scope::utility, use::testing\nFilename: pool/main/p/package%[1]d/package%[1]d_%[2]s_amd64.deb\n"+
			"Size: %[6]d\nMD5sum: %[7]s\nSHA256: %[8]s\n\n", i, version, i/2, i/3, i/5, f.Size, f.MD5, f.SHA256)
	}
	packed := upstreamtest.Compress(index.Bytes(), ".gz")
	tree := upstreamtest.Build(upstreamtest.Spec{
		Signer: w.Signer, At: apptest.SigningTime.Add(time.Hour), Components: map[string]upstreamtest.Component{"main": {}},
		Fields: map[string]string{"Date": date},
		Extra:  map[string][]byte{"main/binary-amd64/Packages.gz": packed, "main/binary-amd64/Packages": index.Bytes()},
	})
	for i := range n {
		for _, version := range []string{"1.0-1", "1.1-1"} {
			tree[fmt.Sprintf("pool/main/p/package%d/package%d_%s_amd64.deb", i, i, version)] = data
		}
	}
	return tree
}

// BenchmarkMirror updates a mirror of 60,000 packages for the first time, then
// with 100 new ones. It reports the peak of the memory.
func BenchmarkMirror(b *testing.B) {
	w := &apptest.Mirroring{Signer: apptest.Signer(b)}
	first := manyPackages(w, 60_000, 0, "Sat, 11 Jul 2026 10:16:37 UTC")
	second := manyPackages(w, 60_000, 100, "Sun, 12 Jul 2026 10:16:37 UTC")
	w.Server = upstreamtest.Serve(apptest.UpstreamRoot, first)
	w.Now, w.Before = first, first
	env := drivertest.NewEnv()
	p, err := w.Start(b.Context(), env)
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"Name":"m","ArchiveURL":"` + apptest.UpstreamRoot + `","Distribution":"stable","IgnoreSignatures":true}`)
	if _, err := p.Do("POST", "/api/mirrors", "application/json", body); err != nil {
		b.Fatal(err)
	}
	for _, step := range []struct {
		name string
		tree upstreamtest.Tree
	}{{"first", first}, {"second", second}} {
		w.Server.Set(step.tree)
		done, most := make(chan struct{}), make(chan uint64)
		go func() {
			var peak uint64
			for {
				select {
				case <-done:
					most <- peak
					return
				case <-time.After(50 * time.Millisecond):
					var now runtime.MemStats
					runtime.ReadMemStats(&now)
					peak = max(peak, now.HeapInuse)
				}
			}
		}()
		began := time.Now()
		if err := p.Step("PUT", "/api/mirrors/m", `{"IgnoreSignatures":true}`); err != nil {
			b.Fatal(err)
		}
		close(done)
		b.ReportMetric(time.Since(began).Seconds(), step.name+"-s")
		b.ReportMetric(float64(<-most)/(1<<20), step.name+"-MiB")
		runtime.GC() // the archive and the storage remain
		var stored runtime.MemStats
		runtime.ReadMemStats(&stored)
		b.ReportMetric(float64(stored.HeapInuse)/(1<<20), step.name+"-stored-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMirrorChanged updates a mirror of 50,000 packages of which a hundredth has
// changed.
func BenchmarkMirrorChanged(b *testing.B) {
	w := &apptest.Mirroring{Signer: apptest.Signer(b)}
	const n = 50_000
	trees := []upstreamtest.Tree{manyPackages(w, n, 0, "Sat, 11 Jul 2026 10:16:37 UTC"), manyPackages(w, n, n/100, "Sun, 12 Jul 2026 10:16:37 UTC")}
	w.Server = upstreamtest.Serve(apptest.UpstreamRoot, trees[0])
	w.Now, w.Before = trees[0], trees[0]
	p, err := w.Start(b.Context(), drivertest.NewEnv())
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(`{"Name":"m","ArchiveURL":"` + apptest.UpstreamRoot + `","Distribution":"stable","IgnoreSignatures":true}`)
	if _, err := p.Do("POST", "/api/mirrors", "application/json", body); err != nil {
		b.Fatal(err)
	}
	update := func(i int) {
		w.Server.Set(trees[i%2])
		if err := p.Step("PUT", "/api/mirrors/m", `{"IgnoreSignatures":true,"IgnoreValidUntil":true}`); err != nil {
			b.Fatal(err)
		}
	}
	update(0)
	update(1)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		update(i)
	}
}

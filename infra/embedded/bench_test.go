package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"aptless/core/engine/driver"
)

// together has concurrent callers call f b.N times in all, and reports calls per second.
func together(b *testing.B, callers int, f func(i int) error) {
	b.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func BenchmarkPut(b *testing.B) {
	content := strings.Repeat("x", 2<<10)
	for _, folders := range []int{1, 64} {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("folders=%d/callers=%d", folders, callers), func(b *testing.B) {
				s := openTest(b, b.TempDir(), Options{})
				together(b, callers, func(i int) error {
					key := fmt.Sprintf("public/debian/pool/%02d/%d", i%folders, i)
					_, err := s.Blobs.Put(context.Background(), key, strings.NewReader(content), driver.PutOptions{})
					return err
				})
			})
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	const links = 1000 // copies of one object, fewer than a file system allows
	for i := range b.N/links + 1 {
		put(b, s, fmt.Sprintf("private/pool/%d", i), "x")
	}
	together(b, 8, func(i int) error {
		src, dst := fmt.Sprintf("private/pool/%d", i/links), fmt.Sprintf("public/%d/%d", i%64, i)
		_, err := s.Blobs.Copy(context.Background(), dst, src, driver.PutOptions{})
		return err
	})
}

// BenchmarkPublishFiles links files as a first publication does: each has a folder of its
// own, below one of 20 folders.
func BenchmarkPublishFiles(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	for i := range 1000 {
		put(b, s, fmt.Sprintf("private/pool/%02x/%d", i%256, i), "x")
	}
	ctx := driver.Lazily(context.Background())
	together(b, 16, func(i int) error {
		src, dst := fmt.Sprintf("private/pool/%02x/%d", i%1000%256, i%1000), fmt.Sprintf("public/pool/main/%02d/%d/%d.deb", i%20, i, i)
		_, err := s.Blobs.Copy(ctx, dst, src, driver.PutOptions{IfAbsent: true})
		return err
	})
}

func BenchmarkOpen(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	key := "public/debian/dists/sid/main/binary-amd64/Packages"
	put(b, s, key, strings.Repeat("x", 2<<10))
	together(b, 2, func(int) error {
		r, _, err := s.Blobs.Open(context.Background(), key, nil)
		if err != nil {
			return err
		}
		return r.Close()
	})
}

func BenchmarkStat(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	key := "public/debian/dists/sid/main/binary-amd64/Packages"
	put(b, s, key, "x")
	together(b, 2, func(int) error {
		_, err := s.Blobs.Stat(context.Background(), key)
		return err
	})
}

func BenchmarkWrite(b *testing.B) {
	data := make([]byte, 500)
	for _, callers := range []int{1, 16, 200} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openTest(b, b.TempDir(), Options{})
			together(b, callers, func(i int) error {
				_, err := s.Table.Write(context.Background(),
					driver.Op{Key: driver.Key{Part: "a", Sort: fmt.Sprint(i)}, Data: data},
					driver.Op{Key: driver.Key{Part: "b", Sort: fmt.Sprint(i)}, Data: data})
				return err
			})
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, callers := range []int{1, 16, 200} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openTest(b, b.TempDir(), Options{})
			together(b, callers, func(int) error {
				_, err := s.Table.Add(context.Background(), driver.Key{Part: "a", Sort: "b"}, 1)
				return err
			})
		})
	}
}

// fillTable stores rows like the rows of packages.
func fillTable(b *testing.B, s *Store, n int) {
	b.Helper()
	rows := make([]driver.Row, n)
	for i := range rows {
		rows[i] = driver.Row{Key: driver.Key{Part: "p", Sort: fmt.Sprintf("%08x", i*2654435761%(1<<32))}, Data: make([]byte, 1000)}
	}
	must(b, s.Table.Put(b.Context(), rows...))
}

func BenchmarkPutRows(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() { // with the removal of the file, as files would accumulate
		s, err := Open(dir, Options{})
		must(b, err)
		fillTable(b, s, 20_000)
		must(b, s.Close())
		must(b, os.Remove(filepath.Join(dir, tableFile)))
	}
}

func BenchmarkGet(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	fillTable(b, s, 20_000)
	together(b, 2, func(i int) error {
		_, err := s.Table.Get(context.Background(), driver.Key{Part: "p", Sort: fmt.Sprintf("%08x", i%20_000*2654435761%(1<<32))})
		return err
	})
}

func BenchmarkScan(b *testing.B) {
	s := openTest(b, b.TempDir(), Options{})
	fillTable(b, s, 20_000)
	for b.Loop() {
		n := 0
		for _, err := range s.Table.Scan(b.Context(), "p", "") {
			must(b, err)
			n++
		}
		if n != 20_000 {
			b.Fatalf("%d rows", n)
		}
	}
}

// BenchmarkOpenStore opens a table of 200,000 rows whose free pages are not stored.
func BenchmarkOpenStore(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	must(b, err)
	fillTable(b, s, 200_000)
	must(b, s.Close())
	for b.Loop() {
		s, err := Open(dir, Options{})
		must(b, err)
		must(b, s.Close())
	}
}

func BenchmarkQueue(b *testing.B) {
	q := newQueue(Options{Workers: defaultWorkers}, new(counters))
	ctx, cancel := context.WithCancel(b.Context())
	left := atomic.Int64{}
	left.Store(int64(b.N))
	for i := range b.N {
		must(b, q.Send(ctx, testMessage(fmt.Sprint(i%100), fmt.Sprint(i))))
	}
	b.ResetTimer()
	q.Serve(ctx, func(context.Context, driver.Message) (driver.Outcome, error) {
		if left.Add(-1) == 0 {
			cancel()
		}
		return driver.Outcome{}, nil
	})
}

package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver/drivertest"
	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

// discarded is a ResponseWriter that counts the bytes of an answer.
type discarded struct {
	header http.Header
	status int
	bytes  int64
}

func (d *discarded) Header() http.Header    { return d.header }
func (d *discarded) WriteHeader(status int) { d.status = status }
func (d *discarded) Write(p []byte) (int, error) {
	d.bytes += int64(len(p))
	return len(p), nil
}

// BenchmarkListing measures whole answers to requests for packages, including JSON.
func BenchmarkListing(b *testing.B) {
	for _, n := range []int{10_000, 50_000} {
		s := pkglist.Store{Chunks: &lists.Store{Blobs: drivertest.NewMemory(time.Now).Blobs, Epoch: func() int64 { return 1 }}}
		list, err := s.Open(b.Context(), pkglist.Ref{})
		if err != nil {
			b.Fatal(err)
		}
		edit := list.Edit()
		for i := range n {
			if err := edit.Add(&deb.Package{Name: fmt.Sprintf("lib%05d-%d", i/3, i%3), Version: fmt.Sprintf("%d.%d-1", i%7, i%10), Architecture: []string{"amd64", "all"}[i%2],
				Depends: []string{"libc6 (>= 2.36)", fmt.Sprintf("lib%05d-0", (i*31)%n/3)},
				Extra: map[string]string{"Section": []string{"libs", "net"}[i%2], "Maintainer": "Debian Maintainers <maintainers@example.org>",
					"Description": fmt.Sprintf(" library number %d\n It is the library with the number %d of this list.\n", i, i*7919)},
				Files: []deb.File{{Name: fmt.Sprintf("f%d.deb", i), Size: int64(i), SHA256: fmt.Sprintf("%064x", i)}}}); err != nil {
				b.Fatal(err)
			}
		}
		if list, err = edit.Apply(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		for _, query := range []string{"", "format=details", "q=lib01000-1", "q=Section+(net)", "q=lib01000-1&withDeps=1", "maximumVersion=1"} {
			b.Run(fmt.Sprintf("%d/%s", n, query), func(b *testing.B) {
				b.ReportAllocs()
				server := &Server{}
				for b.Loop() {
					w := &discarded{header: http.Header{}}
					r := httptest.NewRequestWithContext(b.Context(), "GET", "/?"+query, nil)
					if err := server.packages(w, r, list); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(w.bytes), "bytes")
				}
			})
		}
	}
}

package browser

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

var many = flag.Int("many", 60_000, "packages of BenchmarkPages")

// BenchmarkPages measures each page with a mirror of many packages, its snapshot and a
// publication. It reports the time to the last byte, the CPU time of the server and the
// size.
func BenchmarkPages(b *testing.B) {
	s := serve(b)
	a := archiveOf(b, *many, nil)
	s.mirror(b, "m", a.url+"/1")
	s.json(b, "PUT", "/api/mirrors/m", `{"IgnoreSignatures":true}`)
	s.json(b, "POST", "/api/mirrors/m/snapshots", `{"Name":"one"}`)
	s.json(b, "POST", "/api/repos", `{"Name":"empty"}`)
	s.json(b, "POST", "/api/repos/empty/snapshots", `{"Name":"none"}`)
	s.json(b, "POST", "/api/publish/:.", `{"SourceKind":"snapshot","Distribution":"stable","PoolLayout":"hash","Sources":[{"Name":"one"}]}`)
	var keys []string
	s.send(b, "GET", "/api/snapshots/one/packages?limit=1&q=tool00311", "", nil, &keys)
	for _, path := range []string{"/", "/-/d/-/stable", "/-/d/-/stable?q=tool003", "/-/p/-/stable/main/tool00311/1.0/amd64", "/-/search?q=tool003", "/dists/stable/main/",
		"/-/", "/-/repos", "/-/repos/empty", "/-/packages", "/-/packages?q=tool003", "/-/package/" + url.PathEscape(keys[0]), "/-/mirrors", "/-/mirrors/m", "/-/mirrors/m?q=tool003",
		"/-/snapshots", "/-/snapshots/one", "/-/compare?left=none&right=one", "/-/compare?left=none&right=one&name=tool003", "/-/publications", "/-/publications/-/stable", "/-/publications/-/stable/tree",
		"/-/tasks", "/-/graph", "/-/keys", "/-/storage"} {
		b.Run(path, func(b *testing.B) {
			before := s.cpu(b)
			for b.Loop() {
				status, _, page := s.try(b, "GET", path, "", nil)
				if status != http.StatusOK || len(page) > 150_000 {
					b.Fatalf("%d, %d bytes: %.300s", status, len(page), page)
				}
				b.ReportMetric(float64(len(page)), "bytes")
			}
			b.ReportMetric(float64(s.cpu(b)-before)/float64(b.N)*10, "cpu-ms/op")
		})
	}
}

// cpu returns the CPU time that the server has used, in hundredths of a second.
func (s *server) cpu(b *testing.B) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields, sum := strings.Fields(rest), 0
	for _, field := range fields[11:13] { // utime and stime, of proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return sum
}

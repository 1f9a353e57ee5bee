package browser

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"aptless/core/formats/deb/debtest"
)

// archive is an archive elsewhere, of many packages that share one file. It has two
// states, at the paths /1 and /2: all packages have another version in the second.
type archive struct {
	url    string
	server *httptest.Server
	file   []byte
	hold   chan bool // a download of the file waits for it, if it is not nil
}

// archiveOf starts an archive of n packages: tool00000 and so on.
func archiveOf(t testing.TB, n int, hold chan bool) *archive {
	t.Helper()
	a := &archive{file: debtest.Deb(debtest.Spec{Package: "tool", Version: "1.0"}), hold: hold}
	states := map[string]func() http.Handler{}
	for _, name := range []string{"1", "2"} {
		states[name] = sync.OnceValue(func() http.Handler { return a.state(n, name+".0") })
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if state := states[name]; state != nil {
			http.StripPrefix("/"+name, state()).ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	a.url, a.server = server.URL, server
	return a
}

// state returns the files of the archive when its packages have a version.
func (a *archive) state(n int, version string) http.Handler {
	var index, packed bytes.Buffer
	sum := sha256.Sum256(a.file)
	for i := range n {
		fmt.Fprintf(&index, "Package: tool%05d\nVersion: %s\nArchitecture: amd64\nMaintainer: Some Body <somebody@example.org>\nInstalled-Size: 12\n"+
			"Depends: libc6 (>= 2.36), tool%05d | tool%05d (>= 1.0)\nSection: misc\nPriority: optional\nDescription: tool of the number %d, for tests of long lists\n"+
			"Filename: pool/tool.deb\nSize: %d\nMD5sum: %x\nSHA256: %x\n\n", i, version, i/2, i/3, i, len(a.file), md5.Sum(a.file), sum)
	}
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(index.Bytes())
	zip.Close()
	release := fmt.Sprintf("Origin: Example\nSuite: stable\nCodename: stable\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n %x %d main/binary-amd64/Packages.gz\n",
		sha256.Sum256(packed.Bytes()), packed.Len())
	mux := http.NewServeMux()
	mux.HandleFunc("/dists/stable/Release", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(release)) })
	mux.HandleFunc("/dists/stable/main/binary-amd64/Packages.gz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(packed.Bytes()) })
	mux.HandleFunc("/pool/tool.deb", func(w http.ResponseWriter, _ *http.Request) {
		if a.hold != nil {
			<-a.hold
		}
		_, _ = w.Write(a.file)
	})
	return mux
}

// mirror makes a mirror of a state of the archive. It is not updated yet.
func (s *server) mirror(t testing.TB, name, url string) {
	t.Helper()
	s.json(t, "POST", "/api/mirrors", `{"Name":"`+name+`","ArchiveURL":"`+url+`/","Distribution":"stable","Components":["main"],"Architectures":["amd64"],"IgnoreSignatures":true}`)
}

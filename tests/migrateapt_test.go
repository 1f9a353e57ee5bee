package tests

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/tests/apt"
)

// keyed gives a server the secret key of an archive.
func (s *server) keyed(f *foreign) {
	s.t.Helper()
	s.kill()
	secret := f.run("gpg", "--batch", "--armor", "--pinentry-mode", "loopback", "--passphrase", "", "--export-secret-keys", f.key)
	s.must(os.WriteFile(filepath.Join(s.data, "signing-key.asc"), []byte(secret), 0o600))
	s.restart()
}

// TestAptGoesOnAfterOthers: archives of reprepro and apt-ftparchive move in, from the
// folder and from their address. A client that has read the old one updates at the same
// address without a warning, and installs. A flat archive gets a name.
func TestAptGoesOnAfterOthers(t *testing.T) {
	for name, build := range map[string]func(*foreign) string{"reprepro": reprepro, "ftparchive": ftparchive, "flat": flat} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForeign(t)
			suite := build(f)
			if name == "ftparchive" { // without both apt would see new ones
				data, err := os.ReadFile(filepath.Join(f.dir, "dists/trixie/Release"))
				if err != nil {
					t.Fatal(err)
				}
				f.write("dists/trixie/Release", append([]byte("Origin: Foreign\nLabel: Foreign\n"), data...))
				f.sign("dists/trixie")
			}
			m := &migrated{foreign: f}
			front := httptest.NewServer(m)
			t.Cleanup(front.Close)
			m.serve(http.FileServer(http.Dir(f.dir)))
			key := []byte(f.run("gpg", "--batch", "--armor", "--export", f.key))
			f.write("ring.asc", key)
			s := newServer(t)
			s.keyed(f)
			from, dist, extra := f.dir, suite, []string{"--keyring", filepath.Join(f.dir, "ring.asc")}
			if name == "flat" {
				dist, extra = strings.TrimSuffix(suite, "/")+"/", append(extra, "--as", "trixie")
			}
			if name == "ftparchive" {
				from = front.URL
			}
			var client *apt.Client
			if name != "flat" {
				client = apt.New(t, apt.Options{URL: front.URL, Suite: suite, SignedBy: key, Sources: true})
				s.must(client.Update(t.Context()).Err())
			}
			// apt keeps a Release whose date, of a second, is that of the new one.
			time.Sleep(2 * time.Second)
			args := append([]string{"migrate", "apt", from, "--dist", dist, "--url", s.url, "--work", filepath.Join(f.dir, "work")}, extra...)
			out, err := exec.Command(s.bin, args...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "1 publications made") {
				t.Fatalf("%v\n%s", err, out)
			}
			if out, err := exec.Command(s.bin, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "0 package files were sent, 0 publications made") {
				t.Errorf("again: %v\n%s", err, out)
			}
			to, err := url.Parse(s.url)
			s.must(err)
			m.serve(httputil.NewSingleHostReverseProxy(to))
			if client == nil {
				client = apt.New(t, apt.Options{URL: front.URL, Suite: "trixie", SignedBy: key})
			}
			if r := client.Update(t.Context()); r.Err() != nil || strings.Contains(r.Output, "W:") {
				t.Errorf("%v\n%s", r.Err(), r.Output)
			}
			if err := client.Download(t.Context(), "hello", "hello-data").Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDamagedArchiveMovesTheRest: a file that differs from its index is named. An index
// that differs from Release, and a Release by another key, end the command.
func TestDamagedArchiveMovesTheRest(t *testing.T) {
	f := newForeign(t)
	suite := ftparchive(f)
	s := newServer(t)
	f.write("ring.asc", []byte(f.run("gpg", "--batch", "--armor", "--export", f.key)))
	run := func(want string, more ...string) {
		t.Helper()
		out, err := exec.Command(s.bin, append([]string{"migrate", "apt", f.dir, "--dist", suite, "--url", s.url, "--work", filepath.Join(f.dir, "work")}, more...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v, want %q\n%s", err, want, out)
		}
	}
	own := []string{"--keyring", filepath.Join(f.dir, "ring.asc")}
	other := newForeign(t)
	other.write("ring.asc", []byte(other.run("gpg", "--batch", "--armor", "--export", other.key)))
	run("signature", "--keyring", filepath.Join(other.dir, "ring.asc"))
	run("--keyring names the keys")
	f.write("pool/main/hello-data_2.10-3_all.deb", []byte("!<arch>\nother"))
	run("hello-data_2.10-3_all: file", own...)
	var keys []string
	s.must(s.json("GET", "/api/repos/"+suite+"/packages", "", &keys))
	if len(keys) != len(all)-1 {
		t.Errorf("moved: %q", keys)
	}
	f.write("dists/"+suite+"/main/binary-amd64/Packages", []byte("Package: other\n"))
	run("its SHA-256 is not that in Release", own...)
}

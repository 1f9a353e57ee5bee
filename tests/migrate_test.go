package tests

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

// migrated is a root of aptly, with an address of its tree that leads elsewhere later.
type migrated struct {
	*foreign
	root, conf, url string
	second          string // fingerprint of the key that signs the prefix snap
	at              atomic.Pointer[http.Handler]
}

// ServeHTTP serves the tree of aptly, or of the server that has taken its place.
func (m *migrated) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*m.at.Load()).ServeHTTP(w, r) }

func (m *migrated) serve(h http.Handler) { m.at.Store(&h) }

// aptly runs commands of aptly, one a line.
func (m *migrated) aptly(lines ...string) {
	m.t.Helper()
	for _, line := range lines {
		m.run("aptly", append([]string{"-config=" + m.conf}, strings.Fields(line)...)...)
	}
}

// newMigrated makes a root with 5 repositories of n packages in all, 3 mirrors, 20
// snapshots and 8 publications.
func newMigrated(t *testing.T, n int) *migrated {
	t.Helper()
	m := &migrated{foreign: newForeign(t)}
	m.root, m.conf = filepath.Join(m.dir, "root"), filepath.Join(m.dir, "aptly.conf")
	m.write("aptly.conf", fmt.Appendf(nil, `{"rootDir":%q,"gpgDisableVerify":true}`, m.root))
	front := httptest.NewServer(m)
	t.Cleanup(front.Close)
	m.url = front.URL
	m.serve(http.FileServer(http.Dir(filepath.Join(m.root, "public"))))
	for repo := range 5 {
		for i := range n / 5 {
			spec := debtest.Spec{Package: fmt.Sprintf("p%d-%d", repo, i), Version: "1.0", Architecture: []string{"amd64", "all"}[i%2],
				Files: map[string]string{fmt.Sprintf("usr/share/p%d-%d/file", repo, i): strconv.Itoa(i)}, Compression: "none"}
			m.write(fmt.Sprintf("debs%d/%s", repo, debtest.FileName(spec)), debtest.Deb(spec))
		}
		for name, data := range debtest.Source(debtest.SourceSpec{Source: fmt.Sprintf("s%d", repo), Version: "1.0-1"}) {
			m.write(fmt.Sprintf("debs%d/%s", repo, name), data)
		}
		m.aptly(fmt.Sprintf("repo create -distribution=d%d -component=main r%d", repo, repo), fmt.Sprintf("repo add r%d debs%d", repo, repo))
	}
	m.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Second <second@example.org>", "rsa2048", "sign", "never")
	for line := range strings.Lines(m.run("gpg", "--batch", "--with-colons", "--list-keys", "second@example.org")) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			m.second = fields[9]
		}
	}
	sign, other := " -batch -gpg-key="+m.key+" ", " -batch -gpg-key="+m.second+" "
	m.aptly("publish repo" + sign + "-architectures=amd64,source r0")
	for i := range 3 {
		m.aptly(fmt.Sprintf("mirror create -with-sources -architectures=amd64 m%d %s d0 main", i, m.url), fmt.Sprintf("mirror update m%d", i), fmt.Sprintf("snapshot create ms%d from mirror m%d", i, i))
	}
	for i := range 5 {
		m.aptly(fmt.Sprintf("snapshot create rs%d from repo r%d", i, i), fmt.Sprintf("snapshot merge two%d rs%d ms0", i, i), fmt.Sprintf("snapshot filter two%d some%d p%d-1", i, i, i))
	}
	m.aptly("snapshot merge all rs0 rs1 rs2 rs3 rs4", "snapshot create none empty",
		"publish repo"+sign+"-distribution=multi -component=main,extra -architectures=amd64,source -acquire-by-hash r1 r2 team",
		"publish repo"+sign+"-architectures=amd64 -skip-contents r3 deep/er", "publish snapshot"+sign+"-distribution=frozen -architectures=amd64 -origin=O -label=L all",
		"publish snapshot"+other+"-distribution=s0 -architectures=amd64,source two0 snap", "publish snapshot"+other+"-distribution=s1 -architectures=amd64 -component=main,more some1 two2 snap",
		"publish snapshot"+other+"-distribution=s2 -architectures=amd64 -notautomatic=yes -butautomaticupgrades=yes rs4 snap", "publish snapshot"+sign+"-distribution=s3 -architectures=amd64 ms1 mirrored")
	return m
}

// TestAptGoesOnAfterAptly: a client has read aptly's tree. After the move it reads that
// of aptless at the same address, with the same key: one of two. Its indexes are equal, apt has no
// warning, and packages arrive. Then the client goes back to aptly.
func TestAptGoesOnAfterAptly(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("MIGRATE_PACKAGES"))
	m := newMigrated(t, max(n, 25))
	key := map[string]string{"": m.key, "/team": m.key, "/snap": m.second}
	secret := m.run("gpg", "--batch", "--armor", "--pinentry-mode", "loopback", "--passphrase", "", "--export-secret-keys", m.key, m.second)

	places := map[string][]string{"": {"d0", "main"}, "/team": {"multi", "main", "extra"}, "/snap": {"s1", "main", "more"}}
	clients := map[string]*apt.Client{}
	for prefix, p := range places {
		clients[prefix] = apt.New(t, apt.Options{URL: m.url + prefix, Suite: p[0], Components: p[1:], SignedBy: []byte(m.run("gpg", "--batch", "--armor", "--export", key[prefix]))})
		if err := clients[prefix].Update(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	before := clients["/team"].Lists(t)
	s := newServer(t)
	s.kill()
	if err := os.WriteFile(filepath.Join(s.data, "signing-key.asc"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s.restart()
	began := time.Now()
	cmd := exec.Command(s.bin, "migrate", "aptly", "--url", s.url, "--conf", m.conf, "--work", filepath.Join(m.dir, "work"), "--sample", "0", m.root)
	out, peak, err := peakOf(cmd)
	if err != nil || !strings.Contains(string(out), "8 publications made") || !strings.Contains(string(out), "The published trees are equal") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s\n%v, peak of the command %d MiB", out, time.Since(began).Round(time.Second), peak)
	if n > 0 {
		began = time.Now()
		again := exec.Command(s.bin, cmd.Args[1:]...)
		if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "0 package files were sent, 0 publications made") {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("again: %v", time.Since(began).Round(time.Second))
	}
	to, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	m.serve(httputil.NewSingleHostReverseProxy(to))
	update := func(when string) {
		t.Helper()
		for _, prefix := range slices.Sorted(maps.Keys(clients)) {
			r := clients[prefix].Update(t.Context())
			if r.Err() != nil || strings.Contains(r.Output, "W:") || strings.Contains(r.Output, "N:") {
				t.Errorf("%s, %s: %v\n%s", when, prefix, r.Err(), r.Output)
			}
		}
	}
	update("after the move")
	if err := clients["/team"].Download(t.Context(), "p1-1", "p2-2").Err(); err != nil {
		t.Error(err)
	}
	for name, data := range clients["/team"].Lists(t) {
		if strings.HasSuffix(name, "_Packages") && string(before[name]) != string(data) {
			t.Logf("%s has another order of fields", name)
		}
	}
	m.serve(http.FileServer(http.Dir(filepath.Join(m.root, "public"))))
	sign := " -batch -gpg-key=" + m.key + " "
	m.aptly("publish update"+sign+"d0", "publish update"+sign+"multi team", "publish switch -batch -gpg-key="+m.second+" -component=main,more s1 snap some1 two2")
	update("back at aptly")
}

// peakOf runs a command, and returns its output and its greatest memory in MiB as of its last
// 10 ms. The kernel's count at its end has the memory of this process, of which it is a copy.
func peakOf(cmd *exec.Cmd) (out []byte, mib int, err error) {
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	ended := make(chan error)
	go func() { ended <- cmd.Wait() }()
	kib := 0
	for {
		select {
		case err := <-ended:
			return b.Bytes(), kib >> 10, err
		case <-time.After(10 * time.Millisecond):
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			_, rest, found := strings.Cut(string(status), "\nVmHWM:")
			if !found { // the program has ended
				continue
			}
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				return b.Bytes(), 0, errors.Join(err, cmd.Process.Kill(), <-ended)
			}
		}
	}
}

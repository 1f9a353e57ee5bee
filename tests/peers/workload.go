package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// Packages of a workload besides its n first ones.
const additional = 20

// workload holds the packages and the key that all peers get.
type workload struct {
	n      int
	dir    string // has the folders all and more with the packages, and gnupg
	home   string // of gpg
	key    string // fingerprint
	secret []byte // the armored secret key
	public []byte // the armored public key

	// Two states of an archive. In the second one a hundredth of the packages,
	// at least one, have a new version.
	before, after upstreamtest.Tree
}

// newWorkload makes n packages, and an archive of n packages, below dir. Tiny packages have
// one file and no compression.
func newWorkload(dir string, n int, tiny bool) (*workload, error) {
	w := &workload{n: n, dir: dir, home: filepath.Join(dir, "gnupg")}
	if err := w.makeKey(); err != nil {
		return nil, err
	}
	keys, err := pgp.ParseSecretKeys(w.secret)
	if err != nil {
		return nil, err
	}
	signer, err := pgp.NewSigner(keys...)
	if err != nil {
		return nil, err
	}
	specs := series(0, n, "1.0-1", tiny)
	for _, set := range []struct {
		name  string
		specs []debtest.Spec
	}{{"all", specs}, {"more", series(n, additional, "1.0-1", tiny)}} {
		if err := write(filepath.Join(dir, set.name), set.specs); err != nil {
			return nil, err
		}
	}
	now := time.Now().UTC()
	archive := func(date time.Time, specs []debtest.Spec) upstreamtest.Tree {
		return upstreamtest.Build(upstreamtest.Spec{
			Components: map[string]upstreamtest.Component{"main": {Packages: specs}}, Architectures: architectures(),
			Fields: map[string]string{"Date": date.Format(time.RFC1123)}, Signer: signer, At: now,
		})
	}
	changed := max(1, n/100)
	w.before = archive(now.Add(-time.Hour), specs)
	w.after = archive(now, append(series(0, changed, "1.1-1", tiny), specs[changed:]...))
	return w, nil
}

func architectures() []string { return []string{"amd64", "arm64"} }

// series returns count packages after the first skip ones. Package number i depends
// on i and the version alone.
func series(skip, count int, version string, tiny bool) []debtest.Spec {
	specs := make([]debtest.Spec, count)
	for i := range specs {
		specs[i] = spec(skip+i, version)
		if tiny {
			specs[i].Files = map[string]string{"usr/share/doc/" + specs[i].Package + "/copyright": "public domain"}
			specs[i].Compression = "xz" // stored
		}
	}
	return specs
}

// spec returns package number i. Two of five packages are for amd64, two for arm64
// and one for all architectures.
func spec(i int, version string) debtest.Spec {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	name := packageName(i)
	files := map[string]string{}
	for f := range 5 + r.IntN(30) {
		files[fmt.Sprintf("usr/share/%s/%s/%s-%d", name, word(r), word(r), f)] = sentence(r, 3)
	}
	files["usr/share/doc/"+name+"/copyright"] = sentence(r, 40)
	return debtest.Spec{
		Package: name, Version: version, Architecture: []string{"amd64", "arm64", "amd64", "arm64", "all"}[i%5],
		Files: files, Compression: "packed xz",
		Fields: map[string]string{
			"Maintainer":     fmt.Sprintf("%s maintainers <%s@example.org>", word(r), word(r)),
			"Installed-Size": fmt.Sprint(20 + r.IntN(9000)),
			"Depends":        fmt.Sprintf("libc6 (>= 2.36), %s (>= 1.0)", packageName(r.IntN(i+1))),
			"Section":        []string{"libs", "net", "admin", "utils"}[r.IntN(4)],
			"Homepage":       "https://" + name + ".example.org/",
			"Description":    sentence(r, 5) + "\n " + sentence(r, 12) + "\n " + sentence(r, 12) + "\n .\n " + sentence(r, 10),
		},
	}
}

func packageName(i int) string {
	w := words()
	return fmt.Sprintf("%s-%s%d", w[i%len(w)], w[i/len(w)%len(w)], i)
}

func word(r *rand.Rand) string {
	w := words()
	return w[r.IntN(len(w))]
}

func sentence(r *rand.Rand, n int) string {
	chosen := make([]string, n)
	for i := range chosen {
		chosen[i] = word(r)
	}
	return strings.Join(chosen, " ")
}

// words returns the words of names and texts.
func words() [48]string {
	return [...]string{
		"amber", "archive", "buffer", "cedar", "codec", "copper", "delta", "driver",
		"echo", "editor", "falcon", "filter", "garnet", "graph", "harbor", "handler",
		"image", "indigo", "jasper", "journal", "kernel", "kestrel", "lattice", "logger",
		"maple", "meadow", "network", "nimbus", "object", "onyx", "parser", "pepper",
		"quartz", "query", "raven", "render", "saffron", "server", "table", "tundra",
		"umber", "upload", "velvet", "viewer", "widget", "willow", "yarrow", "zephyr",
	}
}

// write writes the packages to a new folder, on all processors.
func write(dir string, specs []debtest.Spec) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var next atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for at := range errs {
		wait.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(specs) && errs[at] == nil; i = next.Add(1) - 1 {
				errs[at] = os.WriteFile(filepath.Join(dir, debtest.FileName(specs[i])), debtest.Deb(specs[i]), 0o666)
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// makeKey makes a key in a new home of gpg. Verifiers of aptly read trustedkeys.gpg.
func (w *workload) makeKey() (err error) {
	if err := os.MkdirAll(w.home, 0o700); err != nil {
		return err
	}
	if _, err := w.gpg("--passphrase", "", "--quick-generate-key", "Benchmark <benchmark@example.org>", "rsa3072", "sign", "never"); err != nil {
		return err
	}
	if w.secret, err = w.gpg("--armor", "--export-secret-keys"); err != nil {
		return err
	}
	if w.public, err = w.gpg("--armor", "--export"); err != nil {
		return err
	}
	trusted, err := w.gpg("--export")
	if err != nil {
		return err
	}
	listed, err := w.gpg("--list-keys", "--with-colons")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(listed)) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" && len(fields) > 9 && w.key == "" {
			w.key = fields[9]
		}
	}
	return os.WriteFile(filepath.Join(w.home, "trustedkeys.gpg"), trusted, 0o600)
}

func (w *workload) gpg(args ...string) ([]byte, error) {
	cmd := exec.Command("gpg", append([]string{"--batch", "--quiet", "--homedir", w.home}, args...)...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("gpg: %w: %s", err, failed.Bytes())
	}
	return out.Bytes(), nil
}

// env returns the environment of the peers.
func (w *workload) env() []string {
	return append(os.Environ(), "GNUPGHOME="+w.home, "LC_ALL=C.UTF-8")
}

// close ends the agent that gpg has started for the home.
func (w *workload) close() {
	exec.Command("gpgconf", "--homedir", w.home, "--kill", "all").Run()
}

// files returns the paths of the packages in a folder of the workload, ascending.
func (w *workload) files(set string) ([]string, error) {
	return filepath.Glob(filepath.Join(w.dir, set, "*.deb"))
}

// upstream is a server of one of the two archives.
type upstream struct {
	*httptest.Server
	tree atomic.Pointer[upstreamtest.Tree]
}

// serve serves the first archive on a port of this host.
func (w *workload) serve() *upstream {
	u := &upstream{}
	u.tree.Store(&w.before)
	u.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data, ok := (*u.tree.Load())[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(data))
	}))
	return u
}

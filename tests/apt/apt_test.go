package apt

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// signer is a key in its own GnuPG home.
type signer struct {
	home string
	pub  []byte // armored
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	need(t, "gpg", "gpgconf")
	home, err := os.MkdirTemp("", "g") // short, because the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{home: home}
	t.Cleanup(func() {
		run(context.Background(), "", []string{"GNUPGHOME=" + home}, "gpgconf", "--kill", "all")
		os.RemoveAll(home)
	})
	s.gpg(t, "--passphrase", "", "--quick-generate-key", "Test <test@example.org>", "ed25519", "sign", "never")
	s.pub = []byte(s.gpg(t, "--armor", "--export"))
	return s
}

func (s *signer) gpg(t *testing.T, args ...string) string {
	t.Helper()
	r := run(t.Context(), s.home, []string{"GNUPGHOME=" + s.home, "HOME=" + s.home}, "gpg", append([]string{"--batch", "--quiet"}, args...)...)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return r.Output
}

// sign writes InRelease and Release.gpg beside Release.
func (s *signer) sign(t *testing.T, tree map[string][]byte, dists string) {
	t.Helper()
	in := filepath.Join(s.home, "Release")
	if err := os.WriteFile(in, tree[dists+"/Release"], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]string{"InRelease": "--clear-sign", "Release.gpg": "--detach-sign"} {
		out := filepath.Join(s.home, name)
		s.gpg(t, "--yes", "--armor", "--output", out, how, in)
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		tree[dists+"/"+name] = b
	}
}

// buildPool builds a package that depends on another, and a source package.
func buildPool(t *testing.T) (tree map[string][]byte, packages, sources string) {
	t.Helper()
	need(t, "dpkg-deb", "dpkg-scanpackages")
	dir := t.TempDir()
	for name, depends := range map[string]string{"alpha": "beta", "beta": ""} {
		root := filepath.Join(dir, "root-"+name)
		control := fmt.Sprintf("Package: %s\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: T <t@example.org>\nDescription: %s\n", name, name)
		if depends != "" {
			control += "Depends: " + depends + "\n"
		}
		if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "DEBIAN/control"), []byte(control), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "tree/pool"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), dir, nil, "dpkg-deb", "--root-owner-group", "-b", root, "tree/pool").Err(); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "Packages")
	if err := run(t.Context(), filepath.Join(dir, "tree"), nil, "sh", "-c", "dpkg-scanpackages -m pool 2>/dev/null >"+out).Err(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	tree = map[string][]byte{}
	for name, data := range readFiles(t, filepath.Join(dir, "tree/pool")) {
		tree["pool/"+name] = data
	}
	tar := compress(t, "not unpacked by anyone")
	dsc := fmt.Sprintf("Format: 1.0\nSource: alpha\nVersion: 1.0-1\nFiles:\n %x %d alpha_1.0-1.tar.gz\n", md5.Sum(tar), len(tar))
	tree["pool/alpha_1.0-1.tar.gz"], tree["pool/alpha_1.0-1.dsc"] = tar, []byte(dsc)
	sources = "Package: alpha\nFormat: 1.0\nBinary: alpha\nArchitecture: any\nVersion: 1.0-1\nDirectory: pool\n"
	for _, field := range []string{"Files", "Checksums-Sha256"} {
		sources += field + ":\n"
		for _, name := range []string{"alpha_1.0-1.dsc", "alpha_1.0-1.tar.gz"} {
			data := tree["pool/"+name]
			sum := fmt.Sprintf("%x", sha256.Sum256(data))
			if field == "Files" {
				sum = fmt.Sprintf("%x", md5.Sum(data))
			}
			sources += fmt.Sprintf(" %s %d %s\n", sum, len(data), name)
		}
	}
	return tree, string(b), sources + "\n"
}

func compress(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const dists = "dists/stable"

// publish writes the indexes, by name and by hash, and Release, into tree.
func publish(t *testing.T, tree map[string][]byte, indexes map[string]string) {
	t.Helper()
	var md5s, sha256s strings.Builder
	add := func(name string, b []byte) {
		m, s := md5.Sum(b), sha256.Sum256(b)
		fmt.Fprintf(&md5s, " %x %d %s\n", m, len(b), name)
		fmt.Fprintf(&sha256s, " %x %d %s\n", s, len(b), name)
		at := dists + "/" + name
		tree[at] = b
		tree[path.Dir(at)+"/by-hash/MD5Sum/"+hex.EncodeToString(m[:])] = b
		tree[path.Dir(at)+"/by-hash/SHA256/"+hex.EncodeToString(s[:])] = b
	}
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		add(name, []byte(indexes[name]))
		add(name+".gz", compress(t, indexes[name]))
	}
	tree[dists+"/Release"] = fmt.Appendf(nil, "Origin: test\nSuite: stable\nCodename: stable\nDate: %s\nArchitectures: amd64 source\nComponents: main\nAcquire-By-Hash: yes\nMD5Sum:\n%sSHA256:\n%s",
		time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"), md5s.String(), sha256s.String())
}

// repository builds a signed repository.
func repository(t *testing.T) (map[string][]byte, *signer) {
	t.Helper()
	tree, packages, sources := buildPool(t)
	publish(t, tree, map[string]string{"main/binary-amd64/Packages": packages, "main/source/Sources": sources})
	s := newSigner(t)
	s.sign(t, tree, dists)
	return tree, s
}

// serve serves the tree below /debian.
func serve(t *testing.T, tree map[string][]byte) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := tree[strings.TrimPrefix(r.URL.Path, "/debian/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/debian"
}

func mustRun(t *testing.T, r Result) {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestClient(t *testing.T) {
	tree, s := repository(t)
	url := serve(t, tree)
	no := false
	for name, opt := range map[string]Options{
		"list":         {SignedBy: s.pub, Sources: true},
		"sources":      {SignedBy: s.pub, Sources: true, Deb822: true, ByHash: &no},
		"trusted":      {Sources: true},
		"trusted 822":  {Sources: true, Deb822: true},
		"list no hash": {SignedBy: s.pub, Sources: true, ByHash: &no},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt.URL, opt.Suite = url, "stable"
			c := New(t, opt)
			mustRun(t, c.Update(t.Context()))
			mustRun(t, c.Download(t.Context(), "alpha"))
			mustRun(t, c.Install(t.Context(), "alpha"))
			mustRun(t, c.Source(t.Context(), "alpha"))
			if r := c.Policy(t.Context(), "alpha"); r.Code != 0 || !strings.Contains(r.Output, "Candidate: 1.0-1") {
				t.Errorf("policy: %d\n%s", r.Code, r.Output)
			}
			files := c.Files(t)
			for _, name := range []string{"alpha_1.0-1_amd64.deb", "alpha_1.0-1.dsc", "alpha_1.0-1.tar.gz"} {
				if !bytes.Equal(files[name], tree["pool/"+name]) {
					t.Errorf("%s was downloaded with %d bytes, not %d", name, len(files[name]), len(tree["pool/"+name]))
				}
			}
			if archives := c.Archives(t); len(archives) != 2 || !bytes.Equal(archives["beta_1.0-1_amd64.deb"], tree["pool/beta_1.0-1_amd64.deb"]) {
				t.Errorf("install fetched %v", slices.Sorted(maps.Keys(archives)))
			}
			if r := c.Download(t.Context(), "gamma"); r.Err() == nil {
				t.Errorf("a package that does not exist was downloaded:\n%s", r.Output)
			}
		})
	}
}

// TestTampering changes one file of a tree at a time. Both apt and Tree must detect it.
func TestTampering(t *testing.T) {
	tree, s := repository(t)
	other := newSigner(t)
	const deb = "pool/alpha_1.0-1_amd64.deb"
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }
	packages := []string{dists + "/main/binary-amd64/Packages.gz", dists + "/main/binary-amd64/Packages"}
	for name := range tree {
		if strings.HasPrefix(name, dists+"/main/binary-amd64/by-hash/") {
			packages = append(packages, name)
		}
	}
	for name, tc := range map[string]struct {
		edited  []string
		key     []byte
		updates bool // apt detects it only at the download
		want    string
	}{
		"untouched": {updates: true},
		"package":   {edited: []string{deb}, updates: true, want: deb},
		"indexes":   {edited: packages, want: "main/binary-amd64/Packages"},
		"InRelease": {edited: []string{dists + "/InRelease"}, want: "InRelease"},
		"other key": {key: other.pub, want: "InRelease"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree, key := maps.Clone(tree), s.pub
			for _, e := range tc.edited {
				tree[e] = flip(tree[e])
			}
			if tc.key != nil {
				key = tc.key
			}
			c := New(t, Options{URL: serve(t, tree), Suite: "stable", SignedBy: key})
			r := c.Update(t.Context())
			if (r.Err() == nil) != tc.updates {
				t.Errorf("update: exit status %d\n%s", r.Code, r.Output)
			}
			if r := c.Download(t.Context(), "alpha"); (r.Err() == nil) != (tc.want == "") {
				t.Errorf("download: exit status %d\n%s", r.Code, r.Output)
			}
			v := Tree{Fetch: FetchMap(tree)}
			v.InRelease, v.Release = GPGVBytes(t, key)
			checkError(t, v.Verify(t.Context(), "stable"), tc.want)
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestGPGV(t *testing.T) {
	tree, s := repository(t)
	dir := t.TempDir()
	for _, name := range []string{"Release", "Release.gpg"} {
		if err := os.WriteFile(filepath.Join(dir, name), tree[dists+"/"+name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sig, text := filepath.Join(dir, "Release.gpg"), filepath.Join(dir, "Release")
	mustRun(t, GPGV(t.Context(), t, s.pub, sig, text))
	if err := os.WriteFile(text, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := GPGV(t.Context(), t, s.pub, sig, text); r.Err() == nil {
		t.Errorf("a signature of something else was accepted:\n%s", r.Output)
	}
}

// TestFetch reads one tree by each Fetch.
func TestFetch(t *testing.T) {
	tree, s := repository(t)
	dir := t.TempDir()
	for name, b := range tree {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, fetch := range map[string]Fetch{
		"map": FetchMap(tree), "folder": FetchDir(dir), "HTTP": FetchHTTP(http.DefaultClient, serve(t, tree)),
	} {
		v := Tree{Fetch: fetch}
		v.InRelease, v.Release = GPGVBytes(t, s.pub)
		if err := v.Verify(t.Context(), "stable"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkError(t, VerifyTree(t.Context(), fetch, "testing"), "dists/testing/InRelease")
	}
}

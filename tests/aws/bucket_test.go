package aws

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
	"aptless/infra/aws"
	"aptless/tests/apt"
)

// stanza is a package in an index as deb-s3 writes it. Some fields have no value, and some
// are not of the package. The digests come last.
func stanza(spec debtest.Spec, path string) string {
	hash := deb.NewHasher()
	hash.Write(debtest.Deb(spec))
	f := hash.File("")
	return fmt.Sprintf("Package: %s\nVersion: %s\nLicense: unknown\nVendor: none\nArchitecture: %s\nMaintainer: x <x@example.org>\nInstalled-Size: 1\nSection: default\nPriority: \nHomepage: http://example.org/\nFilename: %s\nSize: %d\nSHA1: %s\nSHA256: %s\nMD5sum: %s\nDescription: test\n\n",
		spec.Package, spec.Version, spec.Architecture, path, f.Size, f.SHA1, f.SHA256, f.MD5)
}

// debS3 makes the objects of a bucket with deb-s3's layout: the pool by codename, indexes
// for three architectures, no indexes by hash. Release has the given first lines.
func debS3(t *testing.T, lines string, signer pgp.Signer) map[string][]byte {
	t.Helper()
	objects, index, common := map[string][]byte{}, "", ""
	for path, spec := range map[string]debtest.Spec{
		"pool/stable/h/he/hello_1.0-1+b1_amd64.deb": {Package: "hello", Version: "1.0-1+b1", Architecture: "amd64"},
		"pool/stable/w/wo/world_2.0_all.deb":        {Package: "world", Version: "2.0", Architecture: "all"},
		"pool/stable/e/ep/epoch_1:3.0_amd64.deb":    {Package: "epoch", Version: "1:3.0", Architecture: "amd64"},
	} {
		objects[path] = debtest.Deb(spec)
		text := stanza(spec, strings.ReplaceAll(path, ":", "%3A"))
		if index += text; spec.Architecture == "all" {
			common += text
		}
	}
	var sums strings.Builder
	for _, arch := range []string{"amd64", "armhf", "i386"} {
		plain := index
		if arch != "amd64" {
			plain = common
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		z.Write([]byte(plain))
		z.Close()
		for name, data := range map[string][]byte{"main/binary-" + arch + "/Packages": []byte(plain), "main/binary-" + arch + "/Packages.gz": packed.Bytes()} {
			objects["dists/stable/"+name] = data
			hash := deb.NewHasher()
			hash.Write(data)
			fmt.Fprintf(&sums, " %s %16d %s\n", hash.File("").SHA256, len(data), name)
		}
	}
	release := fmt.Appendf(nil, "%sCodename: stable\nDate: %s\nArchitectures: amd64 armhf i386\nComponents: main\nSuite: \nSHA256:\n%s", lines,
		time.Now().UTC().Add(-time.Minute).Format("Mon, 02 Jan 2006 15:04:05 UTC"), sums.String())
	objects["dists/stable/Release"] = release
	if signer != nil {
		var clear, detached bytes.Buffer
		if err := signer.Clearsign(t.Context(), &clear, release, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := signer.DetachSign(t.Context(), &detached, release, time.Now()); err != nil {
			t.Fatal(err)
		}
		objects["dists/stable/InRelease"], objects["dists/stable/Release.gpg"] = clear.Bytes(), detached.Bytes()
	}
	return objects
}

// TestBucketOfDebS3MovesIn: from its bucket. apt that has read the old tree updates at the
// same address without a question, and installs. Release is signed or not, and has Origin
// and Label or not. A second run publishes nothing.
func TestBucketOfDebS3MovesIn(t *testing.T) {
	t.Parallel()
	l := alone(t)
	d, program := connect(t, l), aptless(t)
	m := newMachine(t, program)
	text, err := os.ReadFile(filepath.Join(m.data, "signing-key.asc"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := pgp.ParseSecretKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pgp.NewSigner(secret...)
	if err != nil {
		t.Fatal(err)
	}
	ring := filepath.Join(t.TempDir(), "ring.asc")
	key := signer.PublicKeys()[0].Binary()
	if err := os.WriteFile(ring, key, 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(m.url)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lines  string
		signer pgp.Signer
		key    []byte
		flags  []string
	}{
		"signed":   {"Origin: Acme\nLabel: Acme tools\n", signer, key, []string{"--keyring", ring}},
		"bare":     {"", signer, key, []string{"--keyring", ring}},
		"unsigned": {"Origin: Acme\n", nil, nil, []string{"--unverified"}},
	} {
		t.Run(name, func(t *testing.T) {
			below := fmt.Sprint("deb-s3-", name, time.Now().UnixNano())
			objects := debS3(t, c.lines, c.signer)
			for _, path := range slices.Sorted(maps.Keys(objects)) {
				if _, err := d.Blobs.Put(t.Context(), "public/"+below+"/"+path, bytes.NewReader(objects[path]), driver.PutOptions{Size: int64(len(objects[path]))}); err != nil {
					t.Fatal(err)
				}
			}
			address := fmt.Sprintf("s3://%s/%s?region=us-east-1&endpoint=%s", l.Config.PublicBucket, below, l.Config.S3URL)
			bucket, err := aws.OpenBucket(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			var at atomic.Pointer[http.Handler]
			serve := func(h http.Handler) { at.Store(&h) }
			serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _, err := bucket.Open(r.Context(), strings.TrimPrefix(r.URL.Path, "/"+name+"/"))
				if err != nil {
					http.Error(w, err.Error(), http.StatusNotFound)
					return
				}
				defer body.Close()
				w.Header().Set("Last-Modified", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat)) // of the time before the move
				io.Copy(w, body)
			}))
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*at.Load()).ServeHTTP(w, r) }))
			t.Cleanup(front.Close)
			client := apt.New(t, apt.Options{URL: front.URL + "/" + name, Suite: "stable", SignedBy: c.key})
			before := client.Update(t.Context())
			if before.Err() != nil {
				t.Fatalf("%v\n%s", before.Err(), before.Output)
			}
			args := append([]string{"migrate", "apt", address, "--dist", "stable", "--prefix", name, "--work", filepath.Join(t.TempDir(), "work")}, c.flags...)
			if out := command(t, program, m.url, "", args...); !strings.Contains(out, "1 publications made") {
				t.Errorf("%s", out)
			}
			if out := command(t, program, m.url, "", args...); !strings.Contains(out, "0 package files were sent, 0 publications made") {
				t.Errorf("again: %s", out)
			}
			serve(httputil.NewSingleHostReverseProxy(server))
			if r := client.Update(t.Context()); r.Err() != nil || c.signer != nil && strings.Contains(r.Output, "W:") || !strings.Contains(r.Output, "Get:") {
				t.Errorf("%v\n%s", r.Err(), r.Output)
			}
			if err := client.Download(t.Context(), "hello", "world", "epoch").Err(); err != nil {
				t.Error(err)
			}
			command(t, program, m.url, "", "publish", "update", "stable", name)
			if _, _, err := bucket.Open(t.Context(), "none"); err == nil || !strings.Contains(err.Error(), fs.ErrNotExist.Error()) {
				t.Errorf("missing object: %v", err)
			}
		})
	}
}

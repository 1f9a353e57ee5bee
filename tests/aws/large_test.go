package aws

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/client"
	"aptless/core/engine/driver"
	"aptless/core/formats/deb/debtest"
	"aptless/localstack"
)

// The sizes of the large tests. `make test-aws-large` has the large ones.
var (
	largeMirror  = flag.Int("large-mirror", 40, "packages that TestLargeMirror mirrors and publishes")
	largeReal    = flag.String("large-real", "", "folder of packages of Debian that TestLargeMirror adds, so that debootstrap installs a system")
	largePackage = flag.Int64("large-package", 48, "MiB of the package that TestLargePackage drops")
	largeImport  = flag.Int64("large-import", 96, "MiB that TestLargeImport imports")
	largeEach    = flag.Int64("large-each", 32, "MiB of a package of TestLargeImport")
	largeList    = flag.Int("large-list", 300, "packages that TestLargeList lists")
)

// peak returns a function that ends the observation of the functions' processes, and tells
// the largest resident set of one of them in MiB.
func peak(t *testing.T) func() int64 {
	ctx, stop := context.WithCancel(t.Context())
	result := make(chan int64)
	go func() {
		var most int64
		for ctx.Err() == nil {
			processes, _ := filepath.Glob("/proc/[0-9]*/exe")
			for _, exe := range processes {
				if to, err := os.Readlink(exe); err != nil || !strings.HasPrefix(to, built) {
					continue
				}
				data, err := os.ReadFile(filepath.Join(filepath.Dir(exe), "status"))
				if err != nil {
					continue // the process has ended
				}
				_, text, _ := strings.Cut(string(data), "VmHWM:")
				kib, _ := strconv.ParseInt(strings.Fields(text + " 0")[0], 10, 64)
				most = max(most, kib>>10)
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
		result <- most
	}()
	return func() int64 {
		stop()
		return <-result
	}
}

// TestLargeMirror mirrors and publishes an archive whose packages have pluses in their
// names and versions. debmirror and debootstrap read it from the published tree.
func TestLargeMirror(t *testing.T) {
	var specs []debtest.Spec
	if *largeReal == "" { // debootstrap wants it
		specs = append(specs, debtest.Spec{Package: "apt", Version: "2.6.1+b1", Architecture: "amd64", Fields: map[string]string{"Priority": "important"}})
	}
	required := len(specs)
	for i := range *largeMirror - len(specs) {
		priority := "optional"
		if i%10 == 0 {
			priority = "required"
			required++
		}
		specs = append(specs, debtest.Spec{Package: fmt.Sprintf("libsigc++-2.0-%dv5", i), Version: fmt.Sprintf("2.12.0+dfsg%d-1+b1", i), Architecture: "amd64", Fields: map[string]string{"Priority": priority},
			Files: map[string]string{fmt.Sprintf("usr/lib/libsigc++-%d.so", i): "x"}})
	}
	spec := upstreamtest.Spec{Components: map[string]upstreamtest.Component{"main": {Packages: specs}}}
	files := realPackages(t, &spec)
	tree := upstreamtest.Build(spec)
	maps.Copy(tree, files)
	archive := httptest.NewServer(upstreamtest.Serve("", tree))
	t.Cleanup(archive.Close)
	p := deploy(t, 0, nil, func(o *localstack.Options) { o.AllowUpstream = "127.0.0.1" })
	ended, begun := peak(t), time.Now()
	name := fmt.Sprint("large", time.Now().UnixNano())
	p.must("POST", "/api/mirrors", fmt.Sprintf(`{"Name":%q,"ArchiveURL":%q,"Distribution":"stable","IgnoreSignatures":true}`, name, archive.URL))
	p.ends("update of the mirror", p.admit("PUT", "/api/mirrors/"+name, `{"IgnoreSignatures":true}`))
	p.must("POST", "/api/mirrors/"+name+"/snapshots", `{"Name":"`+name+`"}`)
	p.ends("publication", p.admit("POST", "/api/publish/"+name, `{"SourceKind":"snapshot","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}]}`))
	t.Logf("%d packages, %d of them Debian's; at most %d MiB in a function; %s", len(specs)+len(files), len(files), ended(), time.Since(begun).Round(time.Second))
	ring := filepath.Join(t.TempDir(), "ring.gpg")
	key, err := exec.Command("sh", "-c", "curl -sSf "+p.public.URL+"/key.asc | gpg --dearmor").Output()
	if err == nil {
		err = os.WriteFile(ring, key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tool(t, "debmirror", "--method=http", "--host="+strings.TrimPrefix(p.public.URL, "http://"), "--root="+name, "--dist=stable", "--section=main", "--arch=amd64",
		"--nosource", "--keyring="+ring, "--rsync-extra=none", "--diff=none", dir)
	if n := debs(t, dir); n != len(specs)+len(files) {
		t.Errorf("debmirror has %d packages, want %d", n, len(specs)+len(files))
	}
	dir = t.TempDir()
	args := []string{"--variant=minbase", "--arch=amd64", "--keyring=" + ring, "stable", dir, p.public.URL + "/" + name}
	if *largeReal == "" {
		tool(t, "debootstrap", append([]string{"--download-only", "--no-merged-usr"}, args...)...)
		if n := debs(t, dir); n != required {
			t.Errorf("debootstrap has %d packages, want %d", n, required)
		}
		return
	}
	tool(t, "debootstrap", args...)
	out, err := exec.CommandContext(t.Context(), "chroot", dir, "dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n").Output()
	if n := strings.Count(string(out), " ii "); err != nil || n != strings.Count(string(out), "\n") || strings.Count(string(out), "libsigc++-2.0-") != required || !strings.Contains(string(out), "\napt ii ") {
		t.Errorf("%d packages are installed, %v:\n%s", n, err, out)
	}
	t.Logf("debootstrap installed %d packages; %s", strings.Count(string(out), "\n"), time.Since(begun).Round(time.Second))
}

// realPackages adds the packages of the folder -large-real to the component of an archive, and returns their
// files by path.
func realPackages(t *testing.T, s *upstreamtest.Spec) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	if *largeReal == "" {
		return files
	}
	dir := t.TempDir()
	pool := filepath.Join(dir, "pool", "debian")
	err := os.MkdirAll(pool, 0o755)
	entries, read := os.ReadDir(*largeReal)
	if err = errors.Join(err, read); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".deb") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(*largeReal, e.Name()))
		name := e.Name()
		if pkg, epoch, ok := strings.Cut(name, "_"); ok { // apt keeps the epoch in the name of its file
			if _, rest, ok := strings.Cut(epoch, "%3a"); ok {
				name = pkg + "_" + rest
			}
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(pool, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		files["pool/debian/"+name] = data
	}
	cmd := exec.CommandContext(t.Context(), "apt-ftparchive", "packages", "pool/debian")
	cmd.Dir = dir
	index, err := cmd.Output()
	if err != nil || len(files) == 0 {
		t.Fatalf("%d packages in %s, %v", len(files), *largeReal, err)
	}
	s.Extra = map[string][]byte{"debian/binary-amd64/Packages": index}
	s.Fields = map[string]string{"Components": "main debian"}
	return files
}

// tool runs a client of a published tree. debootstrap gets the root that it wants.
func tool(t *testing.T, program string, args ...string) {
	t.Helper()
	if program == "debootstrap" && os.Geteuid() != 0 {
		program, args = "fakeroot", append([]string{program}, args...)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "LC_ALL=C.UTF-8", "http_proxy=", "no_proxy=127.0.0.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out[max(0, len(out)-3000):])
	}
}

// debs counts the packages below a folder.
func debs(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".deb") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// zeros is an endless file of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// hugeDeb returns a package with a file of size zeros, and its size. It needs no memory.
func hugeDeb(t *testing.T, name string, size int64) (io.Reader, int64) {
	t.Helper()
	control := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: zeros\n", name)
	archive := func(path string, size int64, content string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: size, Format: tar.FormatGNU}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
		w.Flush() // without the end, if the content is to follow
		return b.Bytes()
	}
	end := make([]byte, 1024)
	controlTar := append(archive("./control", int64(len(control)), control), end...)
	head := archive("./usr/share/zeros", size, "")
	data := int64(len(head)) + (size+511)/512*512 + 1024
	member := func(name string, size int64) string {
		return fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", size)
	}
	begin := "!<arch>\n" + member("debian-binary", 4) + "2.0\n" + member("control.tar", int64(len(controlTar))) + string(controlTar) + member("data.tar", data) + string(head)
	return io.MultiReader(strings.NewReader(begin), io.LimitReader(zeros{}, data-int64(len(head)))), int64(len(begin)) + data - int64(len(head))
}

// TestLargePackage drops a package of any size. It is imported, and published by its
// digest, so that it is stored once.
func TestLargePackage(t *testing.T) {
	p := deploy(t, 0, nil)
	name := fmt.Sprint("huge", time.Now().UnixNano())
	p.must("POST", "/api/repos", `{"Name":"`+name+`"}`)
	p.must("POST", "/api/publish/"+name, `{"SourceKind":"local","Distribution":"stable","Architectures":["amd64"],"Sources":[{"Name":"`+name+`"}],"PoolLayout":"hash"}`)
	p.must("PUT", "/api/repos/"+name+"/drop", `{"Publish":["`+name+`/stable"]}`)
	ended := peak(t)
	body, size := hugeDeb(t, name, *largePackage<<20)
	begun := time.Now()
	if _, err := p.drivers.Blobs.Put(t.Context(), "drop/drop/"+name+"/"+name+"_1_amd64.deb", body, driver.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for stay := true; stay; time.Sleep(time.Second) {
		stay = false
		for range p.drivers.Blobs.List(t.Context(), "drop/drop/"+name+"/", "") {
			stay = true
		}
		if t.Context().Err() != nil || time.Since(begun) > time.Hour {
			t.Fatal("the package stays in the drop box")
		}
	}
	for info, err := range p.drivers.Blobs.List(t.Context(), "drop/failed/"+name+"/", "") {
		t.Errorf("%s, %v", info.Key, err)
	}
	t.Logf("%d bytes; at most %d MiB in a function; %s", size, ended(), time.Since(begun).Round(time.Second))
	out, err := exec.CommandContext(t.Context(), "curl", "-sSf", p.public.URL+"/"+name+"/dists/stable/main/binary-amd64/Packages").Output()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("Size: %d\n", size)) {
		t.Errorf("%s, %v", out, err)
	}
	p.drop(name)
}

// drop removes a repository, its publication and its files: the disk is small.
func (p *deployed) drop(name string) {
	p.must("DELETE", "/api/publish/"+name+"/stable", "")
	p.must("DELETE", "/api/repos/"+name+"?force=1", "")
	p.must("POST", "/api/db/cleanup", "")
}

// digHoles gives blocks of zeros in large files of the stand-in for S3 back to the disk.
// Two copies of all packages would not fit.
func digHoles(ctx context.Context) {
	for ctx.Err() == nil {
		// A file that is being written is the next time's.
		script := "find " + stored + " -type f -size +30M -mmin +0.1 -exec fallocate --dig-holes {} \\;"
		exec.CommandContext(ctx, "sh", "-c", script).Run() // a file may go meanwhile
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

// TestLargeImport imports large packages by one call, from an upload directory. Each upload
// goes to the storage by a signed request.
func TestLargeImport(t *testing.T) {
	p := deploy(t, 0, nil)
	name := fmt.Sprint("much", time.Now().UnixNano())
	p.must("POST", "/api/repos", `{"Name":"`+name+`"}`)
	ended := peak(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go digHoles(ctx)
	c := &client.Client{URL: p.api.URL, HTTP: http.DefaultClient, Authorize: func(r *http.Request) error { r.Header.Set("Authorization", "Bearer "+p.token); return nil }}
	n := max(1, int(*largeImport / *largeEach))
	var sum int64
	begun := time.Now()
	for i := range n {
		pkg := fmt.Sprintf("%s-%d", name, i)
		body, size := hugeDeb(t, pkg, *largeEach<<20)
		hash := sha256.New()
		if _, err := io.Copy(hash, body); err != nil {
			t.Fatal(err)
		}
		sum += size
		err := c.Upload(t.Context(), name, client.Local{Name: pkg + "_1_amd64.deb", Size: size, SHA256: hex.EncodeToString(hash.Sum(nil)), Open: func() (io.ReadCloser, error) {
			body, _ := hugeDeb(t, pkg, *largeEach<<20)
			return io.NopCloser(body), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d uploads of %d bytes in total: %s", n, sum, time.Since(begun).Round(time.Second))
	p.ends("import", p.admit("POST", "/api/repos/"+name+"/file/"+name, ""))
	var keys []string
	if err := json.Unmarshal(p.must("GET", "/api/repos/"+name+"/packages", ""), &keys); err != nil || len(keys) != n {
		t.Errorf("%d packages, want %d, %v", len(keys), n, err)
	}
	t.Logf("%d packages of %d bytes in total; at most %d MiB in a function; %s", n, sum, ended(), time.Since(begun).Round(time.Second))
	p.must("DELETE", "/api/repos/"+name+"?force=1", "")
	p.ends("collection", p.admit("POST", "/api/db/cleanup", ""))
}

// TestLargeList lists a repository by pages: each package is on one page, and the total is
// told. The whole list is answered, too.
func TestLargeList(t *testing.T) {
	archive := httptest.NewServer(upstreamtest.Serve("", upstreamtest.Build(upstreamtest.Spec{Components: map[string]upstreamtest.Component{"main": {Packages: func() (specs []debtest.Spec) {
		for i := range *largeList {
			specs = append(specs, debtest.Spec{Package: fmt.Sprintf("listed%06d", i), Architecture: "amd64"})
		}
		return specs
	}()}}})))
	t.Cleanup(archive.Close)
	p := deploy(t, 0, nil, func(o *localstack.Options) { o.AllowUpstream = "127.0.0.1" })
	name := fmt.Sprint("listed", time.Now().UnixNano())
	p.must("POST", "/api/mirrors", fmt.Sprintf(`{"Name":%q,"ArchiveURL":%q,"Distribution":"stable","IgnoreSignatures":true}`, name, archive.URL))
	p.ends("update of the mirror", p.admit("PUT", "/api/mirrors/"+name, `{"IgnoreSignatures":true}`))
	ended, begun := peak(t), time.Now()
	seen, after, pages := map[string]bool{}, "", 0
	limit := min(1000, max(1, *largeList/3))
	for {
		out, err := exec.CommandContext(t.Context(), "curl", "-sSf", "-D", "-", "-u", "token:"+p.token,
			fmt.Sprintf("%s/api/mirrors/%s/packages?limit=%d&after=%s", p.api.URL, name, limit, strings.ReplaceAll(after, " ", "%20"))).Output()
		head, body, _ := strings.Cut(string(out), "\r\n\r\n")
		var keys []string
		if err == nil {
			err = json.Unmarshal([]byte(body), &keys)
		}
		if err != nil || !strings.Contains(head, fmt.Sprintf("X-Total: %d\r\n", *largeList)) {
			t.Fatalf("%v: %.500s", err, out)
		}
		for _, k := range keys {
			seen[k] = true
		}
		pages++
		_, after, _ = strings.Cut(head, "\nX-Next: ")
		if after, _, _ = strings.Cut(after, "\r"); after == "" {
			break
		}
	}
	whole := p.must("GET", "/api/mirrors/"+name+"/packages?format=details", "")
	t.Logf("%d packages on %d pages; %d bytes with details; at most %d MiB in a function; %s", len(seen), pages, len(whole), ended(), time.Since(begun).Round(time.Second))
	if len(seen) != *largeList || bytes.Count(whole, []byte(`"Package":"listed`)) != *largeList {
		t.Errorf("%d packages on pages, %d with details, want %d", len(seen), bytes.Count(whole, []byte(`"Package":"listed`)), *largeList)
	}
}

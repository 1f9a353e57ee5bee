package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"aptless/core/formats/deb/debtest"
	"aptless/tests/apt"
)

// foreign is an archive made by a Debian program in a folder.
type foreign struct {
	t    *testing.T
	dir  string
	home string // GnuPG's home
	key  string // fingerprint
}

func newForeign(t *testing.T) *foreign {
	t.Helper()
	home, err := os.MkdirTemp("", "g") // short, because the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	f := &foreign{t: t, dir: t.TempDir(), home: home}
	t.Cleanup(func() {
		f.command("gpgconf", "--kill", "all").Run()
		os.RemoveAll(home)
	})
	f.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Archive <archive@example.org>", "rsa2048", "sign", "never")
	for line := range strings.Lines(f.run("gpg", "--batch", "--with-colons", "--list-keys")) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" && f.key == "" {
			f.key = fields[9]
		}
	}
	return f
}

func (f *foreign) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(f.t.Context()), program, args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "GNUPGHOME="+f.home, "LC_ALL=C.UTF-8")
	return cmd
}

// run runs a program in the folder and returns its output.
func (f *foreign) run(program string, args ...string) string {
	f.t.Helper()
	cmd := f.command(program, args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("%s %q: %v: %s", program, args, err, complaint.Bytes())
	}
	return string(out)
}

func (f *foreign) write(name string, data []byte) {
	f.t.Helper()
	name = filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// hello is a package that depends on another.
var hello = debtest.Spec{Package: "hello", Version: "1:2.10-3+b1", Architecture: "amd64",
	Fields: map[string]string{"Depends": "hello-data", "Section": "misc", "Priority": "optional"}}

// fill writes packages of all kinds into a directory.
func (f *foreign) fill(dir string) {
	for _, p := range []debtest.Spec{
		hello,
		{Package: "hello-data", Version: "2.10-3", Fields: map[string]string{"Section": "misc", "Priority": "optional"}},
		{Package: "libstdc++6", Version: "14.2.0~rc1-1", Architecture: "amd64", Fields: map[string]string{"Section": "libs", "Priority": "optional"}},
		{Package: "kernel-image", Version: "6.1", Architecture: "amd64", Udeb: true, Fields: map[string]string{"Section": "debian-installer", "Priority": "optional"}},
	} {
		f.write(dir+"/"+debtest.FileName(p), debtest.Deb(p))
	}
	for name, data := range debtest.Source(debtest.SourceSpec{Source: "hello", Version: "2.10-3", Fields: map[string]string{"Section": "misc", "Priority": "optional"}}) {
		f.write(dir+"/"+name, data)
	}
}

// all lists the packages that fill makes.
var all = []string{"hello-data_2.10-3_all", "hello_1:2.10-3+b1_amd64", "hello_2.10-3_any", "kernel-image_6.1_amd64", "libstdc++6_14.2.0~rc1-1_amd64"}

// reprepro makes an archive with reprepro and returns the distribution.
func reprepro(f *foreign) string {
	f.t.Helper()
	f.fill("in")
	f.write("conf/distributions", fmt.Appendf(nil, "Origin: Foreign\nLabel: Foreign\nSuite: stable\nCodename: trixie\nArchitectures: amd64 source\nComponents: main\nUDebComponents: main\nDscIndices: Sources Release . .gz .xz\nDebIndices: Packages Release . .gz .bz2\nSignWith: %s\n", f.key))
	f.run("reprepro", "--silent", "includedeb", "trixie", "in/hello_2.10-3+b1_amd64.deb", "in/hello-data_2.10-3_all.deb", "in/libstdc++6_14.2.0~rc1-1_amd64.deb")
	f.run("reprepro", "--silent", "includeudeb", "trixie", "in/kernel-image_6.1_amd64.udeb")
	f.run("reprepro", "--silent", "includedsc", "trixie", "in/hello_2.10-3.dsc")
	return "trixie"
}

// sign signs an unsigned Release file.
func (f *foreign) sign(dir string) {
	f.run("gpg", "--batch", "--yes", "--clearsign", "-o", dir+"/InRelease", dir+"/Release")
	f.run("gpg", "--batch", "--yes", "--armor", "--detach-sign", "-o", dir+"/Release.gpg", dir+"/Release")
}

// ftparchive makes an archive with apt-ftparchive, with indexes by digest.
func ftparchive(f *foreign) string {
	f.t.Helper()
	f.fill("pool/main")
	f.run("mkdir", "pool/udeb")
	f.run("mv", "pool/main/kernel-image_6.1_amd64.udeb", "pool/udeb")
	const dir = "dists/trixie"
	for index, args := range map[string][]string{
		"main/binary-amd64/Packages":                  {"packages", "pool/main"},
		"main/debian-installer/binary-amd64/Packages": {"packages", "pool/udeb"},
		"main/source/Sources":                         {"sources", "pool/main"},
	} {
		f.write(dir+"/"+index, []byte(f.run("apt-ftparchive", args...)))
		f.run("xz", "-k", dir+"/"+index)
	}
	f.write(dir+"/Release", []byte(f.run("apt-ftparchive", "-o", "APT::FTPArchive::DoByHash=true",
		"-o", "APT::FTPArchive::Release::Codename=trixie", "-o", "APT::FTPArchive::Release::Suite=stable", "-o", "APT::FTPArchive::Release::Architectures=amd64",
		"-o", "APT::FTPArchive::Release::Components=main", "-o", "APT::FTPArchive::Release::Acquire-By-Hash=yes", "release", dir)))
	f.sign(dir)
	return "trixie"
}

// flat makes an archive without components with apt-ftparchive.
func flat(f *foreign) string {
	f.t.Helper()
	f.fill(".")
	f.write("Packages", []byte(f.run("apt-ftparchive", "packages", ".")))
	f.write("Sources", []byte(f.run("apt-ftparchive", "sources", ".")))
	f.run("gzip", "-k", "Packages", "Sources")
	f.write("Release", []byte(f.run("apt-ftparchive", "release", ".")))
	f.sign(".")
	return "./"
}

// TestForeignArchives mirrors archives of reprepro and apt-ftparchive, and has apt install
// from the mirrors.
func TestForeignArchives(t *testing.T) {
	t.Parallel() // it waits for programs most of the time
	s := newServer(t, "--allow-upstream", "127.0.0.1")
	for name, build := range map[string]func(*foreign) string{"reprepro": reprepro, "ftparchive": ftparchive, "flat": flat} {
		t.Run(name, func(t *testing.T) {
			f := newForeign(t)
			distribution := build(f)
			var byHash atomic.Bool
			files := http.FileServer(http.Dir(f.dir))
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/by-hash/") {
					byHash.Store(true)
				}
				files.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			armor, err := json.Marshal(f.run("gpg", "--batch", "--armor", "--export"))
			s.must(err)
			s.must(s.json("POST", "/api/gpg/key", fmt.Sprintf(`{"Keyring":%q,"GpgKeyArmor":%s}`, name, armor), nil))
			s.must(s.json("POST", "/api/mirrors", fmt.Sprintf(`{"Name":%q,"ArchiveURL":%q,"Distribution":%q,"Architectures":["amd64"],"Keyrings":[%[1]q],"DownloadSources":true,"DownloadUdebs":%[4]t,"SkipArchitectureCheck":true}`,
				name, server.URL, distribution, name != "flat"), nil))
			s.must(s.call("PUT", "/api/mirrors/"+name, "application/json", fmt.Appendf(nil, `{"Keyrings":[%q]}`, name), nil))
			var packages []struct{ Package, Version, Architecture string }
			s.must(s.json("GET", "/api/mirrors/"+name+"/packages?format=details", "", &packages))
			var got []string
			for _, p := range packages {
				got = append(got, p.Package+"_"+p.Version+"_"+p.Architecture)
			}
			slices.Sort(got)
			if !slices.Equal(got, all) {
				t.Errorf("packages %q", got)
			}
			if byHash.Load() != (name == "ftparchive") {
				t.Errorf("indexes by digest: %v", byHash.Load())
			}
			s.must(s.json("POST", "/api/mirrors/"+name+"/snapshots", fmt.Sprintf(`{"Name":%q}`, name), nil))
			s.must(s.json("POST", "/api/publish/"+name, fmt.Sprintf(`{"SourceKind":"snapshot","Distribution":"stable","Sources":[{"Name":%q}]}`, name), nil))
			key, err := s.fetch(t.Context(), "key.asc")
			s.must(err)
			client := apt.New(t, apt.Options{URL: s.url + "/" + name, Suite: "stable", SignedBy: key})
			s.must(client.Update(t.Context()).Err())
			s.must(client.Install(t.Context(), "hello").Err())
			if got, want := client.Archives(t), debtest.Deb(hello); !slices.ContainsFunc(slices.Collect(maps.Values(got)), func(data []byte) bool { return bytes.Equal(data, want) }) {
				t.Errorf("%d packages were installed, none of which is hello", len(got))
			}
		})
	}
}

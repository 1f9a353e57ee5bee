package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aptless/core/formats/deb/debtest"
	"aptless/core/formats/pgp"
)

// toolTime bounds a program that hangs.
const toolTime = 2 * time.Minute

// keyring writes the server's key to a keyring file for gpgv.
func (s *server) keyring() string {
	s.t.Helper()
	armored, err := s.fetch(s.t.Context(), "key.asc")
	s.must(err)
	ring, err := pgp.ParseKeyring(armored)
	s.must(err)
	file := filepath.Join(s.t.TempDir(), "ring.gpg")
	s.must(os.WriteFile(file, ring.Binary(), 0o600))
	return file
}

// tool runs a program of Debian. It fails the test if the program is missing.
func (s *server) tool(program string, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "HOME="+s.t.TempDir(), "LC_ALL=C.UTF-8", "http_proxy=", "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// found returns the files below a folder by their base name.
func (s *server) found(dir, suffix string) map[string][]byte {
	s.t.Helper()
	files := map[string][]byte{}
	s.must(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		files[filepath.Base(path)], err = os.ReadFile(path)
		return err
	}))
	return files
}

// same checks that files equal the packages of specs byte for byte.
func (s *server) same(files map[string][]byte, specs ...debtest.Spec) {
	s.t.Helper()
	if len(files) != len(specs) {
		s.t.Errorf("%d files, want %d", len(files), len(specs))
	}
	for _, spec := range specs {
		if name := debtest.FileName(spec); !bytes.Equal(files[name], debtest.Deb(spec)) {
			s.t.Errorf("%s has %d bytes", name, len(files[name]))
		}
	}
}

// TestDebmirror has debmirror copy a publication, and then its changes.
func TestDebmirror(t *testing.T) {
	t.Parallel() // it waits for programs most of the time
	for _, layout := range []string{"debian", "hash"} {
		t.Run(layout, func(t *testing.T) { debmirror(t, layout) })
	}
}

func debmirror(t *testing.T, layout string) {
	s := newServer(t)
	s.must(s.json("POST", "/api/repos", `{"Name":"copied"}`, nil))
	s.must(s.json("POST", "/api/publish/debian", fmt.Sprintf(`{"SourceKind":"local","Distribution":"copied","Architectures":["amd64"],"Sources":[{"Name":"copied"}],"PoolLayout":%q}`, layout), nil))
	add := func(packages ...debtest.Spec) {
		t.Helper()
		s.must(s.upload("in", packages...))
		s.must(s.json("POST", "/api/repos/copied/file/in", "", nil))
		s.must(s.json("PUT", "/api/publish/debian/copied", "{}", nil))
	}
	alpha, beta := debtest.Spec{Package: "alpha", Files: map[string]string{"usr/bin/alpha": "a"}}, debtest.Spec{Package: "beta"}
	add(alpha, beta)
	ring, dir := s.keyring(), t.TempDir()
	copies := func() {
		t.Helper()
		s.tool("debmirror", "--method=http", "--host="+strings.TrimPrefix(s.url, "http://"), "--root=debian", "--dist=copied", "--section=main", "--arch=amd64",
			"--nosource", "--keyring="+ring, "--rsync-extra=none", "--diff=none", "--getcontents", "--verbose", dir)
	}
	copies()
	s.same(s.found(dir, ".deb"), alpha, beta)
	gamma := debtest.Spec{Package: "gamma"}
	s.must(s.json("DELETE", "/api/repos/copied/packages", `{"PackageRefs":["`+s.key("copied", "beta")+`"]}`, nil))
	add(gamma)
	copies()
	s.same(s.found(dir, ".deb"), alpha, gamma)
}

// TestDebmirrorRoot has debmirror copy a publication at the root prefix, for which it
// requests //dists.
func TestDebmirrorRoot(t *testing.T) {
	t.Parallel() // it waits for programs most of the time
	s := newServer(t)
	s.publish("root")
	alpha := debtest.Spec{Package: "alpha", Architecture: "amd64"}
	s.add("root", alpha)
	dir := t.TempDir()
	s.tool("debmirror", "--method=http", "--host="+strings.TrimPrefix(s.url, "http://"), "--root=/", "--dist=root", "--section=main", "--arch=amd64",
		"--nosource", "--keyring="+s.keyring(), "--rsync-extra=none", "--diff=none", "--verbose", dir)
	s.same(s.found(dir, ".deb"), alpha)
}

// TestDebootstrap has debootstrap select and download a system, verified by the key.
func TestDebootstrap(t *testing.T) {
	t.Parallel() // it waits for programs most of the time
	s := newServer(t)
	s.publish("sid")
	spec := func(name, priority, depends string) debtest.Spec {
		fields := map[string]string{"Priority": priority}
		if depends != "" {
			fields["Depends"] = depends
		}
		if priority == "required" {
			fields["Essential"] = "yes"
		}
		return debtest.Spec{Package: name, Version: "1", Architecture: "amd64", Fields: fields}
	}
	base := []debtest.Spec{spec("base-files", "required", ""), spec("dpkg", "required", "libc6"), spec("libc6", "optional", ""), spec("apt", "important", "gpgv"), spec("gpgv", "optional", "")}
	s.add("sid", append(base, spec("game", "optional", ""))...)
	s.must(s.json("POST", "/api/publish/hash", `{"SourceKind":"local","Distribution":"sid","Sources":[{"Name":"sid"}],"PoolLayout":"hash"}`, nil))
	for _, prefix := range []string{"", "/hash"} {
		dir := t.TempDir()
		args := []string{"--download-only", "--variant=minbase", "--arch=amd64", "--no-merged-usr", "--keyring=" + s.keyring(), "sid", dir, s.url + prefix}
		program := "debootstrap"
		if os.Geteuid() != 0 { // debootstrap requires root, but does not need it here
			program, args = "fakeroot", append([]string{program}, args...)
		}
		s.tool(program, args...)
		s.same(s.found(dir, ".deb"), base...)
	}
}

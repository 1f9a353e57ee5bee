package debtest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
)

func TestDeb(t *testing.T) {
	long := strings.Repeat("d/", 90) + strings.Repeat("f", 150)
	for _, compression := range []string{"", "none", "gzip", "xz", "packed xz", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			spec := debtest.Spec{
				Package: "tool", Version: "1:2.0-3", Architecture: "amd64", Compression: compression,
				Fields: map[string]string{"Section": "net", "Depends": "libc6"},
				Files:  map[string]string{"usr/bin/tool": "x", "etc/tool.conf": strings.Repeat("y", 200_000), long: ""},
			}
			if got := debtest.FileName(spec); got != "tool_2.0-3_amd64.deb" {
				t.Errorf("name %s", got)
			}
			data := debtest.Deb(spec)
			if !bytes.Equal(data, debtest.Deb(spec)) {
				t.Error("the same package twice has different bytes")
			}
			control, paths, err := deb.ReadBinary(bytes.NewReader(data), "tool.deb", deb.Growth{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := []string{long, "etc/tool.conf", "usr/bin/tool"}; !slices.Equal(paths.Strings(), want) {
				t.Errorf("paths %q, want %q", paths.Strings(), want)
			}
			p, err := deb.ParseParagraph(string(control), deb.ModeControl)
			if err != nil {
				t.Fatal(err)
			}
			pkg, err := deb.BinaryPackage(p, deb.Binary, deb.File{Name: debtest.FileName(spec)})
			if err != nil {
				t.Fatal(err)
			}
			if pkg.String() != "tool_1:2.0-3_amd64" || p.Get("Section") != "net" || p.Get("Depends") != "libc6" {
				t.Errorf("%v: %q", pkg, p)
			}
			dpkgReads(t, data, paths.Strings())
		})
	}
}

// dpkgReads compares a package with dpkg-deb's reading of it, if dpkg-deb is
// installed.
func dpkgReads(t *testing.T, data []byte, paths []string) {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip(err)
	}
	name := filepath.Join(t.TempDir(), "p.deb")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--info", "--contents"} {
		out, err := exec.Command("dpkg-deb", flag, name).CombinedOutput()
		if err != nil {
			t.Errorf("dpkg-deb %s: %v: %s", flag, err, out)
		}
		for _, path := range paths {
			if flag == "--contents" && !strings.Contains(string(out), " ./"+path+"\n") {
				t.Errorf("dpkg-deb does not list %s: %s", path, out)
			}
		}
	}
}

func TestFileNameOfUdeb(t *testing.T) {
	if got := debtest.FileName(debtest.Spec{Udeb: true}); got != "hello_1.0_all.udeb" {
		t.Error(got)
	}
}

func TestMistakesPanic(t *testing.T) {
	for name, mistake := range map[string]func(){
		"compression": func() { debtest.Deb(debtest.Spec{Compression: "lzma"}) },
		"absolute":    func() { debtest.Deb(debtest.Spec{Files: map[string]string{"/a/b": ""}}) },
		"not clean":   func() { debtest.Deb(debtest.Spec{Files: map[string]string{"./a": ""}}) },
		"directory":   func() { debtest.Deb(debtest.Spec{Files: map[string]string{"a/": ""}}) },
		"no revision": func() { debtest.Source(debtest.SourceSpec{Version: "1.0"}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			mistake()
		})
	}
}

func TestSourceAndChanges(t *testing.T) {
	spec := debtest.SourceSpec{Version: "1:1.0-1", Files: map[string]string{"main.c": "int main;"}}
	files := debtest.Source(spec)
	if !reflect.DeepEqual(files, debtest.Source(spec)) {
		t.Error("the same source twice has different bytes")
	}
	dsc, err := deb.ParseParagraph(string(files[debtest.DscName(spec)]), deb.ModeControl)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := deb.SourcePackage(dsc, hashed("hello_1.0-1.dsc", files))
	if err != nil {
		t.Fatal(err)
	}
	if pkg.String() != "hello_1:1.0-1_source" {
		t.Errorf("source %v", pkg)
	}
	listed(t, pkg.Files, files)

	text := debtest.Changes(debtest.ChangesSpec{Version: "1:1.0-1", Architecture: "source"}, files)
	p, err := deb.ParseParagraph(string(text), deb.ModeControl)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := deb.ParseChanges(p)
	if err != nil {
		t.Fatal(err)
	}
	if !changes.Accepts(pkg) {
		t.Error("the changes do not accept their source package")
	}
	listed(t, changes.Files, files)
}

func hashed(name string, files map[string][]byte) deb.File {
	h := deb.NewHasher()
	h.Write(files[name])
	return h.File(name)
}

func listed(t *testing.T, list []deb.File, files map[string][]byte) {
	t.Helper()
	if len(list) != len(files) {
		t.Errorf("%d files listed of %d", len(list), len(files))
	}
	for _, f := range list {
		if err := f.Verify(hashed(f.Name, files)); err != nil {
			t.Error(err)
		}
	}
}

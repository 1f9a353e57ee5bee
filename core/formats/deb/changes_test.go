package deb

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const changesText = `Format: 1.8
Source: hello
Binary: hello
 hello-doc
Architecture: source amd64
Version: 2.10-3
Distribution: unstable
Changes:
 hello (2.10-3) unstable; urgency=low
 .
   * New.
Files:
 9dd4e461268c8034f5c8564e155c67a6 1 devel optional hello_2.10-3.dsc
 8d777f385d3dfec8815d20f7496026dc 4 devel optional sub/hello_2.10-3_amd64.deb
Checksums-Sha1:
 11f6ad8ec52a2984abaafd7c3b516503785c2072 1 hello_2.10-3.dsc
`

func TestParseChanges(t *testing.T) {
	p := mustParse(t, changesText, ModeControl)
	got, err := ParseChanges(p)
	want := &Changes{
		Paragraph: p, Source: "hello", Distribution: "unstable",
		Architectures: []string{"source", "amd64"}, Binaries: []string{"hello", "hello-doc"},
		Files: []File{
			{Name: "hello_2.10-3.dsc", Size: 1, MD5: dscFile.MD5, SHA1: dscFile.SHA1},
			{Name: "hello_2.10-3_amd64.deb", Size: 4, MD5: helloFile.MD5},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	p.Set("Files", " x 1 a\n")
	if _, err := ParseChanges(p); !errors.Is(err, ErrSums) {
		t.Errorf("error %v, want ErrSums", err)
	}
}

func TestAccepts(t *testing.T) {
	c, err := ParseChanges(mustParse(t, changesText, ModeControl))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		p    Package
		want bool
	}{
		{Package{Kind: Source, Name: "hello", Architecture: "source"}, true},
		{Package{Kind: Source, Name: "hello-doc", Architecture: "source"}, false},
		{Package{Name: "hello", Architecture: "amd64"}, true},
		{Package{Name: "hello", Architecture: "i386"}, false},
		{Package{Name: "hello-doc", Architecture: "all"}, true},
		{Package{Name: "hello-dbgsym", Architecture: "amd64"}, true},
		{Package{Name: "hello-dbgsym-dbgsym", Architecture: "amd64"}, false},
		{Package{Name: "other", Architecture: "amd64"}, false},
		{Package{Kind: Udeb, Name: "hello", Architecture: "amd64"}, true},
	}
	for _, test := range tests {
		if got := c.Accepts(&test.p); got != test.want {
			t.Errorf("accepts %s: %v, want %v", &test.p, got, test.want)
		}
	}
	c.Source = "hello (1)"
	if c.Accepts(&tests[0].p) {
		t.Error("accepts a source package by a Source with a version")
	}
	c.Binaries = nil
	if c.Accepts(&tests[2].p) {
		t.Error("accepts a binary without a Binary field")
	}
}

func TestVerify(t *testing.T) {
	for _, enough := range []func(*File){
		func(*File) {}, func(f *File) { f.SHA1 = "" }, func(f *File) { f.SHA1, f.MD5 = "", "" }, func(f *File) { f.MD5, f.SHA512 = "", "" },
	} {
		f := helloFile
		enough(&f)
		if err := f.Verify(helloFile); err != nil {
			t.Error(err)
		}
	}
	tests := []struct {
		change func(*File)
		want   string
	}{
		{func(f *File) { f.Size = 5 }, "size mismatch: expected 5 != obtained 4"},
		{func(f *File) { f.MD5 = "x" }, "checksum mismatch MD5: expected x != obtained " + helloFile.MD5},
		{func(f *File) { f.SHA1 = "x" }, "checksum mismatch SHA1: expected x != obtained " + helloFile.SHA1},
		{func(f *File) { f.SHA256, f.SHA512 = "", "x" }, "checksum mismatch SHA512: expected x != obtained " + helloFile.SHA512},
		{func(f *File) { f.SHA256, f.SHA512 = "", "" }, helloFile.Name + " is not in Checksums-Sha256"},
		{func(f *File) { f.SHA1, f.SHA256, f.SHA512 = "", "", "" }, helloFile.Name + " is not in Checksums-Sha256"},
		{func(f *File) { f.SHA256 = "x" }, "checksum mismatch SHA256 expected x != obtained " + helloFile.SHA256},
	}
	for _, test := range tests {
		f := helloFile
		test.change(&f)
		if err := f.Verify(helloFile); !errors.Is(err, ErrMismatch) || err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}

// FuzzPackages makes packages of any control data. Their names stay in their
// directory, and a stanza is one paragraph.
func FuzzPackages(f *testing.F) {
	f.Add(caseControl)
	f.Add(sourceStanza)
	f.Add(changesText)
	f.Add("Package: a1\nVersion: 1\nArchitecture: all\nFilename: ../x.deb\nSource: b1 (2)\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseParagraph(text, ModeControl)
		if err != nil {
			return
		}
		var packages []*Package
		keep := func(p *Package, err error) {
			if (p == nil) != (err != nil) {
				t.Fatalf("package %v with error %v", p, err)
			}
			if p != nil {
				packages = append(packages, p)
			}
		}
		keep(BinaryPackage(p, Binary, helloFile))
		keep(SourcePackage(p, dscFile))
		for _, kind := range []Kind{Udeb, Source} {
			pkg, _, err := PackageFromIndex(p, kind)
			keep(pkg, err)
		}
		if _, err := ParseChanges(p); err == nil {
			keep(InstallerPackage(Paragraph{{"", p.Get("Files")}}, "amd64"))
		}
		for _, pkg := range packages {
			if _, err := ParseKey(pkg.Key()); err != nil {
				t.Fatal(err)
			}
			for _, file := range pkg.Files {
				if !filepath.IsLocal(file.Name) || pkg.Kind != Installer && strings.Contains(file.Name, "/") {
					t.Fatalf("file name %q", file.Name)
				}
			}
			dir, err := pkg.PoolDir()
			if err != nil || !filepath.IsLocal(dir) || strings.Count(dir, "/") != 1 {
				t.Fatalf("pool directory %q, %v", dir, err)
			}
			again, err := DecodePackage(AppendPackage(nil, pkg))
			if diff := cmp.Diff(pkg, again); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
			stanza := string(pkg.AppendStanza(nil, "pool/x"))
			if strings.Contains(stanza, "\n\n") || !strings.HasSuffix(stanza, "\n") && stanza != "" {
				t.Fatalf("stanza %q", stanza)
			}
		}
	})
}

package deb

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAppendStanzaOfBinary(t *testing.T) {
	const control = `Zeta-Field: z
Package: alpha
Version: 1.0
Architecture: amd64
Source: alpha-src
Maintainer: T <t@example.com>
Installed-Size: 5
Depends: beta (>= 1),c | d
Suggests: ,
Breaks: x
Replaces: old
Section: misc
Priority: optional
Multi-Arch: same
Bugs: http://b
Homepage: http://h
Description: short alpha
 long line one
`
	const want = `Package: alpha
Priority: optional
Section: misc
Installed-Size: 5
Maintainer: T <t@example.com>
Architecture: amd64
Source: alpha-src
Version: 1.0
Replaces: old
Depends: beta (>= 1), c | d
Breaks: x
Filename: pool/main/a/alpha-src/hello_1.0_amd64.deb
Size: 4
MD5sum: 8d777f385d3dfec8815d20f7496026dc
SHA1: a17c9aaa61e80a1bf71d0d850af4e5baa9800bbd
SHA256: 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7
Description: short alpha
 long line one
Bugs: http://b
Homepage: http://h
Multi-Arch: same
Zeta-Field: z
`
	p, err := BinaryPackage(mustParse(t, control, ModeControl), Binary, helloFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(p.AppendStanza(nil, "pool/main/a/alpha-src"))); diff != "" {
		t.Error(diff)
	}
	bare := mustParse(t, string(p.AppendStanza(nil, "")), ModeControl)
	if got := bare.Get("Filename"); got != helloFile.Name {
		t.Errorf("bare file name %q", got)
	}
}

func TestAppendStanzaOfSource(t *testing.T) {
	const want = `Package: hello
Binary: hello, hello-doc
Version: 2.10-3
Maintainer: A Person <a@example.org>
Build-Depends: debhelper-compat (= 13), foo [amd64]
Architecture: any all
Format: 3.0 (quilt)
Directory: pool/noble/main/h/hello
Files:
 9dd4e461268c8034f5c8564e155c67a6 1 hello_2.10-3.dsc
 8d777f385d3dfec8815d20f7496026dc 4 hello_2.10.orig.tar.gz
Build-Depends-Arch: gcc
Checksums-Sha256:
 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 1 hello_2.10-3.dsc
 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7 4 hello_2.10.orig.tar.gz
Homepage: http://h/
Package-List:
 hello deb devel optional
`
	p, _, err := PackageFromIndex(mustParse(t, sourceStanza, ModeControl), Source)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(p.AppendStanza(nil, "pool/noble/main/h/hello"))); diff != "" {
		t.Error(diff)
	}
	if got := p.Details()["Directory"]; got != "pool/main/h/hello" {
		t.Errorf("details: directory %q", got)
	}

	// Without any MD5, the details keep the field and the stanza has no empty
	// line.
	for i := range p.Files {
		p.Files[i].MD5 = ""
	}
	if files, ok := p.Details()["Files"]; !ok || files != "" {
		t.Errorf("details: Files %q, %v", files, ok)
	}
	if _, ok := mustParse(t, string(p.AppendStanza(nil, "")), ModeControl).Lookup("Package-List"); !ok {
		t.Error("the stanza without MD5 ends early")
	}
}

// TestStanzasReadBack writes stanzas and reads the same packages.
func TestStanzasReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{Binary, Udeb, Source}).Draw(t, "kind")
		p := &Package{
			Kind: kind, Name: rapid.StringMatching(`[a-z][a-z0-9+.-]{1,9}`).Draw(t, "name"),
			Version:      rapid.StringMatching(`[0-9][0-9a-z.~+]{0,5}(-[0-9]{1,2})?`).Draw(t, "version"),
			Architecture: "amd64",
			Extra:        map[string]string{"Description": " x\n .\n y\n"},
		}
		items := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,5}( \(>= [0-9]\))?( \| [a-z]{2})?`), 1, 4)
		names := relationNames[:binaryRelations]
		if kind == Source {
			p.Architecture, p.SourceArchitecture = SourceArch, "any"
			names = relationNames[binaryRelations:]
			p.Extra["Directory"] = "pool/dir"
		}
		for _, name := range names {
			if rapid.Bool().Draw(t, name) {
				*p.relation(name) = items.Draw(t, "items")
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "fields") {
			p.Extra[CanonicalName("x-"+rapid.StringMatching(`[a-z-]{1,9}`).Draw(t, "field"))] =
				rapid.StringMatching(`([!-~]([ -~]{0,9}[!-~])?)?`).Draw(t, "value")
		}
		f := helloFile
		f.Name = rapid.StringMatching(`[a-z0-9_.]{1,9}\.x`).Draw(t, "file")
		p.Files = []File{f}
		stanza := p.AppendStanza(nil, "pool/dir")
		paragraph, err := ParseParagraph(string(stanza), ModeControl)
		if err != nil {
			t.Fatal(err)
		}
		got, dir, err := PackageFromIndex(paragraph, kind)
		if err != nil || dir != "pool/dir" {
			t.Fatalf("directory %q, %v, of\n%s", dir, err, stanza)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Fatalf("%s\nof\n%s", diff, stanza)
		}
	})
}

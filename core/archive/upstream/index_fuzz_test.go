package upstream_test

import (
	"errors"
	"strings"
	"testing"

	"aptless/core/archive/upstream"
	"aptless/core/archive/upstream/upstreamtest"
	"aptless/core/formats/deb"
)

// FuzzIndex reads indexes with any content in any compression. It ends, and each
// package's files are within the archive.
func FuzzIndex(f *testing.F) {
	const (
		binary = "Package: hello\nVersion: 2.10-3\nArchitecture: amd64\nDepends: libc6 (>= 2.34), x | y\nFilename: pool/main/h/hello/hello_2.10-3_amd64.deb\nSize: 53080\n" +
			"MD5sum: 82c4ac1ed4c8ea4d5f2bc7b8c8d6d3c9\nSHA256: 35b1508eeee9c1dfba798c4c04304ef0f266990f936a51f165571edf53325cbc\nDescription: example\n\n"
		source = "Package: hello\nBinary: hello\nVersion: 2.10-3\nArchitecture: any\nFormat: 3.0 (quilt)\nDirectory: pool/main/h/hello\n" +
			"Files:\n e7bd195571b19d33bd83d1c379fe6432 1183 hello_2.10-3.dsc\n\n"
		sums = "35b1508eeee9c1dfba798c4c04304ef0f266990f936a51f165571edf53325cbc  ./netboot/mini.iso\n"
	)
	for i, suffix := range []string{"", ".gz", ".xz", ".zst", ".bz2"} {
		for kind, text := range []string{deb.Binary: binary, deb.Udeb: binary + binary, deb.Source: source, deb.Installer: sums} {
			f.Add(upstreamtest.Compress([]byte(text), suffix), uint8(i), uint8(kind))
		}
	}
	f.Add([]byte("Package: aa\nVersion: 1\nArchitecture: all\nFilename: ../../x.deb\n\n"), uint8(0), uint8(deb.Binary))
	f.Add([]byte("Package: aa\nVersion: 1\nFormat: 1.0\nDirectory: /..\nFiles:\n 0 1 ../x\n"), uint8(0), uint8(deb.Source))
	f.Add([]byte(strings.Repeat("0", 64)+"  ../../../x\n"), uint8(0), uint8(deb.Installer))
	for i, suffix := range []string{"", ".gz", ".xz", ".zst", ".bz2"} { // trailing bytes, and plain files
		for _, tail := range []string{"\x00", strings.Repeat("\x00", 17), "junkjunk"} {
			f.Add(append(upstreamtest.Compress([]byte(binary), suffix), tail...), uint8(i), uint8(deb.Binary))
		}
		f.Add([]byte(binary), uint8(i), uint8(deb.Binary))
	}
	for _, without := range []string{"Package: hello\n", "Version: 2.10-3\n", "Architecture: amd64\n", "Size: 53080\n"} {
		f.Add([]byte(strings.Replace(binary, without, "", 1)+binary), uint8(0), uint8(deb.Binary))
	}
	for _, stanza := range hostileStanzas() {
		f.Add([]byte(stanza+"\n"+binary), uint8(0), uint8(deb.Binary))
	}
	suffixes := []string{"", ".gz", ".xz", ".zst", ".bz2"}
	f.Fuzz(func(t *testing.T, data []byte, suffix, kind uint8) {
		x := upstream.Index{Path: "main/binary-amd64/Packages", Kind: deb.Kind(kind % 4), Arch: "amd64"}
		name := x.Path
		if x.Kind != deb.Installer {
			name += suffixes[int(suffix)%len(suffixes)]
		}
		r := upstream.Reader{
			Asker:    upstream.Asker{Fetcher: upstreamtest.Serve(root, upstreamtest.Tree{"dists/x/" + name: data})},
			Archive:  upstream.Archive{Root: root, Distribution: "x"},
			Release:  &upstream.Release{},
			Unlisted: x.Kind != deb.Installer,
		}
		failed := false
		for l, err := range r.Packages(t.Context(), x) {
			switch {
			case failed:
				t.Fatal("something follows an error")
			case err != nil:
				stanza := (*upstream.StanzaError)(nil)
				failed = !errors.As(err, &stanza)
				continue
			case l.Package.Kind != x.Kind:
				t.Fatalf("%s is of kind %d", l.Package, l.Package.Kind)
			}
			if _, err := deb.ParseKey(l.Package.Key()); err != nil && x.Kind != deb.Installer {
				t.Fatal(err)
			}
			for _, file := range l.Package.Files {
				p, err := upstream.FilePath(l.Dir, strings.TrimPrefix(file.Name, "./"))
				if err != nil || strings.HasPrefix(p, "/") || strings.HasPrefix(p+"/", "../") || strings.ContainsAny(p, "\n\x00") {
					t.Fatalf("%q in %q: %q, %v", file.Name, l.Dir, p, err)
				}
			}
		}
	})
}

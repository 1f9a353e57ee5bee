package deb

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// benchIndex returns n stanzas of Debian's size and shape.
func benchIndex(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `Package: libexample%d-dev
Source: example%d (1.2.%[1]d-3)
Version: 1.2.%[1]d-3+b1
Installed-Size: 1234
Maintainer: Example Maintainers <pkg-example@lists.example.org>
Architecture: amd64
Depends: libexample%[1]d (= 1.2.%[1]d-3+b1), libc6-dev, libstdc++-12-dev | libstdc++-dev, zlib1g-dev (>= 1:1.2)
Suggests: example-doc
Description: example library, development files
Multi-Arch: same
Homepage: https://www.example.org/
Description-md5: 0123456789abcdef0123456789abcdef
Tag: devel::library, implemented-in::c++, role::devel-lib,
 works-with::text
Section: libdevel
Priority: optional
Filename: pool/main/e/example%[1]d/libexample%[1]d-dev_1.2.%[1]d-3+b1_amd64.deb
Size: 98765
MD5sum: 8d777f385d3dfec8815d20f7496026dc
SHA256: 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7

`, i, i)
	}
	return b.String()
}

func BenchmarkParagraphReader(b *testing.B) {
	index := benchIndex(5000)
	b.SetBytes(int64(len(index)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewParagraphReader(strings.NewReader(index), ModeControl)
		for {
			if _, err := r.Next(); err != nil {
				if err != io.EOF {
					b.Fatal(err)
				}
				break
			}
		}
	}
}

func benchPackage(b *testing.B) *Package {
	p, _, err := PackageFromIndex(mustParse(b, benchIndex(1), ModeControl), Binary)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func BenchmarkPackageFromIndex(b *testing.B) {
	p := mustParse(b, benchIndex(1), ModeControl)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := PackageFromIndex(p, Binary); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendStanza(b *testing.B) {
	p := benchPackage(b)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = p.AppendStanza(dst[:0], "pool/main/e/example0")
	}
}

func BenchmarkAppendPackage(b *testing.B) {
	p := benchPackage(b)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendPackage(dst[:0], p)
	}
	b.ReportMetric(float64(len(dst)), "bytes")
}

func BenchmarkDecodePackage(b *testing.B) {
	record := AppendPackage(nil, benchPackage(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodePackage(record); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFilesHash(b *testing.B) {
	p := benchPackage(b)
	for b.Loop() {
		p.FilesHash()
	}
}

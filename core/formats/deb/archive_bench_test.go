package deb_test

import (
	"bytes"
	"fmt"
	"testing"

	"aptless/core/formats/deb"
	"aptless/core/formats/deb/debtest"
)

// BenchmarkReadBinary reads small packages, so it measures the set-up of the
// decoders. xz has a dictionary of 8 MiB.
func BenchmarkReadBinary(b *testing.B) {
	for _, compression := range []string{"none", "gzip", "xz", "zstd"} {
		b.Run(compression, func(b *testing.B) {
			data := debtest.Deb(debtest.Spec{Compression: compression, Files: map[string]string{"usr/share/doc/hello/copyright": "free"}})
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := deb.ReadBinary(bytes.NewReader(data), "P", deb.Growth{}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHasher writes an input in buffers of several sizes.
func BenchmarkHasher(b *testing.B) {
	for _, size := range []int{4 << 10, 32 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			data := make([]byte, size)
			b.SetBytes(int64(size))
			h := deb.NewHasher()
			for b.Loop() {
				h.Write(data)
			}
		})
	}
}

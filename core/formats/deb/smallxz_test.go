package deb

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	reference "github.com/mikelolasagasti/xz"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// packXZ returns data as an xz archive.
func packXZ(t testing.TB, data []byte, c xz.WriterConfig) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.NewWriter(&out)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// xzTexts returns contents of many kinds: with literals, matches of all distances, and
// bytes that cannot be packed.
func xzTexts() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 70_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := []string{"usr/share/doc/", "\x00\x00\x00\x00", "copyright", "0000644", "root", "changelog.Debian.gz"}
	var text []byte
	for len(text) < 100_000 {
		text = append(text, words[r.IntN(len(words))]...)
		if r.IntN(20) == 0 {
			text = append(text, byte(r.Uint32()))
		}
	}
	return map[string][]byte{"empty": nil, "one": {'a'}, "zeros": make([]byte, 50_000), "noise": noise, "text": text,
		"far": append(append(bytes.Clone(noise), text[:1000]...), noise...)}
}

// TestSmallXZIsUnpackedAsByTheLibrary compares both decoders over contents, properties
// and checks.
func TestSmallXZIsUnpackedAsByTheLibrary(t *testing.T) {
	var d smallDecoder
	for name, text := range xzTexts() {
		for i, props := range []lzma.Properties{{LC: 3, LP: 0, PB: 2}, {LC: 0, LP: 4, PB: 0}, {LC: 1, LP: 2, PB: 4}, {LC: 4, LP: 0, PB: 1}} {
			check := []byte{xz.CRC32, xz.CRC64}[i%2]
			packed := packXZ(t, text, xz.WriterConfig{Properties: &props, CheckSum: check, DictCap: 1 << 16, BlockSize: 60_000})
			plain, _ := d.open(bytes.NewReader(packed), int64(len(packed)))
			if plain == nil {
				t.Errorf("%s with %v is not unpacked", name, props)
				continue
			}
			if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s with %v: %d bytes, want %d: %v", name, props, len(got), len(text), err)
			}
			d.release()
		}
	}
}

// TestSmallXZRefusesOthers holds that an archive in another form, or too large, goes to
// the library as a whole.
func TestSmallXZRefusesOthers(t *testing.T) {
	text := bytes.Repeat([]byte("usr/bin/dpkg\n"), 1000)
	good := packXZ(t, text, xz.WriterConfig{})
	large := packXZ(t, make([]byte, smallUnpacked+1), xz.WriterConfig{})
	for name, packed := range map[string][]byte{
		"SHA-256":     packXZ(t, text, xz.WriterConfig{CheckSum: xz.SHA256}),
		"two streams": append(bytes.Clone(good), good...),
		"padding":     append(bytes.Clone(good), 0, 0, 0, 0),
		"large":       large,
		"cut":         good[:len(good)-1],
		"empty":       {},
	} {
		var d smallDecoder
		plain, rest := d.open(bytes.NewReader(packed), int64(len(packed)))
		if plain != nil {
			t.Errorf("%s is unpacked", name)
			continue
		}
		if got, err := io.ReadAll(rest); err != nil || !bytes.Equal(got, packed) {
			t.Errorf("%s: %d of %d bytes are left for the library: %v", name, len(got), len(packed), err)
		}
	}
}

// checkSmallXZ fails if the small decoder unpacks an archive in another way than the
// library.
func checkSmallXZ(t *testing.T, d *smallDecoder, packed []byte) {
	t.Helper()
	plain, _ := d.open(bytes.NewReader(packed), int64(len(packed)))
	defer d.release()
	if plain == nil {
		return
	}
	got, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	z, err := reference.NewReader(bytes.NewReader(packed), smallWindow)
	if err != nil {
		t.Fatalf("unpacked %d bytes of an archive that the library refuses: %v", len(got), err)
	}
	want, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("unpacked %d bytes, the library %d: %v", len(got), len(want), err)
	}
}

// TestDamagedSmallXZ flips bits: an archive is refused, or is as the library says.
func TestDamagedSmallXZ(t *testing.T) {
	var d smallDecoder
	for _, check := range []byte{xz.CRC32, xz.CRC64} {
		packed := packXZ(t, bytes.Repeat([]byte("usr/share/doc/dpkg/copyright\n"), 40), xz.WriterConfig{CheckSum: check})
		for at := range packed {
			for bit := range 8 {
				bad := bytes.Clone(packed)
				bad[at] ^= 1 << bit
				checkSmallXZ(t, &d, bad)
			}
		}
	}
}

func FuzzSmallXZ(f *testing.F) {
	for _, text := range xzTexts() {
		f.Add(packXZ(f, text[:min(len(text), 2000)], xz.WriterConfig{CheckSum: xz.CRC32}))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		if len(packed) <= smallXZ {
			checkSmallXZ(t, new(smallDecoder), packed)
		}
	})
}

func BenchmarkSmallXZ(b *testing.B) {
	for name, text := range xzTexts() {
		packed := packXZ(b, text, xz.WriterConfig{})
		if len(text) == 0 {
			continue
		}
		b.Run(name, func(b *testing.B) {
			var d smallDecoder
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if plain, _ := d.open(bytes.NewReader(packed), int64(len(packed))); plain == nil {
					b.Fatal("not unpacked")
				}
			}
		})
	}
}

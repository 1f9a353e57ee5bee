package deb

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawPackage draws a package as lists hold it.
func drawPackage(t *rapid.T) *Package {
	name := rapid.StringMatching(`[a-z][a-z0-9+.-]{1,5}`)
	text := rapid.StringMatching(`[ -~\n]{0,12}`)
	items := rapid.OneOf(rapid.Just[[]string](nil), rapid.SliceOfN(text, 1, 3))
	p := &Package{
		Kind:         Kind(rapid.IntRange(0, 3).Draw(t, "kind")),
		Name:         name.Draw(t, "name"),
		Version:      rapid.StringMatching(`[0-9][0-9a-z.]{0,5}`).Draw(t, "version"),
		Architecture: rapid.SampledFrom([]string{"all", "amd64", "source"}).Draw(t, "architecture"),
		Source:       text.Draw(t, "source"),
	}
	for _, field := range relationNames {
		*p.relation(field) = items.Draw(t, field)
	}
	if n := rapid.IntRange(0, 12).Draw(t, "fields"); n > 0 {
		p.Extra = make(map[string]string)
		for range n {
			p.Extra["X-"+name.Draw(t, "field")] = text.Draw(t, "value")
		}
	}
	digest := func(n int) string {
		exact := rapid.StringMatching(fmt.Sprintf("[0-9a-f]{%d}", n))
		return rapid.OneOf(rapid.Just(""), exact, exact, text).Draw(t, "digest")
	}
	for range rapid.IntRange(0, 3).Draw(t, "files") {
		p.SetFile(File{
			Name: name.Draw(t, "file"), Size: rapid.Int64Range(0, 1<<62).Draw(t, "size"),
			MD5: digest(md5Len), SHA1: digest(sha1Len), SHA256: digest(sha256Len), SHA512: digest(sha512Len),
		})
	}
	return p
}

func TestRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPackage(t)
		record := AppendPackage([]byte("> "), p)[2:]
		got, err := DecodePackage(record)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("%+v comes back as %+v, %v", p, got, err)
		}
		if again := AppendPackage(nil, got); !bytes.Equal(again, record) {
			t.Fatalf("the package has two records:\n%q\n%q", record, again)
		}
		other := *p
		other.Files = nil
		without := AppendPackage(nil, &other)
		head, files, err := CutFiles(record)
		if err != nil || len(files) != len(p.Files) || len(files) > 0 && !reflect.DeepEqual(files, p.Files) || !bytes.Equal(head, without[:len(without)-1]) {
			t.Fatalf("%+v is cut into %q and %+v, %v", p, head, files, err)
		}
		cut := rapid.IntRange(0, len(record)-1).Draw(t, "cut")
		if _, _, err := CutFiles(record[:cut]); !errors.Is(err, ErrRecord) {
			t.Fatalf("files of the first %d of %d bytes: %v, want ErrRecord", cut, len(record), err)
		}
		if _, err := DecodePackage(record[:cut]); !errors.Is(err, ErrRecord) {
			t.Fatalf("the first %d of %d bytes: %v, want ErrRecord", cut, len(record), err)
		}
	})
}

// TestRecordLayout holds the stored layout. It changes only with recordVersion.
func TestRecordLayout(t *testing.T) {
	p := &Package{
		Kind: Udeb, Name: "a1", Version: "2", Architecture: "all", Source: "s1", Provides: []string{"p", "q"},
		Extra: map[string]string{"Y": "2", "X": "1"},
		Files: []File{{Name: "f", Size: 300, MD5: strings.Repeat("0f", 16), SHA1: "odd"}},
	}
	want := "\x01\x01\x02a1\x012\x03all\x00\x02s1" + "\x00\x00\x00\x00\x02\x01p\x01q\x00\x00" +
		"\x02\x01X\x011\x01Y\x012" + "\x01\x01f\xac\x02" + "\x01" + strings.Repeat("\x0f", 16) + "\x02\x03odd\x00\x00"
	if got := string(AppendPackage(nil, p)); got != want {
		t.Errorf("record\n%q, want\n%q", got, want)
	}
}

func TestDecodePackageErrors(t *testing.T) {
	good := string(AppendPackage(nil, &Package{Name: "a1", Extra: map[string]string{"X": "1", "Y": "2"}, Files: []File{{Name: "f"}}}))
	replace := func(old, new string) string {
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q is not once in %q", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, record := range map[string]string{
		"nothing":             "",
		"another version":     "\x02" + good[1:],
		"another kind":        "\x01\x04" + good[2:],
		"more behind it":      good + "\x00",
		"unsorted fields":     replace("\x01X\x011\x01Y\x012", "\x01Y\x012\x01X\x011"),
		"a field twice":       replace("\x01X\x011\x01Y\x012", "\x01X\x011\x01X\x012"),
		"long length":         replace("\x02a1", "\x82\x00a1"),
		"length out of range": replace("\x02a1", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a1"),
		"length over 64 bits": replace("\x02a1", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02a1"),
		"many items":          "\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f",
		"negative size":       replace("\x01f\x00", "\x01f\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
		"unknown digest":      replace("\x01f\x00\x00", "\x01f\x00\x03"),
		"empty digest":        replace("\x01f\x00\x00", "\x01f\x00\x02\x00"),
		"digest as text":      replace("\x01f\x00\x00", "\x01f\x00\x02\x20"+strings.Repeat("0f", 16)),
		"too long":            good + strings.Repeat("x", MaxRecord),
	} {
		if p, err := DecodePackage([]byte(record)); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %+v, %v, want ErrRecord", name, p, err)
		}
	}
	if _, err := DecodePackage([]byte(good)); err != nil {
		t.Error(err)
	}
}

func FuzzDecodePackage(f *testing.F) {
	f.Add([]byte("\x01\x00"))
	f.Add(AppendPackage(nil, &Package{Name: "a1", Extra: map[string]string{"X": "1"}, Files: []File{helloFile, dscFile}}))
	f.Add(AppendPackage(nil, &Package{Name: "a1", Depends: []string{"x"}, Provides: []string{"b", "c (= 1)"}}))
	f.Add(AppendPackage(nil, &Package{Kind: Source, Name: "a1", BuildDepends: []string{"b", "c"}, Files: []File{{MD5: "x"}}}))
	f.Fuzz(func(t *testing.T, record []byte) {
		p, err := DecodePackage(record)
		provides, errProvides := RecordProvides(record)
		if err == nil && (errProvides != nil || !slices.Equal(provides, p.Provides)) {
			t.Fatalf("provides %q, %v, want %q", provides, errProvides, p.Provides)
		}
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if again := AppendPackage(nil, p); !bytes.Equal(again, record) {
			t.Fatalf("%q is written as %q", record, again)
		}
		p.Details()
		p.AppendStanza(nil, "pool")
	})
}

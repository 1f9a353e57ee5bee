package mirror

import (
	"fmt"
	"strings"
	"testing"

	"aptless/core/formats/deb"
)

func hashed(text string) deb.File {
	h := deb.NewHasher()
	h.Write([]byte(text))
	return h.File(text + ".deb")
}

// TestKnownFilesAndRecords holds that a remembered file is returned with all digests,
// and that a record counts only as it was stored.
func TestKnownFilesAndRecords(t *testing.T) {
	var k known
	f := hashed("a")
	p := &deb.Package{Name: "a", Version: "1", Architecture: "amd64", Kind: deb.Binary, Files: []deb.File{f}}
	if _, ok := k.file(f.SHA256, f.Name); ok || k.hasRecord(p) {
		t.Error("a file is known before it was added")
	}
	k.add(f, p)
	if got, ok := k.file(f.SHA256, "other.deb"); !ok || got.Name != "other.deb" || got.Size != f.Size || got.MD5 != f.MD5 || got.SHA1 != f.SHA1 || got.SHA256 != f.SHA256 || got.SHA512 != f.SHA512 {
		t.Errorf("got %v, %v of %v", got, ok, f)
	}
	changed := *p
	changed.Extra = map[string]string{"X-Note": "new"}
	if !k.hasRecord(p) || k.hasRecord(&changed) {
		t.Error("a record is known by more or by less than its content")
	}
	other := hashed("b")
	k.add(other, nil)
	withoutRecord := deb.Package{Name: "b", Version: "1", Architecture: "amd64", Files: []deb.File{other}}
	if k.hasRecord(&withoutRecord) {
		t.Error("a file without a record has one")
	}
	k.add(deb.File{SHA256: strings.Repeat("z", 64)}, nil)
	if _, ok := k.file(strings.Repeat("z", 64), ""); ok {
		t.Error("text that is no digest is known")
	}
}

// TestKnownIsBounded holds that an attempt remembers at most maxKnown files.
func TestKnownIsBounded(t *testing.T) {
	var k known
	f := hashed("a")
	for i := range maxKnown + 10 {
		f.SHA256 = fmt.Sprintf("%064x", i)
		k.add(f, nil)
	}
	if len(k.files) != maxKnown {
		t.Errorf("%d files are remembered", len(k.files))
	}
}

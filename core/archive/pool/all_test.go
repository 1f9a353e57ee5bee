package pool

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// noise returns text that compresses to about half its size, not less.
func noise(n int) string {
	b := make([]byte, n/2)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// TestAllPackagesComeInKeyOrder holds that all packages come in the order of their keys, also
// those with large records. A damaged record is an error.
func TestAllPackagesComeInKeyOrder(t *testing.T) {
	s, m := memory()
	var want []string
	for i := range 100 {
		r := record(t, fmt.Sprint(i), "usr/bin/tool")
		put(t, s, r)
		want = append(want, r.Package.Key())
	}
	large := record(t, "large1")
	large.Package.Extra["X-Long"] = noise(driver.MaxRowSize * 2)
	put(t, s, large)
	want = append(want, large.Package.Key())
	slices.Sort(want)
	var got []string
	for p, err := range s.Packages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.Key())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for p, err := range s.Packages(t.Context()) {
		if p.Key() != want[0] || err != nil {
			t.Errorf("%v, %v", p, err)
		}
		break // leaving a scan early leaves no goroutine
	}
	few := []string{}
	for p, err := range s.Matching(t.Context(), Range{}, &deb.Part{}, func(p *deb.Package) bool { return strings.HasSuffix(p.Version, "1") }) {
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Files) == 0 || len(p.Extra) == 0 {
			t.Errorf("%v is not whole", p)
		}
		few = append(few, p.Key())
	}
	wantFew := slices.DeleteFunc(slices.Clone(want), func(key string) bool { return !strings.Contains(key, "1 ") })
	if !slices.Equal(few, wantFew) || len(few) != 11 {
		t.Errorf("matching are %q, want %q", few, wantFew)
	}
	inRange := 0
	for p, err := range s.Matching(t.Context(), Range{Name: record(t, "1").Package.Name[:3], After: want[40]}, &deb.Part{}, func(*deb.Package) bool { return true }) {
		if err != nil || p.Key() != want[41+inRange] {
			t.Fatalf("%v, %v, want %q", p, err, want[41+inRange])
		}
		inRange++
	}
	if inRange != len(want)-41 {
		t.Errorf("%d packages above a key", inRange)
	}
	for p := range s.Matching(t.Context(), Range{Name: "other"}, &deb.Part{}, func(*deb.Package) bool { return true }) {
		t.Errorf("%v has not the name", p)
	}
	for key := range m.Objects("private/records/") {
		if err := m.Blobs.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, err := range s.Packages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(want)-1 {
		t.Errorf("%d packages when one is being removed", n)
	}
	if err := s.Table.Put(t.Context(), driver.Row{Key: recordKey(want[3]), Data: []byte("damaged")}); err != nil {
		t.Fatal(err)
	}
	n = 0
	for p, err := range s.Packages(t.Context()) {
		if err == nil {
			n++
		} else if !errors.Is(err, ErrRecord) || p != nil || !strings.Contains(err.Error(), want[3]) {
			t.Errorf("%v, %v", p, err)
		}
	}
	if n != 3 {
		t.Errorf("%d packages before the one that is damaged", n)
	}
}

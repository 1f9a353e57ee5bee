package pool

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"aptless/core/engine/driver"
	"aptless/core/formats/deb"
)

// longPaths returns n paths of 1,000 bytes, compressible to 10 bytes each if packs, else
// to 500.
func longPaths(n int, packs bool) []string {
	paths := make([]string, n)
	for i := range paths {
		tail := fmt.Sprintf("%0500d", i)
		if !packs {
			tail = noise(500)
		}
		paths[i] = fmt.Sprintf("%08d/%0491d%s", i, 0, tail)
	}
	return paths
}

// TestLargeRecordsAreStoredAsTheyPass streams records that are larger than smallRecord,
// in a row or in an object. A record that was read can be stored again.
func TestLargeRecordsAreStoredAsTheyPass(t *testing.T) {
	for _, packs := range []bool{true, false} {
		s, m := memory()
		large := record(t, "1", longPaths(3000, packs)...)
		row := put(t, s, large)
		check(t, s, large)
		if packs != (len(m.Objects("")) == 0) || len(row.Data) > driver.MaxRowSize {
			t.Errorf("%d objects and a row of %d bytes", len(m.Objects("")), len(row.Data))
		}
		got, err := s.Record(t.Context(), large.Package.Key())
		if err != nil {
			t.Fatal(err)
		}
		got.Package.Extra["Section"] = "other"
		put(t, s, got) // reads the record that it replaces
		check(t, s, large)
		again, err := s.Record(t.Context(), large.Package.Key())
		if err != nil || again.Package.Extra["Section"] != "other" {
			t.Errorf("%v, %v", again.Package, err)
		}
		for range again.Paths {
			break // leaving the paths early leaves no goroutine
		}
	}
}

// TestBrokenOffRecordIsNotStored holds that no object is left if the paths fail.
func TestBrokenOffRecordIsNotStored(t *testing.T) {
	s, m := memory()
	lost := errors.New("connection lost")
	r := record(t, "1")
	r.Paths = func(yield func([]byte, error) bool) {
		for _, p := range longPaths(3000, false) {
			if !yield([]byte(p), nil) {
				return
			}
		}
		yield(nil, lost)
	}
	if _, err := s.Row(t.Context(), r); !errors.Is(err, lost) {
		t.Error(err)
	}
	if n := len(m.Objects("")); n != 0 {
		t.Errorf("%d objects", n)
	}
}

func TestPathsAreUsedFromTheRow(t *testing.T) {
	s, _ := memory()
	few, none := record(t, "1", "a", "b"), record(t, "2")
	none.NoPaths = "broken archive"
	put(t, s, few)
	put(t, s, none)
	use := func(p *deb.Package, stop error) (paths []string, why string, err error) {
		found, err := s.Paths(t.Context(), p.Key())
		if err != nil {
			t.Fatal(err)
		}
		why, err = found.Use(t.Context(), func(path []byte) error {
			paths = append(paths, string(path))
			return stop
		})
		return paths, why, err
	}
	if paths, why, err := use(few.Package, nil); !slices.Equal(paths, []string{"a", "b"}) || why != "" || err != nil {
		t.Errorf("%q, %q, %v", paths, why, err)
	}
	enough := errors.New("enough")
	if paths, _, err := use(few.Package, enough); len(paths) != 1 || err != enough {
		t.Errorf("%q, %v", paths, err)
	}
	if paths, why, err := use(none.Package, nil); paths != nil || why != "broken archive" || err != nil {
		t.Errorf("%q, %q, %v", paths, why, err)
	}
	if _, err := s.Paths(t.Context(), "Pamd64 none 1 0"); !errors.Is(err, driver.ErrNotFound) {
		t.Error(err)
	}
}

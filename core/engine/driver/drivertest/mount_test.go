package drivertest

import (
	"strings"
	"testing"
	"time"

	"aptless/core/engine/driver"
)

// TestMount runs the suite on two stores; one holds the private keys.
func TestMount(t *testing.T) {
	Run(t, func(*testing.T) Set {
		base, other := NewMemory(time.Now), NewMemory(time.Now)
		return Set{Blobs: driver.Mount(base.Blobs, driver.Mounted{Blobs: other.Blobs, At: "private/", Keys: "elsewhere/"}), NoTable: true, NoQueue: true}
	})
}

// TestMountPlaces checks in which store objects are, and lists them.
func TestMountPlaces(t *testing.T) {
	base, www := NewMemory(time.Now), NewMemory(time.Now)
	blobs := driver.Mount(base.Blobs, driver.Mounted{Blobs: www.Blobs, At: "storage/www/", Keys: "public/"})
	for _, key := range []string{"public/a", "storage/www/b", "storage/www/c", "storage/other/d"} {
		if _, err := blobs.Put(t.Context(), key, strings.NewReader(key), driver.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := www.Objects(""); len(got) != 2 || got["public/b"] != "storage/www/b" {
		t.Errorf("%v", got)
	}
	for _, tc := range [][3]string{
		{"storage/www/", "", "storage/www/b storage/www/c"}, {"storage/www/", "storage/www/b", "storage/www/c"}, {"storage/www/", "storage/x", ""},
		{"storage/www/", "public", "storage/www/b storage/www/c"}, {"storage/www/c", "", "storage/www/c"}, {"storage/", "", "storage/other/d"},
	} {
		var keys []string
		for info, err := range blobs.List(t.Context(), tc[0], tc[1]) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
		if got := strings.Join(keys, " "); got != tc[2] {
			t.Errorf("%q after %q: %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
	if err := blobs.Delete(t.Context(), "public/a", "storage/www/b", "storage/www/none"); err != nil || len(base.Objects("")) != 1 || len(www.Objects("")) != 1 {
		t.Errorf("%v, %v, %v", err, base.Objects(""), www.Objects(""))
	}
}

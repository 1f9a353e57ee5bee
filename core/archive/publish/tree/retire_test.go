package tree

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"aptless/core/archive/publish/index"
	"aptless/core/archive/publish/paths"
)

// TestRetireMany holds that a manifest names a bounded number of earlier
// objects. An object that a reader or a rollback may still ask for stays.
func TestRetireMany(t *testing.T) {
	t.Parallel()
	r := Retirement{Dist: paths.Dist{Prefix: ".", Name: "x"}, Applied: true}
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	made := map[string]time.Time{} // keys that are there, and when they were superseded
	prev := &Manifest{}
	var revisions []int64
	for g := range int64(400) {
		o := index.Object{SHA256: fmt.Sprintf("%064x", g), MD5: fmt.Sprintf("%032x", g), SHA1: fmt.Sprintf("%040x", g), SHA512: strings.Repeat("0", 64) + fmt.Sprintf("%064x", g)}
		m := &Manifest{Generation: g + 1, Date: date.Add(time.Duration(g) * time.Minute)}
		for i := range 8 {
			m.Releases = append(m.Releases, index.File{Path: fmt.Sprintf("main/%d/Packages", i), Object: o})
		}
		m.Retired, m.Expired = r.Retire(m, prev)
		for _, f := range prev.Files() {
			for _, key := range f.ByHash("public/dists/x") {
				made[key] = m.Date
			}
		}
		for _, key := range m.Expired {
			if m.Date.Sub(made[key]) < keepMany {
				t.Fatalf("generation %d removes an object that was superseded at %v", g, made[key])
			}
			delete(made, key)
		}
		revisions = append(revisions, m.Generation)
		revisions = revisions[max(0, len(revisions)-20):] // as many as a publication has
		r.Oldest = revisions[0]
		for _, old := range m.Retired {
			if g%100 != 0 {
				break // each time would be slow
			}
			if _, ok := made[old.Key]; !ok {
				t.Fatalf("generation %d names an object that is gone", g)
			}
		}
		if prev = m; len(m.Retired) > maxRetired {
			t.Fatalf("generation %d names %d", g, len(m.Retired))
		}
	}
	if len(made) != len(prev.Retired) || len(made) != maxRetired {
		t.Errorf("%d are there, %d are named", len(made), len(prev.Retired))
	}
}

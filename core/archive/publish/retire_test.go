package publish

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRetireMany holds that what manifests name of earlier ones is bounded, and
// that what a reader or a rollback may still ask for is not let go.
func TestRetireMany(t *testing.T) {
	t.Parallel()
	r := &Record{Prefix: ".", Distribution: "x", Applied: true}
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	made := map[string]time.Time{} // keys that are there, and when they were superseded
	prev := &manifest{}
	for g := range int64(400) {
		o := object{SHA256: fmt.Sprintf("%064x", g), MD5: fmt.Sprintf("%032x", g), SHA1: fmt.Sprintf("%040x", g), SHA512: strings.Repeat("0", 64) + fmt.Sprintf("%064x", g)}
		m := &manifest{Generation: g + 1, Date: date.Add(time.Duration(g) * time.Minute)}
		for i := range 8 {
			m.Releases = append(m.Releases, file{fmt.Sprintf("main/%d/Packages", i), o})
		}
		retire(r, m, prev)
		for _, f := range prev.files() {
			for _, key := range byHashKeys(r, f.Path, f.object) {
				made[key] = m.Date
			}
		}
		for _, key := range m.Expired {
			if m.Date.Sub(made[key]) < keepMany {
				t.Fatalf("generation %d lets go what was superseded at %v", g, made[key])
			}
			delete(made, key)
		}
		r.Revisions = append(r.Revisions, Revision{Generation: m.Generation})
		r.Revisions = r.Revisions[max(0, len(r.Revisions)-maxRevisions):]
		for _, old := range m.Retired {
			if g%100 != 0 {
				break // each time would be slow
			}
			if _, ok := made[old.Key]; !ok {
				t.Fatalf("generation %d names what is gone", g)
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

package differential

import (
	"testing"

	"aptless/core/front/app/apptest"
)

// minRequests is the least number of requests and trees.
const minRequests = 380

// tables are the requests by subject.
var tables = []struct {
	name     string
	requests []request
	long     bool // only the open server is compared with -short
}{
	{"files", fileRequests, false},
	{"repos", repoRequests, false},
	{"imports", importRequests, false},
	{"packages", packageRequests, false},
	{"snapshots", snapshotRequests, false},
	{"merges", mergeRequests, true},
	{"publish", publishRequests, true},
	{"publish-snapshots", publishSnapshotRequests, true},
	{"mirrors", mirrorRequests, true},
	{"tasks", taskRequests, false},
	{"errors", errorRequests, false},
}

// TestAptly compares the answers and the published trees of aptly with those of three
// servers. One is open, and the others get an admin token in Basic and in Bearer.
// With -short the closed ones are not asked for merges, publications and mirrors.
func TestAptly(t *testing.T) {
	needPrograms(t)
	bin, key, upstream := build(t), newSigningKey(t), archive(t)
	j := &judge{accepted: accepted, used: map[int]int{}, newer: readNewer(t)}
	ran := 0
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			ran++
			aptly, ours := newAptly(t, key), []*system{newAptless(t, bin, key, "open", nil)}
			for name, set := range apptest.Schemes() {
				if testing.Short() && table.long {
					continue
				}
				ours = append(ours, newAptless(t, bin, key, name, set))
			}
			for _, s := range append(ours, aptly) {
				s.upstream = upstream
			}
			for _, r := range table.requests {
				j.all(t, table.name+": "+r.String(), aptly, ours, key, r)
			}
		})
	}
	if ran == len(tables) {
		j.finish(t)
		if j.requests < minRequests {
			t.Errorf("%d requests, want at least %d", j.requests, minRequests)
		}
	}
}

// all sends a request to all systems and compares our answers with aptly's.
func (j *judge) all(t *testing.T, name string, aptly *system, ours []*system, key signingKey, r request) {
	t.Helper()
	ask := (*system).send
	if r.tree {
		ask = func(s *system, t *testing.T, r request) answer { return s.tree(t, r.path, key) }
	}
	var theirs answer
	if r.command == "" {
		j.requests++
		theirs = ask(aptly, t, r)
	} else {
		must(t, aptly.run(words(r.command)...))
	}
	for _, s := range ours {
		got := ask(s, t, r)
		switch {
		case theirs != nil:
			j.compare(t, name, s.name, theirs, got)
		case got["status"].(float64) >= 300:
			t.Errorf("%s: %s: %v", s.name, name, got)
		}
	}
}

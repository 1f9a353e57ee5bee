package differential

import "testing"

// minRequests is the least number of requests and trees.
const minRequests = 380

// tables are the requests by subject.
var tables = []struct {
	name     string
	requests []request
}{
	{"files", fileRequests},
	{"repos", repoRequests},
	{"imports", importRequests},
	{"packages", packageRequests},
	{"snapshots", snapshotRequests},
	{"merges", mergeRequests},
	{"publish", publishRequests},
	{"publish-snapshots", publishSnapshotRequests},
	{"mirrors", mirrorRequests},
	{"tasks", taskRequests},
	{"errors", errorRequests},
}

// TestAptly compares the answers and the published trees.
func TestAptly(t *testing.T) {
	needPrograms(t)
	bin, key, upstream := build(t), newSigningKey(t), archive(t)
	j := &judge{accepted: accepted, used: map[int]int{}, newer: readNewer(t)}
	ran := 0
	for _, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			ran++
			aptly, ours := newAptly(t, key), newAptless(t, bin, key)
			aptly.upstream, ours.upstream = upstream, upstream
			for _, r := range table.requests {
				j.both(t, table.name+": "+r.String(), aptly, ours, key, r)
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

// both sends a request to both systems and compares the answers.
func (j *judge) both(t *testing.T, name string, aptly, ours *system, key signingKey, r request) {
	t.Helper()
	switch {
	case r.tree:
		j.compare(t, name, aptly.tree(t, r.path, key), ours.tree(t, r.path, key))
	case r.command != "":
		if a := ours.send(t, r); a["status"].(float64) >= 300 {
			t.Errorf("%s: %v", name, a)
		}
		must(t, aptly.run(words(r.command)...))
	default:
		j.compare(t, name, aptly.send(t, r), ours.send(t, r))
	}
}

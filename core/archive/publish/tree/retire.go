package tree

import (
	"slices"
	"time"

	"aptless/core/archive/publish/paths"
)

// A superseded by-hash object stays for keepGenerations and for keepFor: the
// later end counts. A reader with an old Release finds its indexes that long.
// For example, an object of generation 5 that is superseded on Monday is still
// there on Saturday, in generation 100.
const (
	keepGenerations = 3
	keepFor         = 7 * 24 * time.Hour
)

// A publication that changes every minute has many superseded objects, and each
// is named in every manifest. If there are more than maxRetired, the oldest go
// before keepFor has passed. Each stays for keepGenerations and for keepMany,
// and as long as a revision names it.
const (
	maxRetired = 8192
	keepMany   = time.Hour
)

// Outlived reports whether an object of a generation that was superseded at a
// time may go in a later generation with a later date.
func Outlived(generation int64, superseded time.Time, now int64, date time.Time) bool {
	return generation <= now-keepGenerations && date.Sub(superseded) >= keepFor
}

// Retirement is the input of Retire besides the two manifests.
type Retirement struct {
	Dist    paths.Dist
	Applied bool  // the last manifest was applied, so its Expired are gone
	Oldest  int64 // the first generation that the publication can be rolled back to
}

// Retire returns the by-hash objects that the new Release no longer names, and
// the keys of the objects that have stayed long enough.
func (r Retirement) Retire(m, prev *Manifest) (retired []Retired, expired []string) {
	done := map[string]bool{} // keys that stay as they are named by m, or are dealt with
	for key := range m.HashKeys(r.Dist) {
		done[key] = true
	}
	if !r.Applied {
		for _, key := range prev.Expired {
			if !done[key] {
				expired = append(expired, key)
			}
		}
	}
	// A name that is given up may become that of another publication.
	left := func(alias string) bool { return alias != "" && !slices.Contains(m.Aliases, alias) }
	note := func(old Retired, expires bool) {
		switch {
		case done[old.Key]:
		case left(old.Alias) || expires:
			expired = append(expired, old.Key)
		default:
			retired = append(retired, old)
		}
		done[old.Key] = true
	}
	for _, old := range prev.Retired {
		note(old, Outlived(old.Generation, old.At, m.Generation, m.Date))
	}
	for key, alias := range prev.HashKeys(r.Dist) {
		note(Retired{key, prev.Generation, m.Date, alias}, false)
	}
	n := r.excess(retired, m, prev)
	for _, old := range retired[:n] {
		expired = append(expired, old.Key)
	}
	return retired[n:], expired
}

// excess is how many of the retired objects, the oldest first, go because there
// are too many.
func (r Retirement) excess(retired []Retired, m, prev *Manifest) int {
	oldest := prev.Generation
	if r.Oldest > 0 {
		oldest = min(oldest, r.Oldest)
	}
	n := 0
	for len(retired)-n > maxRetired {
		first := retired[n] // in the order in which they were retired
		if first.Generation >= oldest || first.Generation > m.Generation-keepGenerations || m.Date.Sub(first.At) < keepMany {
			break
		}
		n++
	}
	return n
}

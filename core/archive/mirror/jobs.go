package mirror

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/formats/deb"
)

// outcome is the result of one entry of the queue.
type outcome struct {
	n         int // number of the entry, from 0
	entry     entry
	pkg       *deb.Package // the package that the file is the only one of; nil if it needs no record
	rows      []driver.Row // of the pool, stored together with those of other files
	got       deb.File     // the file that was stored; its SHA256 is "" if none was
	notInPool bool         // the pool lacks the file, so it need not be asked
	mismatch  *mismatch
	reason    string // of the failed download
	missing   bool   // the archive lacks the file as listed; the update goes on
	damaged   string // the package and the reason, if it is as listed but cannot be unpacked
	err       error  // of the storage
}

// recorded returns the package if its record is among the rows, else nil.
func (o *outcome) recorded() *deb.Package {
	if len(o.rows) > 1 {
		return o.pkg
	}
	return nil
}

// fetcher runs the downloads of a queue. mu guards the fields after it.
//
// An entry is begun only if the saved cursor says that it may have begun. So the next
// attempt asks the pool for these entries, and for no later ones. Example: a process
// dies after 20,000 of 60,000 files. The next attempt asks for about 1,000 files.
type fetcher struct {
	*update
	staged *pkglist.List
	probe  int // number of the first entry that no earlier attempt has begun

	mu         parallel.Mutex // held during saves
	mismatches map[deb.File]deb.File
	unsaved    []mismatch       // found since the last save
	held       []outcome        // finished since the last save
	heldBytes  int              // bytes of the rows of held
	finished   inOrder[outcome] // the cursor advances over a prefix without gaps
	progress   progress         // over all finished entries
	failed     int              // failures in a row
	stop       bool             // hand out no further entry
	saved      time.Time        // time of the last save
	sinceSave  int              // entries since the last save
	given      int              // entries handed out
	mayBegin   int              // number of the first entry that needs a save before
	sinceShown int              // entries since progress was shown
}

// maxJobs is how many entries are prepared together.
const maxJobs = 512

// jobs yields the entries of the queue with their packages. These are looked up for
// many entries at a time: a chunk of the list is unpacked once for all of them.
func (f *fetcher) jobs(ctx context.Context, queue iter.Seq2[lists.Record, error]) iter.Seq2[outcome, error] {
	return func(yield func(outcome, error) bool) {
		jobs := make([]outcome, 0, maxJobs)
		give := func() bool {
			if err := f.packages(ctx, jobs); err != nil {
				yield(outcome{}, err)
				return false
			}
			for _, job := range jobs {
				if !yield(job, nil) {
					return false
				}
			}
			jobs = jobs[:0]
			return true
		}
		for r, err := range queue {
			var job outcome
			if err == nil {
				err = json.Unmarshal(r.Val, &job.entry)
			}
			if err != nil {
				yield(job, err)
				return
			}
			if jobs = append(jobs, job); len(jobs) == maxJobs && !give() {
				return
			}
		}
		give()
	}
}

// packages looks up the packages of entries that get a record when their file has come.
func (f *fetcher) packages(ctx context.Context, jobs []outcome) error {
	var wanted []*deb.Package
	at := map[string]int{}
	for i, job := range jobs {
		if k := job.entry.Of; isBinary(job.entry.Kind, job.entry.Meta) && k.Name != "" {
			p := &deb.Package{Name: k.Name, Version: k.Version, Architecture: k.Architecture}
			at[p.ShortKey()] = i
			wanted = append(wanted, p)
		}
	}
	for p, err := range f.staged.Find(ctx, wanted) {
		if err != nil {
			return err
		}
		if i, ok := at[p.ShortKey()]; ok && len(p.Files) == 1 {
			jobs[i].pkg = p
		}
	}
	return nil
}

// isBinary reports whether a file is a .deb or .udeb, so its paths are read.
func isBinary(kind deb.Kind, meta bool) bool {
	return !meta && (kind == deb.Binary || kind == deb.Udeb)
}

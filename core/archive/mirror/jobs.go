package mirror

import (
	"context"
	"encoding/json"
	"iter"

	"aptless/core/engine/lists"
	"aptless/core/formats/deb"
)

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

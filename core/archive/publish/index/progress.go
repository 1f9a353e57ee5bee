package index

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
)

// Progress is how far the slices of a task have come with staging.
type Progress struct {
	Indexes []Index       // that are staged
	Paths   *PathProgress // of the list of paths, nil before it is begun
}

// PathProgress is how far the list of paths is made.
type PathProgress struct {
	Component string      // that is being added; those before it are done
	Packages  int         // of its changes that are added
	Fresh     bool        // the list is made by an external sort
	List      *lists.Ref  // edited so far
	Runs      []lists.Ref // of the external sort
}

func progressKey(folder string) string { return folder + "/progress.json" }

// maxProgress bounds a progress, in bytes.
const maxProgress = 256 << 20

// SaveProgress writes a progress to the folder of the attempt, and returns its key.
func (st *Stager) SaveProgress(ctx context.Context, p Progress) (key string, err error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return progressKey(st.Folder), st.Put(ctx, progressKey(st.Folder), data)
}

// ReadProgress reads the progress with a key.
func ReadProgress(ctx context.Context, blobs driver.Blobs, key string) (Progress, error) {
	var p Progress
	r, _, err := blobs.Open(ctx, key, nil)
	if err != nil {
		return p, err
	}
	defer r.Close()
	if err := json.NewDecoder(io.LimitReader(r, maxProgress)).Decode(&p); err != nil {
		return p, fmt.Errorf("progress %s: %w", key, err)
	}
	for i := range p.Indexes {
		for _, f := range p.Indexes[i].files() {
			if err := f.Check(); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// over returns the last set with the indexes of earlier slices in the place of
// its own: what they have staged is taken over without a request.
func (p Progress) over(base *Set) *Set {
	if len(p.Indexes) == 0 {
		return base
	}
	with := *base
	with.Indexes = slices.Clone(p.Indexes)
	for _, x := range base.Indexes {
		if !slices.ContainsFunc(p.Indexes, func(y Index) bool { return y.Path == x.Path }) {
			with.Indexes = append(with.Indexes, x)
		}
	}
	return &with
}

// pause ends the slice if its time is over. made is how far this slice has come.
func (st *Stager) pause(ctx context.Context, made Progress) error {
	if st.OutOfTime == nil || !st.OutOfTime() {
		return nil
	}
	return st.Pause(ctx, made)
}

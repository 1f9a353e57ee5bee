package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"aptless/core/archive/origin"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// outcomes are the lines of a report and their uploads.
type outcomes struct {
	Failed, Warnings, Added, Removed []string
	Files                            []file   // imported uploads
	Others                           []string `json:",omitempty"` // paths of files that are no packages
}

func (o *outcomes) append(more outcomes) {
	o.Failed, o.Warnings = append(o.Failed, more.Failed...), append(o.Warnings, more.Warnings...)
	o.Added, o.Removed = append(o.Added, more.Added...), append(o.Removed, more.Removed...)
	o.Files, o.Others = append(o.Files, more.Files...), append(o.Others, more.Others...)
}

func (o *outcomes) fail(f failure) {
	o.Failed, o.Warnings = append(o.Failed, f.path), append(o.Warnings, f.warning)
}

func (o *outcomes) addImported(uploads ...upload.Upload) {
	for _, u := range uploads {
		o.Files = append(o.Files, file{u.Dir, u.Name, u.Blob, u.Version()})
	}
}

// addOthers notes the files beside the packages of a directory.
func (o *outcomes) addOthers(c collection) {
	for _, f := range c.failed {
		o.fail(f)
	}
	o.addImported(c.processed...)
	for _, u := range c.others {
		o.Others = append(o.Others, u.Path())
	}
}

// ignore adds a warning for each other file that no imported .dsc lists. taken
// has the paths of imported files.
func (o *outcomes) ignore(taken map[string]bool) {
	slices.Sort(o.Others)
	for _, p := range o.Others {
		if !taken[p] {
			o.Warnings = append(o.Warnings, fmt.Sprintf("Ignored file %s: %s", p, ignoreReason(path.Base(p))))
		}
	}
	o.Others = nil
}

// file names an imported upload.
type file struct {
	Dir, Name, Blob string
	Version         string `json:",omitempty"` // of its row; older cursors lack it
}

// report returns the report as clients see it.
func (o *outcomes) report() ImportResult {
	list := func(lines []string) []string { return append([]string{}, lines...) }
	return ImportResult{list(o.Failed), Report{list(o.Warnings), list(o.Added), list(o.Removed)}}
}

// result returns the report as the result of a task.
func (o *outcomes) result() task.Result { return task.Result{Value: o.report()} }

// maxInline bounds the JSON of outcomes in the task's row, in bytes. maxParts
// bounds the objects that a cursor names.
const (
	maxInline = 32 << 10
	maxParts  = 64
)

// putPart stores outcomes as an object and adds it to the cursor. At maxParts
// objects it merges them into one.
func (s *Store) putPart(ctx context.Context, a *task.Attempt, at *cursor, o outcomes) error {
	if len(at.Parts) >= maxParts {
		former, err := s.outcomes(ctx, *at)
		if err != nil {
			return err
		}
		former.append(o)
		o, at.Parts = former, nil
	}
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("private/tasks/%d/outcomes-%d-%s", a.ID(), a.Token(), named.NewUUID())
	if _, err := s.Pool.Blobs.Put(ctx, key, bytes.NewReader(data), driver.PutOptions{Size: int64(len(data))}); err != nil {
		return err
	}
	at.Parts = append(slices.Clone(at.Parts), key)
	return nil
}

// outcomes returns all outcomes of a cursor.
func (s *Store) outcomes(ctx context.Context, at cursor) (outcomes, error) {
	var all outcomes
	for _, key := range at.Parts {
		var part outcomes
		if err := s.getJSON(ctx, key, &part); err != nil {
			return all, err
		}
		all.append(part)
	}
	if at.Outcomes != nil {
		all.append(*at.Outcomes)
	}
	return all, nil
}

// getJSON reads an object into v.
func (s *Store) getJSON(ctx context.Context, key string, v any) error {
	r, _, err := s.Pool.Blobs.Open(ctx, key, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	return json.NewDecoder(r).Decode(v)
}

// Report lists the effects of an import for clients.
type Report struct {
	Warnings, Added, Removed []string
}

// ImportResult is the result of an import.
type ImportResult struct {
	FailedFiles []string
	Report      Report
}

// hashing is the state of the digests of a large file.
type hashing struct {
	Blob  string // the object
	State []byte // see upload.Store.Digest
}

// cursor is the checkpoint of an import or an inclusion.
type cursor struct {
	Release     string `json:"Changes,omitempty"` // path of the current .changes; all before it are done
	ReleaseBlob string `json:",omitempty"`        // the object with its content
	After       string `json:"Last,omitempty"`    // the last finished file: its key, or its name in a .changes

	Lists   []stagedList `json:",omitempty"` // of the targets
	Origins bool         `json:",omitempty"` // there are pending origins

	Read    int      `json:",omitempty"` // packages, for the progress
	Hashing *hashing `json:",omitempty"` // the large file whose digests are being computed

	Few   []origin.Origin `json:",omitempty"` // of a staged import: for the transaction of the commit
	Parts []string        `json:",omitempty"` // objects with outcomes, in order

	Staged    bool `json:",omitempty"` // only the commit is left, and the outcomes are the whole report
	Committed bool `json:",omitempty"`
	Owes      bool `json:",omitempty"` // the removal of the uploads is a debt
	Removed   int  `json:",omitempty"` // the number of imported uploads that are removed

	// For a staged or committed import.
	Outcomes *outcomes `json:",omitempty"` // nil if they are in Parts

	// For old imports, committed before Parts existed.
	Blob   string        `json:",omitempty"` // the object with such a cursor
	Files  []file        `json:",omitempty"`
	Result *ImportResult `json:",omitempty"`
}

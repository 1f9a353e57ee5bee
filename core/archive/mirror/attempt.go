package mirror

import (
	"context"
	"time"

	"aptless/core/archive/upstream"
	"aptless/core/engine/lists"
	"aptless/core/engine/task"
)

// UpdateArgs are the arguments of an update.
type UpdateArgs struct {
	UUID, Was        string // set by CheckUpdate; Was is the name in the request
	Name             string // the new name; "" keeps the present one
	Keyrings         []string
	IgnoreSignatures *bool
	IgnoreChecksums  bool  // take files that differ from the indexes
	IgnoreValidUntil bool  // accept Release files that have expired, or are older than the last one
	LatestOnly       bool  // keep the highest version of each name and architecture
	Strict           *bool // fail if a file cannot be taken; nil means the mirror's setting
}

// update is one attempt at an update.
type update struct {
	*Store
	attempt     *task.Attempt
	args        UpdateArgs
	mirror      Mirror           // as read at the beginning of the attempt
	access      *upstream.Access // of its archive
	trust       upstream.Trust
	fingerprint string
	cursor      cursor
	probed      bool // this attempt made the queue, so no other attempt has begun a file of it
	known       known
}

// cursor is the checkpoint of an update.
type cursor struct {
	Now        state             // becomes Mirror.Last on success; its Fingerprint is that of the settings used here
	Texts      lists.Ref         `json:",omitzero"` // the texts of the staged packages
	Staged     lists.Ref         // the new packages, with the digests that the indexes say
	Queue      lists.Ref         // the files to fetch
	After      []byte            // the key in Queue up to which files are done
	Begun      int               // of the entries after After, the first Begun may be in the pool
	Mismatches []mismatchObjects `json:"Odd,omitempty"` // objects that list files which differ from their index
	Failed     []string          // errors of downloads, at most maxFailures
	More       int               // the number of further errors
	Partial    Partial           // the packages and files that the archive lacks

	Fetched  bool // the queue is done
	Readings int  `json:",omitempty"` // earlier ones, of Releases whose files the archive lacked
	Detail   progress
}

// progress is the detail of an update's task that clients see.
type progress struct {
	TotalDownloadSize         int64
	RemainingDownloadSize     int64
	TotalNumberOfPackages     int
	RemainingNumberOfPackages int
	Partial                   // as far as is known
}

// mismatchObjects counts the objects with mismatches that an attempt has written.
type mismatchObjects struct {
	Token int64 // of the attempt
	N     int
}

// loggingAsker returns an Asker that writes each request to the task's output.
func (u *update) loggingAsker() upstream.Asker {
	return u.Store.upstreamAsker(u.access, func(line string) { u.attempt.Printf("%s\n", line) })
}

// failure turns an error of the archive into a refusal. If the attempt is over it
// returns the cause of that.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return task.Fail(500, updateError+": %w", err)
}

// strict reports whether the update fails if it cannot take everything.
func (u *update) strict() bool {
	if u.args.Strict != nil {
		return *u.args.Strict
	}
	return u.mirror.Strict
}

// fetch saves rows and its cursor every saveEvery, after saveAfter files, or when the
// rows have maxRowBytes. So a worker that keeps being killed still makes progress.
// It shows progress after showAfter files.
const (
	saveEvery   = 5 * time.Second
	saveAfter   = 512
	maxRowBytes = 8 << 20
	showAfter   = 64
)

// beginAhead is how many entries an attempt may begin before its next save. A save
// usually comes first.
const beginAhead = 2 * saveAfter

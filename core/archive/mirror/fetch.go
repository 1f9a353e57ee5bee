package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/pool"
	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// maxFile is the largest file that is fetched although nothing says how large
// it is, in bytes.
const maxFile = 16 << 30

// outcome is what became of an entry of the queue.
type outcome struct {
	n        int // of the entry, counted from 0
	entry    entry
	fresh    bool // the pool is known not to have its file
	mismatch *mismatch
	why      string // it could not be fetched
	lacks    bool   // because the archive does not have it as listed; the others are fetched
	damaged  string // it is as listed and cannot be unpacked: the package and the reason
	err      error  // of the storage
}

// fetch fetches the files of the queue, several at a time. Each is in the pool
// as soon as it is complete. The saved cursor only says from which entry on to look.
func (u *update) fetch(ctx context.Context) error {
	queue, err := u.Lists.Chunks.Open(ctx, u.at.Queue)
	if err != nil {
		return err
	}
	staged, err := u.Lists.Open(ctx, u.at.Staged)
	if err != nil {
		return err
	}
	mismatches, err := u.mismatches(ctx)
	if err != nil {
		return err
	}
	f := &fetching{update: u, staged: staged, mismatches: mismatches, shown: u.at.Detail, given: map[uint64]bool{}}
	u.attempt.Detail(f.shown)
	if err := f.all(ctx, queue); err != nil {
		return err
	}
	if failed := u.at.Failed; len(failed) > 0 {
		if u.at.More > 0 {
			failed = append(failed, fmt.Sprintf("and %d more", u.at.More))
		}
		return task.Fail(500, updateError+": download errors:\n  %s", strings.Join(failed, "\n  "))
	}
	u.at.Fetched = true
	return f.save(ctx)
}

// fetching is the fetching of the files of a queue. mu guards all that workers
// change; given belongs to the loop that hands out the entries.
type fetching struct {
	*update
	staged *pkglist.List
	given  map[uint64]bool // the beginnings of the SHA-256 of the files that were handed out

	mu         sync.Mutex
	mismatches map[deb.File]deb.File
	fresh      []mismatch       // that were not saved
	finished   inOrder[outcome] // the cursor advances over these
	shown      progress         // counts all
	failed     int              // in a row
	stop       bool             // no further entry is to be fetched
	saved      time.Time        // when the cursor was
	since      int              // entries since then
}

// defaultFetches is how many files are fetched at a time unless the operator has said.
const defaultFetches = 4

// all fetches the entries after the cursor by several workers, until all are
// done, too many in a row have failed or the slice is over.
func (f *fetching) all(ctx context.Context, queue *lists.List) error {
	n := f.Options.Parallel
	if n <= 0 {
		n = defaultFetches
	}
	f.saved = f.Now()
	given := 0
	err := parallel.Run(ctx, n, func(ctx context.Context, g *parallel.Group) error {
		for r, err := range queue.From(ctx, append(bytes.Clone(f.at.After), 0)) {
			job := outcome{n: given}
			if err == nil {
				err = json.Unmarshal(r.Val, &job.entry)
			}
			if err != nil {
				return err
			}
			begins := beginning(job.entry.Want.SHA256)
			job.fresh = f.probed && !job.entry.Meta && !f.given[begins]
			f.given[begins] = true
			given++
			if f.known(job) {
				continue
			}
			if f.stopped() || !g.Go(func(ctx context.Context) error { return f.work(ctx, job) }) {
				break
			}
		}
		return nil
	})
	if err == nil && f.stopped() && f.failed < maxFailures && f.finished.next < given {
		if err = f.save(ctx); err == nil {
			err = task.ErrContinue
		}
	}
	return err
}

// work fetches an entry and notes what became of it. The cursor is saved when it
// is time.
func (f *fetching) work(ctx context.Context, job outcome) error {
	if f.outOfTime() { // since the entry was handed out
		return nil
	}
	if f.one(ctx, &job); job.err != nil {
		return job.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count(job)
	f.stop = f.stop || f.failed >= maxFailures || f.attempt.SliceOver()
	if f.since++; f.since < saveAfter && f.Now().Sub(f.saved) < saveEvery {
		return nil
	}
	f.saved, f.since = f.Now(), 0
	return f.save(ctx)
}

// known reports whether an entry was fetched before the cursor was saved, and
// counts it then.
func (f *fetching) known(job outcome) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.mismatches[job.entry.Want]
	if ok {
		f.count(job)
	}
	return ok
}

// outOfTime reports whether the slice is over. An entry that was handed out before
// too many have failed is still fetched: the cursor does not advance over a gap, and
// what failed after it would not be told.
func (f *fetching) outOfTime() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stop && f.failed < maxFailures
}

// stopped reports whether no further entry is to be fetched.
func (f *fetching) stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stop
}

// beginning is the first part of a digest in hex: few have it in common, and of a
// file that has it is only looked for in the pool once more.
func beginning(sha256 string) uint64 {
	n, _ := strconv.ParseUint(sha256[:min(16, len(sha256))], 16, 64)
	return n
}

// count notes what became of an entry.
func (f *fetching) count(got outcome) {
	if got.mismatch != nil {
		f.mismatches[got.mismatch.Want] = got.mismatch.Got
		f.fresh = append(f.fresh, *got.mismatch)
	}
	if f.failed++; got.why == "" || got.lacks {
		f.failed = 0
	}
	f.shown.count(got)
	f.attempt.Detail(f.shown)
	for _, o := range f.finished.add(got.n, got) {
		f.at.After = o.entry.key()
		f.at.Detail.count(o)
		if o.damaged != "" {
			f.at.Partial.addDamaged(o.damaged)
			f.shown.Partial = f.at.Partial
		}
		switch {
		case o.why == "":
		case o.lacks:
			f.at.Partial.addFile(o.why)
			f.shown.Partial = f.at.Partial
		case len(f.at.Failed) < maxFailures:
			f.at.Failed = append(f.at.Failed, clip(o.why))
		default:
			f.at.More++
		}
	}
}

// count takes off what has been fetched.
func (p *progress) count(o outcome) {
	if o.why == "" && !o.entry.Meta {
		p.RemainingNumberOfPackages--
		p.RemainingDownloadSize -= o.entry.Want.Size
	}
}

// save stores the mismatches, then the cursor that knows of them.
func (f *fetching) save(ctx context.Context) error {
	if len(f.fresh) > 0 {
		if err := f.saveMismatches(ctx, f.fresh); err != nil {
			return err
		}
		f.fresh = nil
	}
	return f.attempt.Save(ctx, f.at)
}

// one fetches an entry, unless the pool may have its file and does.
func (f *fetching) one(ctx context.Context, o *outcome) {
	if o.entry.Want.SHA256 != "" && !o.fresh {
		there, err := f.Pool.Has(ctx, o.entry.Want.SHA256)
		if there || err != nil {
			o.err = err
			return
		}
	}
	archive := f.mirror.archive()
	address := archive.FileURL(o.entry.Path)
	if o.entry.Meta {
		address = archive.IndexURL(o.entry.Path)
		f.attempt.Printf("Downloading %s %s...\n", o.entry.what(), o.entry.Path)
	}
	var lease *parallel.Lease
	if isBinary(o.entry.Kind, o.entry.Meta) { // before the other server is kept waiting
		if lease, o.err = f.Pool.Reserve(ctx); o.err != nil {
			return
		}
		defer lease.Release()
	}
	file, err := f.Store.asker(f.access, nil).Open(ctx, address, o.entry.Want, !f.args.IgnoreChecksums, maxFile)
	if err == nil {
		defer file.Close()
		err = f.keep(ctx, o, file, lease)
	}
	f.explain(ctx, o, err)
}

// explain notes in the outcome why an entry was not fetched, and whether the
// archive lacks it.
func (f *fetching) explain(ctx context.Context, o *outcome, err error) {
	switch {
	case o.err != nil:
	case err == nil:
	case ctx.Err() != nil:
		o.err = context.Cause(ctx)
	case o.entry.Meta && upstream.Missing(err):
		f.attempt.Printf("@y[!]@| @!skipping %s %s: not found@|\n", o.entry.what(), o.entry.Path)
	case o.entry.Meta:
		o.why = fmt.Sprintf("unable to download %s %s: %v", o.entry.what(), o.entry.Path, err)
	default:
		o.why = err.Error()
	}
	o.lacks = err != nil && !f.strict() && (upstream.Missing(err) || errors.Is(err, upstream.ErrMismatch))
}

// keep puts a file into the pool while it is fetched. What it returns is an
// error of upstream; one of the storage is the outcome's.
func (f *fetching) keep(ctx context.Context, o *outcome, file *upstream.File, lease *parallel.Lease) error {
	body := &errorKeeper{Reader: file}
	var r io.Reader = body
	var contents *reading // nil without paths
	if isBinary(o.entry.Kind, o.entry.Meta) {
		contents = readPaths(ctx, f.Pool, lease, path.Base(o.entry.Path))
		defer contents.end()
		r = io.TeeReader(body, contents)
	}
	want := o.entry.Want
	var err error
	if want.SHA256 != "" && want.Size > 0 && !f.args.IgnoreChecksums {
		err = f.Pool.Keep(ctx, want.SHA256, want.Size, r)
	} else {
		err = f.Pool.KeepUnknown(ctx, r, file.Got)
	}
	if wrong := errors.Is(err, driver.ErrDigest); body.err == nil && (err == nil || wrong) {
		// The store need not have looked for the end, which says what is wrong.
		if _, endErr := io.Copy(io.Discard, r); err == nil {
			err = endErr
		}
	}
	switch {
	case body.err != nil && body.err != io.EOF:
		return body.err
	case err != nil:
		o.err = err
		return nil
	}
	got := file.Got()
	got.Name = want.Name
	if want.SHA256 == "" || want.SHA256 != got.SHA256 {
		o.mismatch = &mismatch{want, got}
	}
	rows := []driver.Row{f.Pool.SumsRow(got)}
	if contents != nil {
		row, err := f.record(ctx, o, got, contents)
		if err != nil {
			o.err = err
			return nil
		}
		rows = append(rows, row...)
	}
	o.err = f.Table.Put(ctx, rows...)
	return nil
}

// record returns the row of the record of a package whose file has come.
func (f *fetching) record(ctx context.Context, o *outcome, got deb.File, contents *reading) ([]driver.Row, error) {
	p, found, err := f.staged.Get(ctx, o.entry.Of)
	if err != nil || !found || len(p.Files) != 1 {
		return nil, err
	}
	p.Files[0] = got
	rec := pool.Record{Package: p}
	c, err := contents.end()
	if err != nil {
		return nil, err
	}
	if rec.Paths, rec.NoPaths = pool.PathsOf(c.Paths), c.NoPaths; c.NoPaths != "" {
		o.damaged = fmt.Sprintf("%v: %s", p, c.NoPaths)
	}
	row, err := f.Pool.Row(ctx, rec)
	return []driver.Row{row}, err
}

// isBinary reports whether a file is one whose archive has paths.
func isBinary(kind deb.Kind, meta bool) bool {
	return !meta && (kind == deb.Binary || kind == deb.Udeb)
}

// errorKeeper remembers the error of what is read.
type errorKeeper struct {
	io.Reader
	err error
}

func (s *errorKeeper) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// reading reads the paths of a binary package that is written to it.
type reading struct {
	*io.PipeWriter
	found *parallel.Call[pool.Contents]
	lease *parallel.Lease
}

func readPaths(ctx context.Context, from *pool.Store, lease *parallel.Lease, name string) *reading {
	r, w := io.Pipe()
	return &reading{w, parallel.Start(func() (pool.Contents, error) {
		defer r.Close() // after a panic the writer does not wait for a reader
		c, err := unpack(ctx, from, lease, r, name)
		io.Copy(io.Discard, r) // the writer does not wait for a reader that has seen enough
		return c, err
	}), lease}
}

// unpack is pool.Store.Unpack; a file that is no package is one without readable paths.
func unpack(ctx context.Context, from *pool.Store, lease *parallel.Lease, r io.Reader, name string) (pool.Contents, error) {
	c, err := from.Unpack(ctx, lease, r, name)
	if errors.Is(err, deb.ErrArchive) {
		return pool.Contents{NoPaths: err.Error()}, nil
	}
	return c, err
}

// end says that the package has ended and returns its paths.
func (c *reading) end() (pool.Contents, error) {
	c.Close()
	return c.found.Result()
}

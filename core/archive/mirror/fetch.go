package mirror

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"aptless/core/archive/pool"
	"aptless/core/archive/upstream"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
	"aptless/core/formats/deb"
)

// maxFile bounds a download of unknown size, in bytes.
const maxFile = 16 << 30

// fetch fetches the files of the queue, several at a time. A complete file is in
// the pool at once. The rows of many files are stored together, before the cursor
// that passes them. After a death the next attempt finds files without rows in the
// pool, and the update completes their records. If files are missing, moved says
// whether the update begins again.
func (u *update) fetch(ctx context.Context, moved func(context.Context) (bool, error)) error {
	queue, err := u.Lists.Chunks.Open(ctx, u.cursor.Queue)
	if err != nil {
		return err
	}
	staged, err := u.Lists.Open(ctx, u.cursor.Staged)
	if err != nil {
		return err
	}
	mismatches, err := u.mismatches(ctx)
	if err != nil {
		return err
	}
	f := &fetcher{update: u, staged: staged, mismatches: mismatches, progress: u.cursor.Detail, mu: parallel.NewMutex(), mayBegin: u.cursor.Begun}
	if !u.probed {
		f.probe = u.cursor.Begun
	}
	u.attempt.Detail(f.progress)
	if err := f.fetchAll(ctx, queue); err != nil {
		return err
	}
	if u.cursor.Partial.MissingFiles > 0 || len(u.cursor.Failed) > 0 {
		if again, err := moved(ctx); err != nil || again {
			return cmp.Or(err, task.ErrContinue)
		}
	}
	if failed := u.cursor.Failed; len(failed) > 0 {
		if u.cursor.More > 0 {
			failed = append(failed, fmt.Sprintf("and %d more", u.cursor.More))
		}
		return task.Fail(500, updateError+": download errors:\n  %s", strings.Join(failed, "\n  "))
	}
	u.cursor.Fetched = true
	return f.save(ctx)
}

// defaultFetches is the number of concurrent downloads unless Options say
// otherwise.
const defaultFetches = 8

// fetchAll fetches the entries after the cursor. It ends when all are done, when
// too many in a row have failed, or when the slice is over.
func (f *fetcher) fetchAll(ctx context.Context, queue *lists.List) error {
	n := f.Options.Parallel
	if n <= 0 {
		n = defaultFetches
	}
	f.saved = f.Now()
	err := parallel.Run(ctx, n, func(ctx context.Context, g *parallel.Group) error {
		for job, err := range f.jobs(ctx, queue.From(ctx, append(bytes.Clone(f.cursor.After), 0))) {
			if err != nil {
				return err
			}
			if err := f.begin(ctx, &job); err != nil {
				return err
			}
			if f.alreadyFetched(job) {
				continue
			}
			if f.stopped() || !g.Go(func(ctx context.Context) error { return f.work(ctx, job) }) {
				break
			}
		}
		return nil
	})
	if err == nil {
		err = f.flush(ctx)
	}
	if err == nil && f.stopped() && f.failed < maxFailures && f.finished.next < f.given {
		if err = f.saveUpTo(ctx, max(f.given, f.probe)); err == nil {
			err = task.ErrContinue
		}
	}
	return err
}

// begin numbers an entry. It saves the cursor unless that allows the entry.
func (f *fetcher) begin(ctx context.Context, job *outcome) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	job.n = f.given
	job.notInPool = job.n >= f.probe && !job.entry.Meta && !job.entry.Again
	f.given++
	if job.n < f.mayBegin {
		return nil
	}
	return f.save(ctx)
}

// work fetches an entry, counts it, and saves the cursor when a save is due.
func (f *fetcher) work(ctx context.Context, job outcome) error {
	if f.outOfTime() { // the slice ended after the entry was handed out
		return nil
	}
	if f.fetchOne(ctx, &job); job.err != nil {
		return job.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finish(job)
	f.stop = f.stop || f.failed >= maxFailures || f.attempt.SliceOver()
	if f.sinceSave++; f.sinceSave < saveAfter && f.heldBytes < maxRowBytes && f.Now().Sub(f.saved) < saveEvery {
		return nil
	}
	f.saved, f.sinceSave = f.Now(), 0
	return f.save(ctx)
}

// alreadyFetched reports whether the mismatches of an earlier save include the
// entry. If so it counts the entry.
func (f *fetcher) alreadyFetched(job outcome) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.mismatches[job.entry.Want]
	if ok {
		f.finish(job)
	}
	return ok
}

// outOfTime reports whether the slice is over. Entries handed out before too many
// failures are still fetched. The cursor cannot pass a gap, so failures after the
// gap would not be reported.
func (f *fetcher) outOfTime() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stop && f.failed < maxFailures
}

// stopped reports whether to hand out no further entry.
func (f *fetcher) stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stop
}

// finish counts a finished entry and holds its rows for the next flush.
func (f *fetcher) finish(got outcome) {
	if got.mismatch != nil {
		f.mismatches[got.mismatch.Want] = got.mismatch.Got
		f.unsaved = append(f.unsaved, *got.mismatch)
	}
	if f.failed++; got.reason == "" || got.missing {
		f.failed = 0
	}
	f.progress.count(got)
	if f.sinceShown++; f.sinceShown >= showAfter {
		f.attempt.Detail(f.progress)
		f.sinceShown = 0
	}
	f.held = append(f.held, got)
	for _, row := range got.rows {
		f.heldBytes += len(row.Data)
	}
}

// flush stores the rows that are held. Then the cursor may pass their entries.
func (f *fetcher) flush(ctx context.Context) error {
	var rows []driver.Row
	seen := map[driver.Key]bool{} // two entries may have equal files
	for _, o := range f.held {
		for _, row := range o.rows {
			if !seen[row.Key] {
				seen[row.Key] = true
				rows = append(rows, row)
			}
		}
	}
	if len(rows) > 0 {
		if err := f.Table.Put(ctx, rows...); err != nil {
			return err
		}
	}
	for _, o := range f.held {
		if o.got.SHA256 != "" && o.mismatch == nil {
			f.known.add(o.got, o.recorded())
		}
		o.rows, o.pkg, o.got = nil, nil, deb.File{}
		f.advance(o)
	}
	f.held, f.heldBytes = nil, 0
	f.attempt.Detail(f.progress)
	return nil
}

// advance moves the cursor over an entry when all entries before it are stored.
func (f *fetcher) advance(got outcome) {
	for _, o := range f.finished.add(got.n, got) {
		f.cursor.After = o.entry.key()
		f.cursor.Detail.count(o)
		if o.damaged != "" {
			f.cursor.Partial.addDamaged(o.damaged)
			f.progress.Partial = f.cursor.Partial
		}
		switch {
		case o.reason == "":
		case o.missing:
			f.cursor.Partial.addFile(o.reason)
			f.progress.Partial = f.cursor.Partial
		case len(f.cursor.Failed) < maxFailures:
			f.cursor.Failed = append(f.cursor.Failed, clip(o.reason))
		default:
			f.cursor.More++
		}
	}
}

// count subtracts a fetched file.
func (p *progress) count(o outcome) {
	if o.reason == "" && !o.entry.Meta {
		p.RemainingNumberOfPackages--
		p.RemainingDownloadSize -= o.entry.Want.Size
	}
}

// save is a save after which further entries may begin.
func (f *fetcher) save(ctx context.Context) error {
	return f.saveUpTo(ctx, max(f.mayBegin, f.given+beginAhead))
}

// saveUpTo stores the rows and new mismatches, then the cursor that refers to them.
// Entries from number mayBegin on may not begin before the next save.
func (f *fetcher) saveUpTo(ctx context.Context, mayBegin int) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	if len(f.unsaved) > 0 {
		if err := f.saveMismatches(ctx, f.unsaved); err != nil {
			return err
		}
		f.unsaved = nil
	}
	f.cursor.Begun = mayBegin - f.finished.next
	if err := f.attempt.Save(ctx, f.cursor); err != nil {
		return err
	}
	f.mayBegin = mayBegin
	return nil
}

// fetchOne fetches an entry, unless the pool has its file.
func (f *fetcher) fetchOne(ctx context.Context, o *outcome) {
	if o.entry.Want.SHA256 != "" && !o.notInPool {
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
		f.attempt.Printf("Downloading %s %s...\n", o.entry.description(), o.entry.Path)
	}
	var lease *parallel.Lease
	if isBinary(o.entry.Kind, o.entry.Meta) { // memory is reserved before the connection opens
		if lease, o.err = f.Pool.Reserve(ctx); o.err != nil {
			return
		}
		defer lease.Release()
	}
	file, err := f.Store.upstreamAsker(f.access, nil).Open(ctx, address, o.entry.Want, !f.args.IgnoreChecksums, maxFile)
	if err == nil {
		defer file.Close()
		err = f.store(ctx, o, file, lease)
	}
	f.explain(ctx, o, err)
}

// explain sets the reason of a failed entry, and whether the archive lacks the
// file.
func (f *fetcher) explain(ctx context.Context, o *outcome, err error) {
	switch {
	case o.err != nil:
	case err == nil:
	case ctx.Err() != nil:
		o.err = context.Cause(ctx)
	case o.entry.Meta && upstream.Missing(err):
		f.attempt.Printf("@y[!]@| @!skipping %s %s: not found@|\n", o.entry.description(), o.entry.Path)
	case o.entry.Meta:
		o.reason = fmt.Sprintf("unable to download %s %s: %v", o.entry.description(), o.entry.Path, err)
	default:
		o.reason = err.Error()
	}
	o.missing = err != nil && !f.strict() && (upstream.Missing(err) || errors.Is(err, upstream.ErrMismatch))
}

// store stores a file in the pool. It returns an error of the archive; an error of
// the storage goes into the outcome.
func (f *fetcher) store(ctx context.Context, o *outcome, file *upstream.File, lease *parallel.Lease) error {
	name := path.Base(o.entry.Path)
	body := &errorKeeper{file: file}
	if !isBinary(o.entry.Kind, o.entry.Meta) {
		return f.storeBytes(ctx, o, body, body, nil)
	}
	if size := o.entry.Want.Size; 0 < size && size <= smallFile && !f.args.IgnoreChecksums {
		data := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
		if _, err := data.ReadFrom(body); err != nil {
			return err
		}
		return f.storeBytes(ctx, o, body, bytes.NewReader(data.Bytes()), func() (pool.Contents, error) {
			return unpack(ctx, f.Pool, lease, bytes.NewReader(data.Bytes()), name)
		})
	}
	paths := readPaths(ctx, f.Pool, lease, name)
	defer paths.end()
	return f.storeBytes(ctx, o, body, io.TeeReader(body, paths), paths.end)
}

// storeBytes stores the bytes of r, which are those of body, the body of the file.
// contents returns the paths in the file; nil if it is no binary package.
func (f *fetcher) storeBytes(ctx context.Context, o *outcome, body *errorKeeper, r io.Reader, contents func() (pool.Contents, error)) error {
	file := body.file
	err := f.keep(ctx, o.entry.Want, r, file)
	if wrong := errors.Is(err, driver.ErrDigest); body.err == nil && (err == nil || wrong) {
		// The pool may stop before the end of the body. Reading on reveals the
		// archive's own error.
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
	got.Name = o.entry.Want.Name
	if o.entry.Want.SHA256 == "" || o.entry.Want.SHA256 != got.SHA256 {
		o.mismatch = &mismatch{o.entry.Want, got}
	}
	o.got, o.rows = got, []driver.Row{f.Pool.SumsRow(got)}
	if contents != nil && o.pkg != nil {
		o.err = f.record(ctx, o, got, contents)
	}
	return nil
}

// smallFile bounds a package file that is held in memory, in bytes. A larger one is
// unpacked while it is stored.
const smallFile = 256 << 10

// keep stores the bytes of a file in the pool.
func (f *fetcher) keep(ctx context.Context, want deb.File, r io.Reader, file *upstream.File) error {
	if want.SHA256 != "" && want.Size > 0 && !f.args.IgnoreChecksums {
		return f.Pool.Keep(ctx, want.SHA256, want.Size, r)
	}
	return f.Pool.KeepUnknown(ctx, r, file.Got)
}

// record adds the row with the record of a package whose file was fetched.
func (f *fetcher) record(ctx context.Context, o *outcome, got deb.File, contents func() (pool.Contents, error)) error {
	p := o.pkg
	p.Files[0] = got
	rec := pool.Record{Package: p}
	c, err := contents()
	if err != nil {
		return err
	}
	if rec.Paths, rec.NoPaths = pool.PathsOf(c.Paths), c.NoPaths; c.NoPaths != "" {
		o.damaged = fmt.Sprintf("%v: %s", p, c.NoPaths)
	}
	row, err := f.Pool.Row(ctx, rec)
	o.rows = append(o.rows, row)
	return err
}

// errorKeeper keeps the error of reading its file.
type errorKeeper struct {
	file *upstream.File
	err  error
}

func (s *errorKeeper) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// pathReader reads the paths of the binary package that is written to it.
type pathReader struct {
	*io.PipeWriter
	found *parallel.Call[pool.Contents]
	lease *parallel.Lease
}

func readPaths(ctx context.Context, from *pool.Store, lease *parallel.Lease, name string) *pathReader {
	r, w := io.Pipe()
	return &pathReader{w, parallel.Start(func() (pool.Contents, error) {
		defer r.Close() // unblocks the writer after a panic
		c, err := unpack(ctx, from, lease, r, name)
		io.Copy(io.Discard, r) // unblocks the writer after the last needed byte
		return c, err
	}), lease}
}

// unpack is pool.Store.Unpack, except that a damaged package has NoPaths instead
// of an error.
func unpack(ctx context.Context, from *pool.Store, lease *parallel.Lease, r io.Reader, name string) (pool.Contents, error) {
	c, err := from.Unpack(ctx, lease, r, name)
	if errors.Is(err, deb.ErrArchive) {
		return pool.Contents{NoPaths: err.Error()}, nil
	}
	return c, err
}

// end closes the writer and returns the paths.
func (c *pathReader) end() (pool.Contents, error) {
	c.Close()
	return c.found.Result()
}

package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/pkglist"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/parallel"
	"aptless/core/engine/task"
)

// importer imports candidates into targets.
type importer struct {
	store   *Store
	attempt *task.Attempt
	dir     string
	force   bool // remove conflicting packages
	keep    bool // keep the uploads
	targets []*target
	cursor  cursor
	pending []entry   // since the last application of the edits
	since   time.Time // time of the last checkpoint
	unsaved outcomes  // since the last checkpoint
	largest int       // candidates of the largest batch so far
	origins origins

	taskCursor func(any) any // embeds the cursor in that of the task; nil if it is the task's
}

// importer returns an importer that continues at the cursor.
func (s *Store) importer(ctx context.Context, a *task.Attempt, dir string, force, keep bool) (*importer, error) {
	im := &importer{store: s.seenBy(ctx, a.By(), dir), attempt: a, dir: dir, force: force, keep: keep, since: s.Now(), origins: origins{store: s, attempt: a}}
	found, err := a.Cursor(&im.cursor)
	if err != nil || !found {
		return im, err
	}
	im.origins.pending = im.cursor.Origins
	return im, im.readOldCursor(ctx)
}

// readOldCursor reads an old cursor, which has the files and the result only.
func (im *importer) readOldCursor(ctx context.Context) error {
	if im.cursor.Blob != "" {
		if err := im.store.getJSON(ctx, im.cursor.Blob, &im.cursor); err != nil {
			return err
		}
	}
	if r := im.cursor.Result; r != nil {
		im.cursor.Committed = true
		im.cursor.Outcomes = &outcomes{Failed: r.FailedFiles, Warnings: r.Report.Warnings, Added: r.Report.Added, Removed: r.Report.Removed, Files: im.cursor.Files}
	}
	return nil
}

// target returns the target for a repository that the task holds.
func (im *importer) target(ctx context.Context, uuid, name, missing string) (*target, error) {
	for _, t := range im.targets {
		if t.uuid == uuid {
			return t, nil
		}
	}
	r, err := im.store.row(ctx, im.attempt, uuid, name, 500, missing)
	if err != nil {
		return nil, err
	}
	for _, staged := range im.cursor.Lists {
		if staged.UUID == uuid {
			r.List = staged.List
		}
	}
	list, err := im.store.Packages(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("unable to load packages: %w", err)
	}
	t := &target{uuid: uuid, name: name, missing: missing}
	t.reset(list)
	im.targets = append(im.targets, t)
	return t, nil
}

// maxHeld bounds the rows or packages that wait to be stored, in bytes.
const maxHeld = 16 << 20

// limit returns how many candidates the next batch may have.
func (im *importer) limit() int { return min(max(minBatch, 2*im.largest), maxBatch) }

// batch reads candidates concurrently, stores their files and records, and plans
// their changes to the target's list.
func (im *importer) batch(ctx context.Context, into *target, candidates []upload.Upload, from *release) error {
	borrow := im.borrowing(ctx, into.list)
	rows := rowWriter{table: im.store.Table, stored: map[string]bool{}}
	pipe := parallel.Pipe[upload.Upload, stored]{
		Workers: maxWorkers, Budget: im.store.Pool.Memory, Weight: weight,
		Work: func(ctx context.Context, lease *parallel.Lease, u upload.Upload) (c stored, err error) {
			if c.result, err = im.store.read(ctx, lease, u, from, borrow); err == nil && c.refusal == "" {
				c.row, err = im.store.storeFiles(ctx, &c.result)
			}
			if err != nil {
				err = fmt.Errorf("unable to import package files: %w", err)
			}
			return c, err
		},
		Use: func(ctx context.Context, c stored) error {
			c.signers = from.signedBy()
			return im.planCandidate(ctx, into, c, &rows)
		},
	}
	err := pipe.Run(ctx, func(yield func(upload.Upload, error) bool) {
		for _, u := range candidates {
			if !yield(u, nil) {
				return
			}
		}
	})
	if err == nil {
		err = rows.flush(ctx)
	}
	if err == nil {
		im.largest = max(im.largest, len(candidates))
	}
	return err
}

// stored is a candidate after reading. Unless it is refused, the pool has its
// files.
type stored struct {
	result
	row     driver.Row // with its record
	signers []string   // of the .changes
}

// storeFiles moves the files of a candidate's package into the pool. It returns the row
// of its record.
func (s *Store) storeFiles(ctx context.Context, res *result) (driver.Row, error) {
	for _, f := range append([]upload.Upload{res.upload}, res.otherFiles...) {
		if err := s.Uploads.Adopt(ctx, f); err != nil {
			return driver.Row{}, err
		}
	}
	row, err := s.Pool.Row(ctx, res.record)
	res.record.Paths = nil
	return row, err
}

// planCandidate stores the record of a candidate and plans its changes.
func (im *importer) planCandidate(ctx context.Context, into *target, c stored, rows *rowWriter) error {
	e := entry{upload: c.upload, otherFiles: c.otherFiles, into: into, refusal: c.refusal, notes: c.notes, signers: c.signers}
	if e.refusal == "" {
		if err := rows.add(ctx, c.row); err != nil {
			return err
		}
		var err error
		e.id = identify(c.record.Package)
		if e.removed, e.refusal, err = into.plan(ctx, c.record.Package, e.id, im.force); err != nil {
			return err
		}
	}
	im.pending = append(im.pending, e)
	if im.cursor.Read++; im.cursor.Read%showAfter == 1 {
		im.attempt.Show(progress{im.cursor.Read})
	}
	if into.edit.Size() < maxHeld {
		return nil
	}
	return im.apply(ctx)
}

// progress is the detail of a running import.
type progress struct {
	NumberOfPackages int // read so far
}

// showAfter is the number of packages after which progress is shown.
const showAfter = 16

// rowWriter puts rows in batches, each key once.
type rowWriter struct {
	table  driver.Table
	stored map[string]bool
	rows   []driver.Row
	size   int // bytes of rows
}

func (w *rowWriter) add(ctx context.Context, row driver.Row) error {
	if w.stored[row.Sort] {
		return nil
	}
	w.stored[row.Sort] = true
	w.rows, w.size = append(w.rows, row), w.size+len(row.Data)
	if w.size < maxHeld {
		return nil
	}
	return w.flush(ctx)
}

func (w *rowWriter) flush(ctx context.Context) error {
	if len(w.rows) == 0 {
		return nil
	}
	err := w.table.Put(ctx, w.rows...)
	w.rows, w.size = nil, 0
	return err
}

// refuse reports a candidate or .changes that cannot be imported.
func (im *importer) refuse(u upload.Upload, warning string) {
	im.pending = append(im.pending, entry{upload: u, refusal: warning})
}

// apply applies the edits of all targets and reports the outcomes.
func (im *importer) apply(ctx context.Context) error {
	conflicts := map[*target]map[string]bool{}
	for _, t := range im.targets {
		var err error
		if conflicts[t], err = t.apply(ctx); err != nil {
			return err
		}
	}
	for _, e := range im.pending {
		if e.refusal == "" && conflicts[e.into][e.id.key] {
			e.refusal = "Unable to add package: package already exists and is different: " + e.id.title
		}
		im.unsaved.Removed = append(im.unsaved.Removed, e.removed...)
		if e.refusal != "" {
			im.unsaved.fail(failure{e.upload.Path(), e.refusal})
			continue
		}
		im.unsaved.Added = append(im.unsaved.Added, e.id.title+" added")
		im.unsaved.Warnings = append(im.unsaved.Warnings, e.notes...)
		im.unsaved.addImported(e.upload)
		im.unsaved.addImported(e.otherFiles...)
		if err := im.origins.add(ctx, e); err != nil {
			return err
		}
	}
	im.pending = nil
	return nil
}

// Bounds between two checkpoints.
const (
	maxPending = 2000 // candidates
)

// checkpoint saves the progress of the import unless it was saved recently. It
// returns task.ErrContinue if the slice is over.
func (im *importer) checkpoint(ctx context.Context) error {
	due := im.attempt.SliceOver() || len(im.pending) >= maxPending || im.store.Now().Sub(im.since) >= saveEvery
	if !due || len(im.pending) == 0 && len(im.unsaved.Files)+len(im.unsaved.Failed)+len(im.unsaved.Others) == 0 {
		return nil
	}
	return im.save(ctx)
}

// save is checkpoint without a condition.
func (im *importer) save(ctx context.Context) error {
	if err := im.apply(ctx); err != nil {
		return err
	}
	im.cursor.Lists = im.lists()
	if err := im.origins.flush(ctx); err != nil {
		return err
	}
	im.cursor.Origins = im.origins.pending
	if len(im.unsaved.Files)+len(im.unsaved.Failed)+len(im.unsaved.Others) > 0 {
		if err := im.store.putPart(ctx, im.attempt, &im.cursor, im.unsaved); err != nil {
			return err
		}
	}
	im.unsaved, im.since = outcomes{}, im.store.Now()
	if im.taskCursor != nil {
		return im.attempt.Checkpoint(ctx, im.taskCursor(im.cursor))
	}
	return im.attempt.Checkpoint(ctx, im.cursor)
}

// digest computes the digests of a large file that came without them, in slices. A file
// that differs from its announcement stays as it is: the import refuses it.
func (im *importer) digest(ctx context.Context, u *upload.Upload) error {
	if !im.store.Uploads.Sliceable(*u) {
		return nil
	}
	var state []byte
	if h := im.cursor.Hashing; h != nil && h.Blob == u.Blob {
		state = h.State
	}
	done, err := im.store.Uploads.Digest(ctx, *u, state, func(state []byte) error {
		if !im.attempt.SliceOver() && im.store.Now().Sub(im.since) < saveEvery {
			return nil
		}
		im.cursor.Hashing = &hashing{u.Blob, state}
		return im.save(ctx)
	})
	switch {
	case err == nil:
		*u = done
	case !errors.Is(err, driver.ErrDigest):
		return err
	}
	im.cursor.Hashing = nil
	return nil
}

// lists returns the lists of the targets.
func (im *importer) lists() []stagedList {
	var all []stagedList
	for _, t := range im.targets {
		all = append(all, stagedList{t.uuid, t.list.Ref()})
	}
	return all
}

// commit gives the repositories their new lists.
//
// ignored, if not nil, gets the paths of the imported files. It returns further
// lines of the report, about ignored files.
func (im *importer) commit(ctx context.Context, ignored func(map[string]bool) []string) (task.Result, error) {
	if err := im.apply(ctx); err != nil {
		return task.Result{}, err
	}
	for _, t := range im.targets {
		r, err := im.store.row(ctx, im.attempt, t.uuid, t.name, 500, t.missing)
		if err != nil {
			return task.Result{}, err
		}
		r.List = t.list.Ref()
		if err := im.store.save(im.attempt, &r); err != nil {
			return task.Result{}, err
		}
	}
	if err := im.origins.settle(ctx, len(im.targets)); err != nil {
		return task.Result{}, err
	}
	all, err := im.finishReport(ctx, ignored)
	if err != nil {
		return task.Result{}, err
	}
	im.cursor.Committed = true
	im.attempt.Answer(all.result())
	im.cursor.Owes = !im.keep && len(all.Files) > 0
	var debts []task.Debt
	if im.cursor.Owes {
		debts = append(debts, im.debt())
	}
	if err := im.attempt.Commit(ctx, im.cursor, debts...); err != nil {
		return task.Result{}, err
	}
	return im.finish(ctx, nil)
}

// finishReport makes the outcomes the whole report, and returns them.
func (im *importer) finishReport(ctx context.Context, ignored func(map[string]bool) []string) (outcomes, error) {
	all, err := im.store.outcomes(ctx, im.cursor)
	if err != nil {
		return all, err
	}
	all.append(im.unsaved)
	taken := map[string]bool{}
	all.Files = slices.DeleteFunc(all.Files, func(f file) bool {
		p := upload.Path(f.Dir, f.Name)
		was := taken[p]
		taken[p] = true
		return was
	})
	all.ignore(taken)
	if ignored != nil {
		all.Warnings = append(all.Warnings, ignored(taken)...)
	}
	im.cursor, im.unsaved = cursor{Outcomes: &all}, outcomes{}
	data, err := json.Marshal(all)
	if err != nil || len(data) <= maxInline {
		return all, err
	}
	im.cursor.Outcomes = nil
	return all, im.store.putPart(ctx, im.attempt, &im.cursor, all)
}

// debt returns the debt of removing the imported uploads.
func (im *importer) debt() task.Debt {
	return task.Debt{Name: fmt.Sprintf("uploads/%d", im.attempt.ID()), Spec: task.Spec{
		Kind: "repo.tidy", Name: "Remove imported files of dir " + im.dir, Resources: []string{upload.Path(im.dir)},
		Locks: []lock.Want{{Resource: upload.Lock(im.dir)}}, Args: tidyArgs{im.dir, im.cursor},
	}}
}

// tidyArgs are the arguments of the removal of imported uploads.
type tidyArgs struct {
	Dir string
	At  cursor
}

// tidy removes the uploads of an import that could not do so.
func (s *Store) tidy(ctx context.Context, a *task.Attempt, args tidyArgs) (task.Result, error) {
	all, err := s.outcomes(ctx, args.At)
	if err != nil {
		return task.Result{}, err
	}
	done := args.At.Removed
	if _, err := a.Cursor(&done); err != nil {
		return task.Result{}, err
	}
	return task.Result{Value: struct{}{}}, s.removeUploads(ctx, a, removal{dir: args.Dir, files: all.Files, done: done, cursor: func(done int) any { return done }})
}

// finish removes the imported uploads and reports.
func (im *importer) finish(ctx context.Context, err error) (task.Result, error) {
	if err != nil {
		return task.Result{}, err
	}
	all, err := im.store.outcomes(ctx, im.cursor)
	if err != nil {
		return task.Result{}, err
	}
	im.attempt.Phase("uploads")
	im.attempt.Show(struct{}{}) // an ended import has a report
	if !im.keep {
		err := im.store.removeUploads(ctx, im.attempt, removal{dir: im.dir, files: all.Files, done: im.cursor.Removed, cursor: func(done int) any {
			im.cursor.Removed = done
			return im.cursor
		}})
		if err != nil {
			return task.Result{}, err
		}
	}
	if im.cursor.Owes {
		im.attempt.Pay(im.debt().Name)
	}
	for _, line := range []struct {
		title string
		items []string
	}{
		{"Added", all.Added}, {"Removed", all.Removed}, {"Warnings", all.Warnings}, {"Failed files", all.Failed},
	} {
		if len(line.items) > 0 {
			im.attempt.Printf("%s: %s\n", line.title, strings.Join(line.items, ", "))
		}
	}
	for _, warning := range all.Warnings {
		im.attempt.Warn("%s", warning)
	}
	return all.result(), nil
}

// borrowing returns the rule for the principal of the import. The principal is looked
// up at the first file that needs it.
func (im *importer) borrowing(ctx context.Context, list *pkglist.List) borrowing {
	b := borrowing{list: list}
	if may := im.store.May; may != nil {
		b.any = parallel.Once(func() (bool, error) { return may(ctx, im.attempt.By(), "packages.read", "") })
	}
	return b
}

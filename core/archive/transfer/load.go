package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"aptless/core/archive/keyring"
	"aptless/core/archive/pkglist"
	"aptless/core/archive/publish"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lists"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Kinds returns the tasks of transfers.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("transfer.export", s.export, task.WithUndo(s.undoExport)),
		task.Define("transfer.forget", s.forget),
		task.Define("transfer.import", s.load),
		task.Define("publish.restore", s.restore, task.WithUndo(s.undoRestore)),
	}
}

// Report is the result of an import.
type Report struct {
	DryRun       bool                      `json:",omitempty"`
	Objects      map[string]map[string]int // number by kind and outcome
	Kept         []string                  `json:",omitempty"` // kind and name, at most maxNamed
	Clashes      []string                  `json:",omitempty"` // names that other objects have here, at most maxNamed; only of a dry run
	Publications []publish.Name            `json:",omitempty"` // to be published by a task of their own each
	Packages     int                       // of all lists, each chunk of packages once
}

// maxNamed bounds the names in a report.
const maxNamed = 100

// importLock is held by imports: one runs at a time.
var importLock = lock.Want{Resource: "import"}

// CheckImport makes the task of an import.
func (s *Store) CheckImport(args ImportArgs) task.Spec {
	return task.Spec{Kind: "transfer.import", Name: "Import " + args.Dir, Resources: []string{"__all__"},
		Locks: []lock.Want{importLock, {Resource: upload.Lock(args.Dir), Mode: lock.Shared}}, Args: args}
}

// cursor is the checkpoint of an import.
type cursor struct {
	Checked bool   // names were compared
	Writes  bitmap // the objects that the plan of the first attempt writes
	Chunks  int    // whose packages are in the pool, in the order of their first list
	Objects int    // that are written
	Report  Report
}

// bitmap has a bit for each object, in their order.
type bitmap []byte

func (b bitmap) has(i int) bool { return b[i/8]&(1<<(i%8)) != 0 }
func (b bitmap) set(i int)      { b[i/8] |= 1 << (i % 8) }

// loading is an attempt at an import.
type loading struct {
	*from
	attempt *task.Attempt
	args    ImportArgs
	at      cursor
	objects []Object
	recent  []*pkglist.List // lists that were stored last
}

// count adds an object to the report.
func (l *loading) count(o *Object, outcome string) {
	of := l.at.Report.Objects[o.Kind()]
	if of == nil {
		of = map[string]int{}
		l.at.Report.Objects[o.Kind()] = of
	}
	of[outcome]++
	if outcome == Kept && len(l.at.Report.Kept) < maxNamed {
		l.at.Report.Kept = append(l.at.Report.Kept, o.Kind()+" "+o.Name())
	}
}

func (s *Store) load(ctx context.Context, a *task.Attempt, args ImportArgs) (task.Result, error) {
	l := &loading{from: s.from(s.seenBy(a.By()), args.Dir), attempt: a, args: args}
	if _, err := a.Cursor(&l.at); err != nil {
		return task.Result{}, err
	}
	var err error
	if l.objects, err = l.read(ctx); err != nil {
		return task.Result{}, err
	}
	if !l.at.Checked || len(l.at.Writes) != (len(l.objects)+7)/8 { // an earlier release saved no Writes
		if err := l.plan(ctx); err != nil || args.DryRun {
			l.at.Report.DryRun = args.DryRun
			return task.Result{Value: l.at.Report}, err
		}
	}
	if err := l.pool(ctx); err != nil {
		return task.Result{}, err
	}
	for l.at.Objects < len(l.objects) {
		if err := l.write(ctx); err != nil {
			return task.Result{}, err
		}
	}
	a.Printf("%d objects were read.\n", len(l.objects))
	return task.Result{Value: l.at.Report}, nil
}

// read reads the objects.
func (l *loading) read(ctx context.Context) ([]Object, error) {
	u, err := l.area.Find(ctx, l.dir, ObjectsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, task.Fail(404, "directory %s has no %s", l.dir, ObjectsName)
	}
	if err != nil {
		return nil, err
	}
	body, err := l.area.Open(ctx, u)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	objects, err := Decode(body)
	if errors.Is(err, ErrFormat) {
		return nil, task.Fail(400, "%w", err)
	}
	Sort(objects)
	return objects, err
}

// plan decides on each object. It refuses an import whose names other objects have here,
// before anything changes. The pool takes the packages of the objects that it writes.
// Another client may change such an object before it is written; see row.
func (l *loading) plan(ctx context.Context) error {
	var clashes []string
	l.at = cursor{Checked: true, Writes: make(bitmap, (len(l.objects)+7)/8), Report: Report{Objects: map[string]map[string]int{}}}
	for i := range l.objects {
		o := &l.objects[i]
		st, taken, err := l.step(ctx, o, l.args.Overwrite)
		if err != nil {
			return err
		}
		if taken {
			clashes = append(clashes, o.Kind()+" "+o.Name())
		}
		if changes(st.outcome) {
			l.at.Writes.set(i)
		}
		if l.args.DryRun || !changes(st.outcome) || !o.inRow() { // else it is counted with its row
			l.count(o, st.outcome)
		}
		if o.Publication != nil && changes(st.outcome) && len(l.at.Report.Publications) < maxNamed {
			l.at.Report.Publications = append(l.at.Report.Publications, o.Publication.Settings.Name)
		}
	}
	if l.args.DryRun {
		l.at.Report.Clashes = clashes[:min(len(clashes), maxNamed)]
		return nil
	}
	if len(clashes) > 0 {
		return task.Fail(409, "unable to import: other objects have the names of %s", strings.Join(clashes[:min(len(clashes), maxNamed)], ", "))
	}
	if l.args.Empty {
		if err := l.mustBeEmpty(ctx); err != nil {
			return err
		}
	}
	return l.attempt.Checkpoint(ctx, l.at)
}

// progress is the detail of the task.
type progress struct {
	Phase                                            string
	TotalNumberOfPackages, RemainingNumberOfPackages int
}

// pool has the pool take all packages and files. A chunk that several lists have is read
// once.
func (l *loading) pool(ctx context.Context) error {
	if l.at.Objects > 0 {
		return nil // an earlier attempt has done so
	}
	var chunks []pkglist.Chunk
	var of []*pkglist.List
	seen, total := map[lists.Digest]bool{}, 0
	for i := range l.objects {
		if !l.at.Writes.has(i) {
			continue
		}
		err := l.objects[i].Lists(func(ref *lists.Ref) error {
			list, err := l.open(ctx, *ref)
			if err != nil {
				return fmt.Errorf("%s %s: %w", l.objects[i].Kind(), l.objects[i].Name(), err)
			}
			for _, c := range list.Chunks() {
				if !seen[c.Digest] {
					seen[c.Digest] = true
					chunks, of, total = append(chunks, c), append(of, list), total+c.Count
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	l.at.Report.Packages = total
	left := total
	for i, c := range chunks {
		if left -= c.Count; i < l.at.Chunks {
			continue
		}
		packages, err := of[i].ReadChunk(ctx, c)
		if err == nil {
			err = l.packages(ctx, packages)
		}
		if err != nil {
			return damaged(err)
		}
		l.at.Chunks++
		l.attempt.Detail(progress{"packages", total, left})
		if l.attempt.SliceOver() {
			if err := l.attempt.Checkpoint(ctx, l.at); err != nil {
				return err
			}
		}
	}
	return l.attempt.Checkpoint(ctx, l.at)
}

// maxRecent bounds the lists that are kept open, so that the next list need not store
// their chunks again.
const maxRecent = 4

// write imports the next object, and saves the cursor with its rows.
func (l *loading) write(ctx context.Context) error {
	o, writes := &l.objects[l.at.Objects], l.at.Writes.has(l.at.Objects)
	l.at.Objects++
	if !writes {
		return nil // the next Save has the cursor
	}
	digest, err := o.digest()
	if err != nil {
		return err
	}
	for _, sum := range o.Files() {
		if err := l.plain(ctx, sum); err != nil {
			return err
		}
	}
	if err := o.Lists(func(ref *lists.Ref) error { return l.list(ctx, ref) }); err != nil {
		return fmt.Errorf("%s %s: %w", o.Kind(), o.Name(), damaged(err))
	}
	if err := l.rows(ctx, o, digest); err != nil {
		return err
	}
	l.attempt.Detail(progress{Phase: o.Kind() + "s"})
	return l.attempt.Checkpoint(ctx, l.at)
}

// list stores a list here and changes the reference to it.
func (l *loading) list(ctx context.Context, ref *lists.Ref) error {
	from, err := l.open(ctx, *ref)
	if err != nil {
		return err
	}
	list, err := l.Lists.Import(ctx, from, l.recent...)
	if err != nil {
		return err
	}
	if list.Ref().Digest != ref.Digest {
		return task.Fail(400, "list %v has chunks of another form: %w", ref.Digest, lists.ErrDamaged)
	}
	if *ref = list.Ref(); list.Count() > 0 {
		l.recent = append(l.recent, list)
		l.recent = l.recent[max(0, len(l.recent)-maxRecent):]
	}
	return nil
}

// rows adds the rows of an object to the transaction.
func (l *loading) rows(ctx context.Context, o *Object, digest string) error {
	switch o.Kind() {
	case OfRing:
		_, err := l.Keyrings.Import(ctx, o.Ring.Name, o.Ring.Keys)
		var refused *keyring.Refusal
		if errors.As(err, &refused) {
			return task.Fail(400, "keyring %s: %w", o.Ring.Name, refused)
		}
		return err
	case OfPublication:
		key := waitingKey(o.Publication.Settings.Name)
		if _, err := l.attempt.Get(ctx, key); err != nil && !errors.Is(err, driver.ErrNotFound) {
			return err
		}
		data, err := json.Marshal(waiting{*o.Publication, digest})
		if err != nil {
			return err
		}
		if len(data) > driver.MaxRowSize {
			return task.Fail(400, "publication %s is too large: %d bytes", o.Name(), len(data))
		}
		l.attempt.Put(key, data)
		return nil
	}
	return l.row(ctx, o, digest)
}

// row is rows for a repository, mirror or snapshot. It decides anew on the object as the
// transaction reads it: a client may have changed it since the plan.
func (l *loading) row(ctx context.Context, o *Object, digest string) error {
	now, err := l.present(ctx, l.attempt.GetJSON, o)
	if err != nil {
		return err
	}
	outcome := Created
	if now != nil {
		was, err := l.last(ctx, l.attempt.GetJSON, now)
		if err != nil {
			return err
		}
		if outcome, err = was.decide(now, digest, l.args.Overwrite); err != nil {
			return err
		}
	}
	l.count(o, outcome)
	if !changes(outcome) {
		return nil
	}
	if o.Mirror != nil && o.Mirror.HasCredentials {
		l.attempt.Warn("mirror %s had a user and a password, which are not transferred: set them again", o.Name())
	}
	if err := l.Store.write(ctx, l.attempt, o, now); err != nil {
		return err
	}
	if o.Mirror != nil {
		o.Mirror.UUID = o.id()
	}
	state, err := o.digest()
	if err != nil {
		return err
	}
	return keepMark(ctx, l.attempt, o, mark{digest, state})
}

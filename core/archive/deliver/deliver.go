package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/archive/source"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// Store makes and runs the tasks of deliveries.
type Store struct {
	Repos        *repo.Store
	Publications *publish.Store
	Uploads      *upload.Store
	Drops        Drops // nil without a drop box
}

// Args are the arguments of a delivery.
type Args struct {
	UUID, Repo     string        // the repository; Check sets UUID
	Publication    *publish.Name `json:",omitempty"` // nil for an import only
	Dir            string        // of the upload area, see upload.NewDelivery
	Files          int           // the number of files in Dir
	ForceReplace   bool          // remove conflicting packages from the repository
	ForceOverwrite bool          // replace published package files that differ

	Partial bool      `json:",omitempty"` // a file that cannot be imported refuses itself only
	Dropped []Dropped `json:",omitempty"` // the files of the drop box that Dir has copies of
}

// Dropped is a file of the drop box that a delivery imports; see package drop.
type Dropped struct{ Name, Key, ETag string }

// Drops removes files from the drop box when a delivery has ended.
type Drops interface {
	// Taken removes imported files.
	Taken(ctx context.Context, files []Dropped) error
	// Refused puts files aside, with the reason.
	Refused(ctx context.Context, files []Dropped, why string) error
	// Again leaves files in the box, to be taken by another task.
	Again(ctx context.Context, a *task.Attempt, files []Dropped) error
}

// Result is the answer of a delivery.
type Result struct {
	repo.ImportResult
	Publication *publish.View `json:",omitempty"`
}

// cursor is the checkpoint of a delivery.
type cursor struct {
	Import    json.RawMessage `json:",omitempty"` // the import's part
	Publish   json.RawMessage `json:",omitempty"` // the publication's part
	Committed bool            `json:",omitempty"`
}

// Kinds returns the tasks of deliveries.
func (s *Store) Kinds() []task.Kind {
	return []task.Kind{
		task.Define("deliver", s.deliver, task.WithUndo(s.undo)),
		task.Define(publishing, s.deliver, task.WithUndo(s.undo)),
		task.Define("deliver.tidy", s.tidy),
	}
}

// publishing is the kind of a delivery that publishes. Its class of work is that of
// publications: only their workers sign and write published files.
const publishing = "publish.deliver"

// Check makes the task of a delivery. The files may be uploaded after it.
func (s *Store) Check(ctx context.Context, args Args) (task.Spec, error) {
	r, err := s.Repos.ByName(ctx, args.Repo)
	if err != nil {
		return task.Spec{}, named.Refuse[*named.NotFound](err, 404, "%w")
	}
	args.UUID = r.UUID
	name, kind := fmt.Sprintf("Add uploaded packages to repo %s", args.Repo), "deliver"
	if args.Publication != nil {
		name, kind = name+" and publish them", publishing
	}
	locks, resources, err := s.locks(ctx, s.get, args)
	return task.Spec{Kind: kind, Name: name, Resources: resources, Locks: locks, Args: args}, err
}

// get reads a row outside of tasks.
func (s *Store) get(ctx context.Context, key driver.Key, v any) error {
	row, err := s.Repos.Table.Get(ctx, key)
	if err != nil {
		return err
	}
	return json.Unmarshal(row.Data, v)
}

// locks returns the locks of a delivery and their names for clients.
func (s *Store) locks(ctx context.Context, get source.Getter, args Args) (locks []lock.Want, resources []string, err error) {
	resources = []string{source.Repo.Resource(args.UUID)}
	if args.Publication != nil {
		var more []string
		if locks, more, err = s.Publications.CheckPart(ctx, get, *args.Publication, args.UUID, args.Repo); err != nil {
			return nil, nil, err
		}
		for _, name := range more {
			if !slices.Contains(resources, name) {
				resources = append(resources, name)
			}
		}
	}
	own := []lock.Want{s.Repos.Rows().Lock(args.UUID, lock.Exclusive), dirLock(args.Dir)}
	return lock.Merge(append(own, locks...)), resources, nil
}

// dirLock is the lock of a directory of uploads; upload.Store.Areas knows it, too.
func dirLock(dir string) lock.Want { return lock.Want{Resource: upload.Lock(dir)} }

func (s *Store) deliver(ctx context.Context, a *task.Attempt, args Args) (task.Result, error) {
	var at cursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Committed {
		return s.finish(ctx, a, args, at)
	}
	if err := s.checkLocks(ctx, a, args); err != nil {
		return task.Result{}, err
	}
	staged, err := s.stage(ctx, a, args, &at)
	if err != nil {
		return task.Result{}, err
	}
	if args.Publication == nil {
		if err := s.commit(ctx, a, &at, staged, nil, tidyDebt(args, staged.Result)); err != nil {
			return task.Result{}, err
		}
		return s.finish(ctx, a, args, at)
	}
	view, err := s.Publications.UpdatePart(ctx, a, &publish.Part{
		Name: *args.Publication, ForceOverwrite: args.ForceOverwrite, Get: staged.Get(a.GetJSON), Share: at.Publish,
		Cursor: func(share any) any { return cursor{Import: at.Import, Publish: encode(share)} },
		Commit: func(ctx context.Context, answer publish.View, debts ...task.Debt) error {
			return s.commit(ctx, a, &at, staged, &answer, append(debts, tidyDebt(args, staged.Result))...)
		},
	})
	if err != nil {
		return task.Result{}, err
	}
	return s.end(ctx, a, args, Result{staged.Result, &view})
}

// checkLocks returns a task.Relock if the task needs other locks than those of its
// admission.
func (s *Store) checkLocks(ctx context.Context, a *task.Attempt, args Args) error {
	locks, resources, err := s.locks(ctx, a.GetJSON, args)
	if err != nil {
		return err
	}
	for _, w := range locks {
		if !a.Holds(w) {
			return &task.Relock{Locks: locks, Resources: resources}
		}
	}
	return nil
}

// maxTold bounds the files that a refusal names.
const maxTold = 20

// stage imports the files. It refuses the delivery if a file cannot be imported.
func (s *Store) stage(ctx context.Context, a *task.Attempt, args Args, at *cursor) (*repo.Staged, error) {
	if at.Import == nil {
		files, err := s.Uploads.List(ctx, args.Dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if len(files) != args.Files {
			return nil, task.Fail(500, "nothing is imported: the upload area has %d of the %d uploaded files", len(files), args.Files)
		}
	}
	staged, err := s.Repos.Stage(ctx, a, repo.ImportArgs{UUID: args.UUID, Name: args.Repo, Dir: args.Dir, ForceReplace: args.ForceReplace}, at.Import,
		func(share any) any { return cursor{Import: encode(share)} })
	if err != nil {
		return nil, err
	}
	at.Import = encode(staged.Share)
	if n := len(staged.Result.FailedFiles); n > 0 && (!args.Partial || len(staged.Result.Report.Added) == 0) {
		return nil, task.Fail(400, "nothing is imported, as %d of %d files cannot be: %s", n, args.Files, joinWarnings(staged.Result.Report.Warnings))
	}
	if len(staged.Result.Report.Added) == 0 {
		return nil, task.Fail(400, "nothing is imported, as there is no package among the files: %s", joinWarnings(staged.Result.Report.Warnings))
	}
	return staged, nil
}

// joinWarnings joins warnings to one text.
func joinWarnings(warnings []string) string {
	if more := len(warnings) - maxTold; more > 0 {
		warnings = append(slices.Clone(warnings[:maxTold]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(warnings, "; ")
}

// commit adds the repository's new list to the transaction and commits it.
func (s *Store) commit(ctx context.Context, a *task.Attempt, at *cursor, staged *repo.Staged, view *publish.View, debts ...task.Debt) error {
	if err := staged.Put(ctx, a); err != nil {
		return err
	}
	a.Answer(task.Result{Value: Result{staged.Result, view}})
	*at = cursor{Import: at.Import, Committed: true}
	return a.Commit(ctx, *at, debts...)
}

// tidyDebt is the debt of removing the uploads, and the files of the drop box.
func tidyDebt(args Args, r repo.ImportResult) task.Debt {
	return task.Debt{Name: debtName(args.Dir), Spec: task.Spec{
		Kind: "deliver.tidy", Name: "Remove delivered files", Resources: []string{upload.Path(args.Dir)},
		Locks: []lock.Want{dirLock(args.Dir)}, Args: tidyArgs{args.Dir, args.Dropped, r.FailedFiles, joinWarnings(r.Report.Warnings)},
	}}
}

// debtName names the debt of removing the uploads.
func debtName(dir string) string { return "delivery/" + dir }

// finish pays the debts of a committed delivery.
func (s *Store) finish(ctx context.Context, a *task.Attempt, args Args, at cursor) (task.Result, error) {
	staged, err := s.Repos.Stage(ctx, a, repo.ImportArgs{UUID: args.UUID, Name: args.Repo}, at.Import, nil)
	if err != nil {
		return task.Result{}, err
	}
	result := Result{staged.Result, nil}
	if args.Publication != nil {
		view, err := s.Publications.FinishPart(ctx, a, *args.Publication)
		if err != nil {
			return task.Result{}, err
		}
		result.Publication = &view
	}
	return s.end(ctx, a, args, result)
}

// end removes the uploads and reports.
func (s *Store) end(ctx context.Context, a *task.Attempt, args Args, r Result) (task.Result, error) {
	if err := s.clear(ctx, tidyArgs{args.Dir, args.Dropped, r.FailedFiles, joinWarnings(r.Report.Warnings)}); err != nil {
		return task.Result{}, err
	}
	a.Pay(debtName(args.Dir))
	for _, part := range []struct {
		title string
		lines []string
	}{{"Added", r.Report.Added}, {"Removed", r.Report.Removed}, {"Warnings", r.Report.Warnings}} {
		if len(part.lines) > 0 {
			a.Printf("%s: %s\n", part.title, strings.Join(part.lines, ", "))
		}
	}
	for _, warning := range r.Report.Warnings {
		a.Warn("%s", warning)
	}
	return task.Result{Value: r}, nil
}

// undo removes the uploads and other traces of a failed delivery.
func (s *Store) undo(ctx context.Context, a *task.Attempt, args Args) error {
	if args.Publication != nil {
		if err := s.Publications.UndoPart(ctx, a, *args.Publication); err != nil {
			return err
		}
	}
	if s.Drops != nil && len(args.Dropped) > 0 {
		if err := s.giveBack(ctx, a, args.Dropped); err != nil {
			return err
		}
	}
	return s.Uploads.RemoveDir(ctx, args.Dir)
}

// giveBack refuses files of the drop box with the error of the task. After an outage they
// are taken again. So they are if another task pays for the undo, which has no error: the
// next attempt refuses them with one.
func (s *Store) giveBack(ctx context.Context, a *task.Attempt, files []Dropped) error {
	if a.GaveUp() || a.Refusal() == "" {
		return s.Drops.Again(ctx, a, files)
	}
	return s.Drops.Refused(ctx, files, a.Refusal())
}

// tidyArgs are the arguments of the removal of uploads.
type tidyArgs struct {
	Dir     string
	Dropped []Dropped `json:",omitempty"`
	Failed  []string  `json:",omitempty"` // paths of files that could not be imported
	Why     string    `json:",omitempty"`
}

// clear removes the uploads, and the files of the drop box.
func (s *Store) clear(ctx context.Context, args tidyArgs) error {
	if s.Drops != nil && len(args.Dropped) > 0 {
		var good, bad []Dropped
		for _, d := range args.Dropped {
			if slices.Contains(args.Failed, upload.Path(args.Dir, d.Name)) {
				bad = append(bad, d)
				continue
			}
			good = append(good, d)
		}
		if err := errors.Join(s.Drops.Refused(ctx, bad, args.Why), s.Drops.Taken(ctx, good)); err != nil {
			return err
		}
	}
	return s.Uploads.RemoveDir(ctx, args.Dir)
}

// tidy removes the uploads of a delivery that did not remove them itself.
func (s *Store) tidy(ctx context.Context, _ *task.Attempt, args tidyArgs) (task.Result, error) {
	return task.Result{NoValue: true}, s.clear(ctx, args)
}

// encode returns a part of the cursor as JSON.
func encode(share any) json.RawMessage {
	data, err := json.Marshal(share)
	if err != nil {
		panic(err) // cursors always marshal
	}
	return data
}

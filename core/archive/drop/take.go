package drop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/deliver"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/engine/calendar"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// Bounds of a look at a place: files, and the bytes of a .changes or .dsc.
const (
	maxListed = 10_000
	maxText   = 16 << 20
)

// takeArgs are the arguments of the task that takes the files of a place.
type takeArgs struct{ Place }

// Kinds returns the tasks of the drop box.
func (s *Store) Kinds() []task.Kind { return []task.Kind{task.Define("drop.take", s.take)} }

// Check makes the task that takes the files of a place.
func (s *Store) Check(p Place) task.Spec {
	return task.Spec{Kind: "drop.take", Name: "Take files of the drop box for repo " + p.name(), Resources: []string{"drop/" + p.name()},
		Locks: []lock.Want{{Resource: "drop/" + p.name(), Mode: lock.Exclusive}}, Args: takeArgs{p}, By: sender()}
}

// sender is the principal of the tasks of the drop box.
func sender() *task.By { return &task.By{Kind: "system", Name: "drop box"} }

// Plan is the planner of the calendar's entries: it takes the files of the place again.
func (s *Store) Plan(_ context.Context, e calendar.Entry) (task.Plan, error) {
	var p Place
	if err := json.Unmarshal(e.Data, &p); err != nil {
		return task.Plan{}, fmt.Errorf("entry %s: %w", e.Name, err)
	}
	return task.Plan{Spec: s.Check(p), Next: calendar.Until(s.Now(), maxWait), Anew: true}, nil
}

// Taken is the answer of the task.
type Taken struct {
	Tasks   []int64  // the imports that were admitted
	Waiting []string // files that wait for others
	Refused []string // files that were refused
}

func (s *Store) take(ctx context.Context, a *task.Attempt, args takeArgs) (task.Result, error) {
	p := args.Place
	files, more, err := s.list(ctx, p)
	if err != nil {
		return task.Result{}, err
	}
	if len(files) == 0 {
		return task.Result{Value: Taken{}}, s.remind(ctx, a, p, time.Time{}, false)
	}
	r, err := s.Repos.ByName(ctx, p.Repo)
	if missing := (*named.NotFound)(nil); errors.As(err, &missing) {
		return task.Result{}, s.refuseAll(ctx, files, fmt.Sprintf("local repo with name %s not found", p.Repo))
	}
	if err != nil {
		return task.Result{}, err
	}
	if files, err = s.readable(ctx, a, files); err != nil {
		return task.Result{}, err
	}
	plan, result := planOf(files, p.Folder != "", r.Uploaders != nil, s.Now()), Taken{}
	for _, u := range plan.units {
		ids, err := s.admit(ctx, a, p, publicationsOf(r), u)
		if err != nil {
			return task.Result{}, err
		}
		result.Tasks = append(result.Tasks, ids...)
		a.Printf("Tasks %d import %d files\n", ids, len(u.files))
	}
	for _, f := range files {
		if why := plan.refused[f.name]; why != "" {
			if err := s.refuse(ctx, f.key, f.etag, why); err != nil {
				return task.Result{}, err
			}
			a.Warn("%s is refused: %s", f.name, why)
			result.Refused = append(result.Refused, f.name)
		}
	}
	due := s.Now().Add(maxWait)
	for _, f := range plan.waiting {
		result.Waiting = append(result.Waiting, f.name)
		if at := f.at.Add(maxWait); at.Before(due) {
			due = at
		}
	}
	if more {
		due = s.Now()
	}
	return task.Result{Value: result}, s.remind(ctx, a, p, due, more || len(plan.waiting) > 0)
}

// readable refuses files that are larger than an upload may be, and returns the others
// with their texts.
func (s *Store) readable(ctx context.Context, a *task.Attempt, files []file) (kept []file, err error) {
	for _, f := range files {
		if f.size <= s.Uploads.Limit() {
			if f.text, err = s.text(ctx, f); err != nil {
				return nil, err
			}
			kept = append(kept, f)
			continue
		}
		why := fmt.Sprintf("%d bytes are more than the %d that are taken of a file", f.size, s.Uploads.Limit())
		if err := s.refuse(ctx, f.key, f.etag, why); err != nil {
			return nil, err
		}
		a.Warn("%s is refused: %s", f.name, why)
	}
	return kept, nil
}

// publicationsOf returns the publications that are updated after an import into a
// repository.
func publicationsOf(r repo.Repo) (names []publish.Name) {
	if r.Drop == nil {
		return nil
	}
	for _, p := range r.Drop.Publish {
		names = append(names, publish.Name{Storage: p.Storage, Prefix: p.Prefix, Distribution: p.Distribution})
	}
	return names
}

// list returns the files of a place that no task is importing, ascending by name. It
// reports whether there are more than maxListed.
func (s *Store) list(ctx context.Context, p Place) (files []file, more bool, err error) {
	claimed, err := s.claimed(ctx, p)
	if err != nil {
		return nil, false, err
	}
	for info, err := range s.Blobs.List(ctx, p.prefix(), "") {
		if err != nil {
			return nil, false, err
		}
		name := strings.TrimPrefix(info.Key, p.prefix())
		if name == "" || strings.Contains(name, "/") || claimed[info.Key] == info.ETag {
			continue
		}
		if len(files) == maxListed {
			return files, true, nil
		}
		files = append(files, file{name: name, key: info.Key, etag: info.ETag, size: info.Size, at: info.ModTime})
	}
	return files, false, nil
}

// claimed returns the ETags of the files of a place that tasks are importing, by key. It
// removes the claims of tasks that have ended. Example: an attempt admits an import and
// dies. The import ends, and the attempt's late write of the claims follows.
func (s *Store) claimed(ctx context.Context, p Place) (etags map[string]string, err error) {
	etags, ended := map[string]string{}, map[int64]bool{}
	for row, err := range s.Table.Scan(ctx, claimPart, p.name()+"/") {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(row.Sort, p.name()+"/") {
			break
		}
		var c claim
		if err := json.Unmarshal(row.Data, &c); err != nil {
			return nil, fmt.Errorf("row %s: %w", row.Key, err)
		}
		over, known := ended[c.Task]
		if !known {
			if over, err = s.ended(ctx, c.Task); err != nil {
				return nil, err
			}
			ended[c.Task] = over
		}
		if !over {
			etags[Prefix+row.Sort] = c.ETag
		} else if err := s.release(ctx, Prefix+row.Sort); err != nil {
			return nil, err
		}
	}
	return etags, nil
}

// ended reports whether a task has ended, or is forgotten.
func (s *Store) ended(ctx context.Context, id int64) (bool, error) {
	t, err := s.Tasks.Get(ctx, id)
	if errors.Is(err, task.ErrUnknown) {
		return true, nil
	}
	return t.State.Ended(), err
}

// text returns the content of a .changes or .dsc, "" for another file and one that is too
// large. A file that has gone has no content.
func (s *Store) text(ctx context.Context, f file) (string, error) {
	if ext := path.Ext(f.name); ext != ".changes" && ext != ".dsc" || f.size > maxText {
		return "", nil
	}
	r, _, err := s.Blobs.Open(ctx, f.key, nil)
	if errors.Is(err, driver.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxText))
	return string(data), err
}

// admit copies the files of a unit and admits the tasks that import and publish them.
func (s *Store) admit(ctx context.Context, a *task.Attempt, p Place, publications []publish.Name, u unit) ([]int64, error) {
	args := deliver.Args{Repo: p.Repo, Dir: s.Uploads.NewDelivery(), Partial: !u.whole}
	if len(publications) > 0 {
		args.Publication = &publications[0]
	}
	for _, f := range u.files {
		args.Dropped = append(args.Dropped, deliver.Dropped{Name: f.name, Key: f.key, ETag: f.etag})
	}
	spec, err := s.Deliveries.Check(ctx, args)
	if refusal := (*task.Error)(nil); errors.As(err, &refusal) {
		a.Warn("%v", err)
		return nil, s.Refused(ctx, args.Dropped, err.Error())
	}
	if err != nil {
		return nil, err
	}
	if err := s.Uploads.MakeDir(ctx, args.Dir); err != nil {
		return nil, err
	}
	for _, f := range u.files {
		if f.name == u.list {
			continue
		}
		if err := s.Uploads.Take(ctx, args.Dir, f.name, f.key, u.digests[f.name]); err != nil {
			return nil, err
		}
		args.Files++
	}
	if spec, err = s.Deliveries.Check(ctx, args); err != nil {
		return nil, err
	}
	spec.By = sender()
	t, err := s.Tasks.Admit(ctx, spec, false)
	if err != nil {
		return nil, err
	}
	ids := []int64{t.ID}
	if err := s.claim(ctx, a, t.ID, u.files); err != nil {
		return nil, err
	}
	further, err := s.update(ctx, a, publications[min(1, len(publications)):])
	return append(ids, further...), err
}

// claim notes that a task imports files. An attempt that was overtaken notes nothing. The
// import may have ended already, and found no claims to remove.
func (s *Store) claim(ctx context.Context, a *task.Attempt, id int64, files []file) error {
	var ops []driver.Op
	for _, f := range files {
		data, err := json.Marshal(claim{f.etag, id})
		if err != nil {
			return err
		}
		ops = append(ops, driver.Op{Do: driver.OpPut, Key: claimKey(f.key), Data: data})
	}
	for part := range slices.Chunk(ops, driver.MaxOps-1) { // Write adds one
		if _, err := a.Write(ctx, part...); err != nil {
			return err
		}
	}
	ended, err := s.ended(ctx, id)
	if err != nil || !ended {
		return err
	}
	for _, f := range files {
		if err := s.release(ctx, f.key); err != nil {
			return err
		}
	}
	return nil
}

// update admits the updates of publications. They wait for the import before them.
func (s *Store) update(ctx context.Context, a *task.Attempt, publications []publish.Name) (ids []int64, err error) {
	for _, name := range publications {
		spec, err := s.Deliveries.Publications.CheckUpdate(ctx, publish.UpdateArgs{Name: name})
		if refusal := (*task.Error)(nil); errors.As(err, &refusal) {
			a.Warn("%v", err)
			continue
		}
		if err != nil {
			return ids, err
		}
		spec.By = sender()
		t, err := s.Tasks.Admit(ctx, spec, false)
		if err != nil {
			return ids, err
		}
		ids = append(ids, t.ID)
	}
	return ids, nil
}

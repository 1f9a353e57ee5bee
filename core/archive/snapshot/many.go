package snapshot

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"aptless/core/archive/source"
	"aptless/core/engine/driver"
	"aptless/core/engine/lock"
	"aptless/core/engine/named"
	"aptless/core/engine/task"
)

// Bounds of a drop of many snapshots.
const (
	// maxMany bounds the snapshots of one request: a task may change its locks 20 times.
	maxMany = 800
	// maxBatch bounds the snapshots that are locked together. One transaction
	// changes the queues of the old and the new locks.
	maxBatch = 40
)

// ManyArgs select the snapshots to drop.
type ManyArgs struct {
	Pattern string    // of names; "*" matches any text, "?" one character
	Before  time.Time // only snapshots created before; zero for all
	Force   bool      // even if other snapshots have them as sources
}

// Kept is a matching snapshot that stays.
type Kept struct{ Name, Reason string }

// Removal lists the effects of a drop of many snapshots, in order. The youngest
// comes first, so a snapshot goes after those derived from it.
type Removal struct {
	Removed []string
	Kept    []Kept
}

// dropManyArgs are the arguments of the task: the matching snapshots.
type dropManyArgs struct {
	Snapshots []Source
	Force     bool
}

// Reasons why a snapshot stays.
const (
	published = iota + 1
	used
)

var reasons = map[int]string{
	published: "snapshot is published",
	used:      "snapshot was used as source for other snapshots",
}

// CheckDropMany makes the task that drops the matching snapshots. Snapshots
// created later stay.
func (s *Store) CheckDropMany(ctx context.Context, args ManyArgs) (task.Spec, error) {
	found, err := s.matching(ctx, args)
	if err != nil {
		return task.Spec{}, err
	}
	if len(found) == 0 {
		return task.Spec{}, task.Fail(404, "no snapshot matches %s", args.Pattern)
	}
	locks, resources := s.batch(found)
	return task.Spec{Kind: "snapshot.drop-many", Name: fmt.Sprintf("Delete %d snapshots like %s", len(found), args.Pattern),
		Resources: resources, Locks: locks, Args: dropManyArgs{found, args.Force}}, nil
}

// PlanDropMany returns the present effects of such a task.
func (s *Store) PlanDropMany(ctx context.Context, args ManyArgs) (Removal, error) {
	found, err := s.matching(ctx, args)
	plan := Removal{Removed: []string{}, Kept: []Kept{}}
	gone := map[string]bool{}
	for _, src := range found {
		reason, err := s.keepReason(ctx, src.UUID, args.Force, gone)
		if err != nil {
			return plan, err
		}
		if reason != 0 {
			plan.Kept = append(plan.Kept, Kept{src.Name, reasons[reason]})
			continue
		}
		gone[src.UUID] = true
		plan.Removed = append(plan.Removed, src.Name)
	}
	return plan, err
}

// matching returns the matching snapshots, youngest first.
func (s *Store) matching(ctx context.Context, args ManyArgs) ([]Source, error) {
	if args.Pattern == "" {
		return nil, task.Fail(400, `pattern is required: the names of the snapshots to delete, with "*" for any text`)
	}
	pattern, err := glob(args.Pattern)
	if err != nil {
		return nil, task.Fail(400, "invalid pattern %.100q: %w", args.Pattern, err)
	}
	all, err := s.All(ctx, true)
	if err != nil {
		return nil, err
	}
	var found []Source
	for _, v := range slices.Backward(all) {
		if pattern.MatchString(v.Name) && (args.Before.IsZero() || v.CreatedAt.Before(args.Before)) {
			found = append(found, Source{v.UUID, v.Name})
		}
	}
	if len(found) > maxMany {
		return nil, task.Fail(400, "%d snapshots match %s, and at most %d are deleted at once: choose some by a closer pattern or by olderThan", len(found), args.Pattern, maxMany)
	}
	return found, nil
}

// maxPattern bounds a pattern, in bytes.
const maxPattern = 500

// glob returns the regular expression of a pattern.
func glob(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("it has more than %d bytes", maxPattern)
	}
	text := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	return regexp.Compile(`(?s)^` + text + `$`)
}

// batch returns the locks of the first snapshots of a list.
func (s *Store) batch(list []Source) (locks []lock.Want, resources []string) {
	for _, src := range list[:min(len(list), maxBatch)] {
		locks = append(locks, s.Rows().Lock(src.UUID, lock.Exclusive))
		resources = append(resources, source.Snapshot.Resource(src.UUID))
	}
	return locks, resources
}

// keepReason returns the reason for which a snapshot stays, 0 if it can go.
// References from snapshots in gone do not count.
func (s *Store) keepReason(ctx context.Context, uuid string, force bool, gone map[string]bool) (int, error) {
	for row, err := range s.Table.Scan(ctx, named.RefKey(s.Rows().Part, uuid, "").Part, "") {
		if err != nil {
			return 0, err
		}
		by, isSnapshot := strings.CutPrefix(row.Sort, "snapshot/")
		switch {
		case !isSnapshot:
			return published, nil
		case !force && !gone[by]:
			return used, nil
		}
	}
	return 0, nil
}

// manyCursor is the checkpoint of a drop of many snapshots.
type manyCursor struct {
	Done int
	Kept map[int]int // reasons of the snapshots that stayed, by index in the list
}

// dropMany drops one snapshot after another, each in its own transaction. The
// first transaction makes the rest a debt, so the task cannot fail between two.
func (s *Store) dropMany(ctx context.Context, a *task.Attempt, args dropManyArgs) (task.Result, error) {
	var at manyCursor
	if _, err := a.Cursor(&at); err != nil {
		return task.Result{}, err
	}
	if at.Kept == nil {
		at.Kept = map[int]int{}
	}
	for ; at.Done < len(args.Snapshots); at.Done++ {
		src := args.Snapshots[at.Done]
		if !a.Holds(s.Rows().Lock(src.UUID, lock.Exclusive)) {
			locks, resources := s.batch(args.Snapshots[at.Done:])
			return task.Result{}, &task.Relock{Locks: locks, Resources: resources}
		}
		reason, err := s.dropOne(ctx, a, src, args.Force)
		if err != nil {
			return task.Result{}, err
		}
		next := manyCursor{at.Done + 1, at.Kept}
		if reason != 0 {
			at.Kept[at.Done] = reason
			a.Printf("Keeping snapshot %s: %s\n", src.Name, reasons[reason])
		} else {
			a.Printf("Deleted snapshot %s\n", src.Name)
		}
		if a.Committed() {
			err = a.Checkpoint(ctx, next)
		} else {
			err = s.commitMany(ctx, a, args, next)
		}
		if err != nil {
			return task.Result{}, err
		}
	}
	a.Pay(owedDrops(a))
	return task.Result{Value: at.removal(args.Snapshots)}, nil
}

// owedDrops names the debt of a drop of many snapshots.
func owedDrops(a *task.Attempt) string { return fmt.Sprintf("snapshot/drop-many/%016d", a.ID()) }

// commitMany commits the first drop.
func (s *Store) commitMany(ctx context.Context, a *task.Attempt, args dropManyArgs, next manyCursor) error {
	locks, resources := s.batch(args.Snapshots)
	a.Answer(task.Result{Value: next.removal(args.Snapshots[:next.Done])})
	return a.Commit(ctx, next, task.Debt{Name: owedDrops(a), Spec: task.Spec{
		Kind: "snapshot.drop-many", Name: fmt.Sprintf("Delete the rest of %d snapshots", len(args.Snapshots)), Resources: resources, Locks: locks, Args: args}})
}

// dropOne drops a snapshot, or returns the reason for which it stays. A snapshot
// that is already gone counts as dropped.
func (s *Store) dropOne(ctx context.Context, a *task.Attempt, src Source, force bool) (reason int, err error) {
	found, err := s.Rows().ByUUID(ctx, a.GetJSON, src.UUID, src.Name)
	if errors.Is(err, driver.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if reason, err = s.keepReason(ctx, src.UUID, force, nil); reason != 0 || err != nil {
		return reason, err
	}
	return 0, s.remove(ctx, a, &found)
}

// removal returns the effects so far.
func (c manyCursor) removal(list []Source) Removal {
	r := Removal{Removed: []string{}, Kept: []Kept{}}
	for i, src := range list {
		if reason := c.Kept[i]; reason != 0 {
			r.Kept = append(r.Kept, Kept{src.Name, reasons[reason]})
		} else {
			r.Removed = append(r.Removed, src.Name)
		}
	}
	return r
}

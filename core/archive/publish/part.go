package publish

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"aptless/core/archive/source"
	"aptless/core/engine/lock"
	"aptless/core/engine/task"
)

// Part is the update of a publication of repositories as a part of a larger task,
// which commits more rows than the publication's.
type Part struct {
	Name
	ForceOverwrite bool            // replace package files that are different
	Get            source.Getter   // reads sources with the lists that the task is about to commit
	Share          json.RawMessage // of the cursor saved last, see Cursor; nil at first

	// Cursor returns the cursor of the task with another share of the publication.
	Cursor func(share any) any
	// Commit commits the task. The publication's rows are in the transaction. It is
	// given the publication as clients see it, and what is owed to it.
	Commit func(ctx context.Context, answer View, debt task.Debt) error
}

// cursor returns the cursor of the task with a share: the share if the task does
// nothing else.
func (part *Part) cursor(share cursor) any {
	if part == nil {
		return share
	}
	return part.Cursor(share)
}

// CheckPart returns the locks of a task with an update of a publication as a part,
// and their names for clients. It refuses a publication that has not the
// repository among its sources.
func (s *Store) CheckPart(ctx context.Context, get source.Getter, n Name, repo, name string) ([]lock.Want, []string, error) {
	p, err := s.mustRead(ctx, get, n, toUpdate, 404)
	if err != nil {
		return nil, nil, err
	}
	if p.Kind != Local || !slices.Contains(uuids(p.Components), repo) {
		return nil, nil, task.Fail(400, "%s: published repository %s has no component of local repo %s, but %s",
			toUpdate, p.Dist(), name, p.sourceList())
	}
	if _, err := s.signer(p.signing()); err != nil {
		return nil, nil, err
	}
	l := p.lockUpdate(change{want: p.Components})
	return l.locks, l.names, nil
}

// sourceList names the components of a publication and their sources.
func (p *Publication) sourceList() string {
	text := ""
	for i, c := range slices.Sorted(maps.Keys(p.Components)) {
		if i > 0 {
			text += ", "
		}
		text += c + ": " + string(p.Kind) + " " + p.Components[c].Name
	}
	return text
}

// signing is how the publication was signed last.
func (p *Publication) signing() Signing { return Signing{p.Unsigned, p.Keys} }

// UpdatePart publishes the present lists of the components that the publication
// has, signed as it was last, and returns it. Sources that are staged stay so.
func (s *Store) UpdatePart(ctx context.Context, a *task.Attempt, part *Part) (View, error) {
	var at cursor
	if part.Share != nil {
		if err := json.Unmarshal(part.Share, &at); err != nil {
			return View{}, err
		}
	}
	p, err := s.mustRead(ctx, a.GetJSON, part.Name, toUpdate, 500)
	if err != nil {
		return View{}, err
	}
	if p, err = s.finishEarlier(ctx, a, p, part.cursor(at)); err != nil {
		return View{}, err
	}
	d, err := s.plan(ctx, part.Get, p, uuids(p.Components), request{verb: toUpdate, Signing: p.signing(), force: part.ForceOverwrite, part: part})
	if err != nil {
		return View{}, withVerb(toUpdate, err)
	}
	done, err := s.publish(ctx, a, at, d, 200)
	if err != nil {
		return View{}, err
	}
	return done.Value.(View), nil
}

// FinishPart applies what a task with a part has committed.
func (s *Store) FinishPart(ctx context.Context, a *task.Attempt, n Name) (View, error) {
	done, err := s.apply(ctx, a, n, 200)
	if err != nil {
		return View{}, err
	}
	return done.Value.(View), nil
}

// UndoPart removes what a task with a part has staged, which has failed.
func (s *Store) UndoPart(ctx context.Context, a *task.Attempt, n Name) error {
	return s.undo(ctx, a, n)
}

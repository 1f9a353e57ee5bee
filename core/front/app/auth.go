package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"aptless/core/archive/origin"
	"aptless/core/engine/task"
	"aptless/core/front/api"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// Auth says which requests are answered.
type Auth struct {
	Closed      bool          // each request needs credentials
	Environment string        // digest of a token that may do all; "" is none
	Fresh       time.Duration // how long a token is remembered; 0 where no other process changes tokens

	AnyHost bool     // an open server answers requests for any host
	Hosts   []string // names besides localhost for which an open server answers

	Reach api.Reach // pages and proxies that are trusted

	// Caller returns the ARN of a caller whose AWS credentials are verified, "" of none.
	// If it is not nil, callers need these credentials and no tokens.
	Caller  func(context.Context) string
	IAMRole auth.Role // of such callers without a binding: auth.Admin, or "" for no grant

	Keep time.Duration // how long audit records are kept; 0 is audit.DefaultKeep
}

// protection decides on requests and on tasks before they run, and records them.
type protection struct {
	*Auth  // nil where nothing is refused or recorded
	tokens *auth.Store
	audit  *audit.Store
	log    *slog.Logger
	now    func() time.Time
	swept  time.Time // when old rows were removed last by this process
}

// guard returns the Guard that decides on requests; nil where none is refused.
func (p *protection) guard() *api.Guard {
	if p.Auth == nil {
		return nil
	}
	return &api.Guard{Closed: p.Closed, Tokens: p.tokens, Audit: p.audit, AnyHost: p.AnyHost, Hosts: p.Hosts, Reach: p.Reach, Caller: p.Caller, IAMRole: p.IAMRole}
}

// watch has each task be of a principal, and its end be recorded.
func (p *protection) watch(tasks *task.Store) *task.Store {
	if p.Auth != nil {
		tasks.Named, tasks.Ended = p.Closed, p.ended
	}
	return tasks
}

// takenAway says that a principal has lost a permission while its task waited.
func takenAway(need string) error {
	if need == "" {
		return task.Fail(http.StatusForbidden, "permission was taken away")
	}
	n := auth.ParseNeed(need)
	return task.Fail(http.StatusForbidden, "permission was taken away: %s", n.Label())
}

// allow decides again whether a task may begin, by the grants of this moment. That
// a token has expired does not count.
func (p *protection) allow(ctx context.Context, t task.Task) error {
	if t.By == nil {
		return nil
	}
	first := ""
	if len(t.Needs) > 0 {
		first = t.Needs[0]
	}
	principal, err := p.present(ctx, t.By)
	if isGone(err) {
		return takenAway(first)
	}
	if err != nil {
		return err
	}
	for _, need := range t.Needs {
		if auth.Decide(principal, auth.ParseNeed(need)) != nil {
			return takenAway(need)
		}
	}
	return nil
}

// present returns the principal of a task with the grants of this moment. An error for
// which isGone is true says that there is none any more.
func (p *protection) present(ctx context.Context, by *task.By) (*auth.Principal, error) {
	kind, gone := auth.Kind(by.Kind), &auth.Error{Status: http.StatusForbidden, Text: "the principal is gone"}
	switch kind {
	case auth.Open, auth.System:
		return auth.OpenPrincipal(), nil
	case auth.Env:
		if by.Key != p.tokens.Environment {
			return nil, gone
		}
		return auth.EnvironmentPrincipal(by.Key), nil
	case auth.IAM:
		if p.Auth == nil || p.Caller == nil {
			return nil, gone
		}
		if by.Key == "" {
			return p.tokens.Amazon(ctx, by.Name, p.IAMRole)
		}
		return p.tokens.Rebound(ctx, kind, by.Key, by.Name)
	case auth.Cert:
		return p.tokens.Rebound(ctx, kind, by.Key, by.Name)
	}
	return p.tokens.Recheck(ctx, by.Key)
}

// isGone reports whether an error says that a principal is gone.
func isGone(err error) bool {
	var gone *auth.Error
	return errors.As(err, &gone) && gone.Status == http.StatusForbidden
}

// sender is like present, and fails the task of a principal that is gone.
func (p *protection) sender(ctx context.Context, by *task.By) (*auth.Principal, error) {
	principal, err := p.present(ctx, by)
	if isGone(err) {
		return nil, takenAway("")
	}
	return principal, err
}

// may reports whether the principal of a task has a permission on a name at this moment.
func (p *protection) may(ctx context.Context, by *task.By, can, name string) (bool, error) {
	if by == nil {
		return true, nil // a task of the server
	}
	principal, err := p.present(ctx, by)
	if isGone(err) {
		return false, nil
	}
	return err == nil && auth.Decide(principal, auth.Need{Can: auth.Permission(can), Name: name}) == nil, err
}

// originBy describes the principal of a task in the origins of files. A short token has
// the claims of the job for which it was made.
func (p *protection) originBy(ctx context.Context, by *task.By) (origin.By, error) {
	o := origin.By{Kind: by.Kind, ID: by.ID, Name: by.Name, Owner: by.Owner}
	if auth.Kind(by.Kind) != auth.Short {
		return o, nil
	}
	t, err := p.tokens.Show(ctx, by.ID)
	var gone *auth.Error
	if errors.As(err, &gone) {
		return o, nil
	}
	o.Policy, o.Claims = t.Policy, t.Claims
	return o, err
}

// ended records the end of a task.
func (p *protection) ended(ctx context.Context, t task.Task) {
	r := audit.Record{Event: audit.TaskEnded, Task: t.ID, Of: t.Record, Status: t.Code, Error: auth.Redact(t.Error), By: audit.By{Kind: string(auth.System)}}
	if t.By != nil {
		r.By = audit.By{Kind: t.By.Kind, ID: t.By.ID, Name: t.By.Name, Owner: t.By.Owner}
	}
	if _, err := p.audit.Put(context.WithoutCancel(ctx), r); err != nil {
		p.log.Warn("the end of a task was not recorded", "task", t.ID, "error", err)
	}
}

// tick records refusals that were counted, and once an hour removes old rows.
func (p *protection) tick(ctx context.Context) error {
	if p.Auth == nil {
		return nil
	}
	err := errors.Join(p.audit.Flush(ctx), p.tokens.PushEdge(ctx))
	if now := p.now(); now.Sub(p.swept) >= time.Hour {
		p.swept = now
		err = errors.Join(err, p.tokens.Sweep(ctx), p.audit.Sweep(ctx))
	}
	return err
}

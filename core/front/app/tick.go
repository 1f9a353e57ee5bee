package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"aptless/core/archive/drop"
	"aptless/core/archive/mirror"
	"aptless/core/archive/publish"
	"aptless/core/archive/repo"
	"aptless/core/engine/driver"
	"aptless/core/engine/task"
	"aptless/core/front/api"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// App is the composed application.
type App struct {
	Handler    http.Handler // the API, and the published trees outside /api
	Dispatcher *task.Dispatcher

	tasks        *task.Store
	planners     map[string]task.Planner // planners of calendar entries, by kind
	publications *publish.Store
	repos        *repo.Store
	signatures   signatures
	now          func() time.Time
	mirrors      *mirror.Store
	drops        *drop.Store
	protection   *protection
	cleanups     *cleanups
	inside       *api.Inside // requests of pages to Handler
}

// Tick runs the due entries of the calendar, then sends lost messages again. Any
// process may call it, about once a minute.
func (a *App) Tick(ctx context.Context) error {
	return errors.Join(a.publications.TakeOver(ctx), a.mirrors.MigrateCalendar(ctx), a.cleanups.begin(ctx), a.tasks.Due(ctx, a.planners), a.Dispatcher.Resend(ctx, false), a.protection.tick(ctx))
}

// RenderAhead renders the indexes that the first publications of repositories need, for a
// process in which no task runs. The end of ctx ends it soon; a later call goes on.
func (a *App) RenderAhead(ctx context.Context) error {
	repos, err := a.repos.Sources(ctx)
	if err != nil {
		return err
	}
	return a.publications.RenderAhead(ctx, repos)
}

// CreateAdmin makes a token that may do everything, and asks for no
// credentials. It returns the token's ID and secret.
func (a *App) CreateAdmin(ctx context.Context, name string) (id, secret string, err error) {
	var p *audit.Pending
	order := auth.Order{Name: name, Grants: []auth.Grant{{Role: auth.Admin}}, Expires: auth.Never}
	made, err := a.protection.tokens.Create(ctx, &auth.Principal{Kind: auth.System}, order, func(t auth.Token) []driver.Op {
		if p == nil {
			p = a.protection.audit.Begin(audit.Record{Event: audit.TokenCreated, Of: t.ID, By: audit.By{Kind: string(auth.System)}})
		}
		return []driver.Op{p.Op}
	})
	if p != nil {
		p.Done(err)
	}
	return made.ID, made.Secret, err
}

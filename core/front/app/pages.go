package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"aptless/core/client"
	"aptless/core/engine/driver"
	"aptless/core/front/api"
	"aptless/core/front/pages"
)

// Pages are the settings of the pages for readers.
type Pages struct {
	pages.About
	Console string // path of the console; "" if there is none
}

// maxEntries bounds the entries of a folder on a page.
const maxEntries = 500

// handler returns the pages for readers, beside the published files. They ask the API by
// inside. Without settings there are the files only.
func (p *Pages) handler(tree *api.Tree, inside *api.Inside, now func() time.Time) (http.Handler, error) {
	if p == nil {
		return tree, nil
	}
	at := &http.Client{Transport: inside}
	reading := pages.Reading{
		Ask: func(r *http.Request) (context.Context, *client.Client) {
			return api.ForReader(r), &client.Client{URL: "http://api", HTTP: at}
		},
		Tree: tree,
		Folder: func(ctx context.Context, path, after string) ([]pages.Entry, string, bool, error) {
			found, next, err := tree.Entries(ctx, path, after, maxEntries)
			if errors.Is(err, driver.ErrNotFound) {
				return nil, "", false, nil
			}
			var list []pages.Entry
			for _, e := range found {
				list = append(list, pages.Entry(e))
			}
			return list, next, err == nil, err
		},
		Now: now, Log: tree.Log,
	}
	return pages.New(reading, p.About, p.Console)
}

// Inside returns a client of the API for a page that is made for the sender of r, and the
// context of its calls. The client has the credentials of r's connection, and no token.
func (a *App) Inside(r *http.Request) (context.Context, *client.Client) {
	return api.From(r), &client.Client{URL: "http://api", HTTP: &http.Client{Transport: a.inside}}
}

// serve makes the handler of a server, and the pages that ask it.
func (a *App) serve(server *api.Server, p *Pages) (err error) {
	a.inside = &api.Inside{}
	if server.Pages, err = p.handler(server.Tree, a.inside, a.now); err != nil {
		return err
	}
	a.Handler = server.Handler()
	a.inside.Handler = a.Handler
	return nil
}

package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/publish"
	"aptless/core/front/auth"
)

// forReaders are the routes that a page for readers may ask.
var forReaders = []string{"/api/publish", "/api/signing-keys", "/api/version", onePublication, onePublication + "/packages", onePublication + "/setup"}

const onePublication = "/api/publish/{prefix}/{distribution}"

// reader returns the call of a request by ForReader; ok is false for another request.
// Its principal may read all publications. hidden then leaves out the private ones of
// which the outer request's sender may not read the files.
func reader(ctx context.Context) (c *call, ok bool) {
	out, ok := ctx.Value(outsideKey{}).(outside)
	if !ok || !out.reader {
		return nil, false
	}
	outer := callOf(out.Context())
	return &call{principal: &auth.Principal{Kind: outer.principal.Kind, Grants: []auth.Grant{{Can: []auth.Permission{auth.PublishRead}}}},
		source: outer.source, hides: outer.hides, files: outer.principal}, true
}

// enterReader decides on a request by ForReader.
func enterReader(r *http.Request, c *call, ro *route) error {
	if ro == nil || r.Method != http.MethodGet || !slices.ContainsFunc(forReaders, ro.is) {
		return Errorf(http.StatusForbidden, "no page for readers has this request")
	}
	if strings.HasPrefix(strings.Join(ro.segments, "/"), onePublication) {
		if n := published(r); c.hidden(n.Storage, n.Prefix) {
			return Errorf(http.StatusForbidden, "no permission: %s", auth.TreeRead)
		}
	}
	return nil
}

// hidden reports whether a page for readers must not show a publication.
func (c *call) hidden(storage, prefix string) bool {
	return c.hides != nil && c.files != nil && !c.hides.Readable(c.files, storage, prefix)
}

// isPrivate reports whether reading the files of a prefix takes credentials.
func (c *call) isPrivate(storage, prefix string) bool {
	return c.hides != nil && c.hides.Of(auth.Prefix(storage, prefix)) != ""
}

// shown returns the publications that the sender of a request sees.
func shown(r *http.Request, views []publish.View) []publish.View {
	c := callOf(r.Context())
	views = readable(r, views, auth.PublishRead, func(v publish.View) string { return auth.Publication(v.Storage, v.Prefix, v.Distribution) })
	return slices.DeleteFunc(views, func(v publish.View) bool { return c.hidden(v.Storage, v.Prefix) })
}

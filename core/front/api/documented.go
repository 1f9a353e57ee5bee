package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"aptless/core/formats/openapi"
)

// schemes are the two ways to send a token.
func schemes() []openapi.Scheme {
	return []openapi.Scheme{
		{Name: "bearer", Kind: "bearer", About: "a token. A server without authentication ignores it"},
		{Name: "basic", Kind: "basic", About: "a token as the password; the user is not looked at"},
	}
}

// documented adds the access of its route, and the errors, to each operation.
func (rt *Router) documented(list []openapi.Operation) []openapi.Operation {
	access := map[string]Access{}
	for _, ro := range rt.routes {
		access[ro.method+" "+strings.Join(ro.segments, "/")] = ro.access
	}
	for i := range list {
		a := access[list[i].Method+" "+list[i].Path]
		list[i].Public = a.class == openToAll
		list[i].Access, list[i].Needs = a.describe(list[i].Path)
		list[i].Errors = a.faults(list[i])
	}
	return list
}

// describe returns a sentence on the access of a route, and the needs that its path says.
// Names in the needs are the parameters of the path, in braces.
func (a Access) describe(path string) (string, []string) {
	switch a.class {
	case openToAll:
		return "Needs no credentials.", nil
	case known:
		return "Any principal may call it.", nil
	case byBody:
		return "Any principal may call it. The body says which permissions are needed.", nil
	case onSome:
		return "Needs " + string(a.can) + " on some name. The answer has those names only.", nil
	}
	params := map[string]string{}
	for _, name := range openapi.PathParams(path) {
		params[name] = "{" + name + "}"
	}
	r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}}).WithContext(context.WithValue(context.Background(), paramsKey{}, params))
	list, err := a.needs(r)
	if err != nil {
		return "", nil
	}
	var needs, labels []string
	for _, n := range list {
		needs, labels = append(needs, n.String()), append(labels, n.Label())
	}
	return "Needs " + strings.Join(labels, ", ") + ". Options and names in the body may need more.", needs
}

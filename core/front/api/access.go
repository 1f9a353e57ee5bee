package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"aptless/core/archive/repo"
	"aptless/core/engine/task"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// Access says which principals may use a route. The zero value lets none pass.
type Access struct {
	class    accessClass
	recorded recorded
	asked    []asked         // of the class onNames
	can      auth.Permission // of the class onSome
}

type accessClass int

// recorded says how a route that changes something without a task is recorded.
type recorded int

const (
	notRecorded recorded = iota
	recordedAfter
	recordedAround // before the change, which is not made without a record, and after
)

// around has a route be recorded before and after its changes.
func (a Access) around() Access {
	a.recorded = recordedAround
	return a
}

// after has a route be recorded after its changes.
func (a Access) after() Access {
	a.recorded = recordedAfter
	return a
}

const (
	closedToAll accessClass = iota
	openToAll               // also without credentials
	known                   // any principal
	onNames                 // the needs that the path and the query say
	onSome                  // a permission on some name; the answer has those names only
	byBody                  // any principal; the handler decides on the body
)

// asked returns the needs that the path and the query of a request say.
type asked func(r *http.Request) ([]auth.Need, error)

func public() Access                  { return Access{class: openToAll} }
func anyPrincipal() Access            { return Access{class: known} }
func inBody() Access                  { return Access{class: byBody} }
func some(can auth.Permission) Access { return Access{class: onSome, can: can} }
func needs(first asked, more ...asked) Access {
	return Access{class: onNames, asked: append([]asked{first}, more...)}
}

// plain is a need of a kind without names.
func plain(can auth.Permission) asked {
	return func(*http.Request) ([]auth.Need, error) { return []auth.Need{{Can: can}}, nil }
}

// param is a need on the name in a path parameter.
func param(can auth.Permission, name string) asked {
	return func(r *http.Request) ([]auth.Need, error) { return []auth.Need{{Can: can, Name: Param(r, name)}}, nil }
}

// all is a need on all names.
func all(list ...auth.Permission) asked {
	return func(*http.Request) ([]auth.Need, error) {
		var needs []auth.Need
		for _, can := range list {
			name := auth.All
			if can == auth.PublishRead {
				name = auth.Publication("", auth.All, auth.All)
			}
			needs = append(needs, auth.Need{Can: can, Name: name})
		}
		return needs, nil
	}
}

// dirOf is a need on the upload directory in the path.
func dirOf(can auth.Permission) asked {
	return func(r *http.Request) ([]auth.Need, error) {
		dir, err := CleanDir(Param(r, "dir"))
		return []auth.Need{{Can: can, Name: dir}}, err
	}
}

// publication is a need on the publication in the path.
func publication(can auth.Permission) asked {
	return func(r *http.Request) ([]auth.Need, error) {
		n := published(r)
		need, err := onPublication(can, n.Storage, n.Prefix, n.Distribution)
		return []auth.Need{need}, err
	}
}

// onPublication returns a need on a publication. A prefix with an empty part is
// refused: no publication has one, and its end in the name could not be found.
func onPublication(can auth.Permission, storage, prefix, distribution string) (auth.Need, error) {
	if strings.Contains(storage+prefix, "//") {
		return auth.Need{}, Errorf(http.StatusBadRequest, "invalid prefix %.200s", prefix)
	}
	return auth.Need{Can: can, Name: auth.Publication(storage, prefix, distribution)}, nil
}

// importNeeds are those of imports and inclusions into the repository {name} from
// the directory {dir}.
func importNeeds(can auth.Permission) asked {
	return func(r *http.Request) ([]auth.Need, error) {
		name := Param(r, "name")
		dir, err := CleanDir(Param(r, "dir"))
		if err != nil {
			return nil, err
		}
		on := auth.Need{Name: name}
		if can == auth.RepoInclude && repo.IsTemplate(name) {
			on = auth.Need{Some: true} // each .changes names its repository
		}
		on.Can = can
		list := []auth.Need{on, {Can: auth.FilesWrite, Name: dir}}
		if Flag(r, "forceReplace") {
			on.Can = auth.RepoWrite
			list = append(list, on)
		}
		if can == auth.RepoInclude && (Flag(r, "acceptUnsigned") || Flag(r, "ignoreSignature")) {
			on.Can = auth.RepoImport
			list = append(list, on)
		}
		return list, nil
	}
}

// deliveryNeeds are those of a delivery to the repository {repo}.
func deliveryNeeds(r *http.Request) ([]auth.Need, error) {
	name := Param(r, "repo")
	list := []auth.Need{{Can: auth.RepoImport, Name: name}}
	if Flag(r, "forceReplace") {
		list = append(list, auth.Need{Can: auth.RepoWrite, Name: name})
	}
	at, err := publicationOf(r.URL.Query().Get("publish"))
	if err != nil || at == nil {
		return list, err
	}
	names := []string{at.Distribution}
	if Flag(r, "forceOverwrite") {
		names = append(names, auth.All)
	}
	for _, distribution := range names {
		need, err := onPublication(auth.PublishUpdate, at.Storage, at.Prefix, distribution)
		if err != nil {
			return nil, err
		}
		list = append(list, need)
	}
	return list, nil
}

// verifyNeeds are those of the snapshots that a verification looks at besides.
func verifyNeeds(r *http.Request) ([]auth.Need, error) {
	return named(auth.SnapshotRead, queryValues(r)["with"]), nil
}

// named returns a need on each name.
func named(can auth.Permission, names []string) []auth.Need {
	var list []auth.Need
	for _, name := range names {
		list = append(list, auth.Need{Can: can, Name: name})
	}
	return list
}

// needs returns the needs that path and query of a request say.
func (a Access) needs(r *http.Request) ([]auth.Need, error) {
	var list []auth.Need
	for _, ask := range a.asked {
		more, err := ask(r)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// decide returns nil if a principal may use a route for a request.
func (a Access) decide(r *http.Request, c *call) error {
	switch a.class {
	case openToAll, known, byBody:
		return nil
	case onSome:
		c.needs = append(c.needs, auth.Need{Can: a.can})
		return auth.DecideSome(c.principal, a.can)
	case onNames:
		list, err := a.needs(r)
		if err != nil {
			return err
		}
		c.needs = append(c.needs, list...)
		return auth.Decide(c.principal, list...)
	}
	return errors.New("route without access")
}

// call has the principal and the address of a request, and the needs decided so far.
type call struct {
	principal *auth.Principal
	source    string       // address
	needs     []auth.Need  // decided so far
	records   *audit.Store // nil where nothing is recorded

	hides   *auth.Private // the private prefixes; nil where there are none
	private bool          // the published file of the request is private

	files *auth.Principal // of a page for readers: decides which files its reader sees; else nil
}

type callKey struct{}

// callOf returns the call of a request. Without a Guard its principal may do all.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{principal: auth.OpenPrincipal(), source: "local"}
}

// may reports whether the sender of a request has a permission on a name.
func may(r *http.Request, can auth.Permission, name string) bool {
	return auth.Decide(callOf(r.Context()).principal, auth.Need{Can: can, Name: name}) == nil
}

// readable removes the elements of a list that the sender may not read.
func readable[T any](r *http.Request, list []T, can auth.Permission, name func(T) string) []T {
	return slices.DeleteFunc(list, func(v T) bool { return !may(r, can, name(v)) })
}

// sign sets the principal that a task works for, and the needs it was allowed by.
// Where there is no authentication, needs are not decided on again and not stored.
func (c *call) sign(spec *task.Spec) error {
	p, size := c.principal, 0
	spec.By = &task.By{Kind: string(p.Kind), ID: p.ID, Name: p.Name, Owner: p.Owner, Key: p.Digest}
	if p.Kind == auth.Open {
		return nil
	}
	for _, n := range c.needs {
		spec.Needs = append(spec.Needs, n.String())
		size += len(n.String())
	}
	if size > task.MaxNeeds {
		return Errorf(http.StatusBadRequest, "the request has names of %d bytes, of at most %d", size, task.MaxNeeds)
	}
	return nil
}

// sees reports whether the sender of a request sees a task: its own, or all.
func sees(r *http.Request, t task.Task, can auth.Permission) bool {
	p := callOf(r.Context()).principal
	own := t.By != nil && p.Owner != "" && t.By.Owner == p.Owner
	return own || auth.Decide(p, auth.Need{Can: can}) == nil
}

package api

import (
	"context"
	"net/http"
	"strings"

	"aptless/core/archive/publish/paths"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// privateParams is the body of a change of the private prefixes.
type privateParams struct {
	Private []string
	Digests string
	Version string
}

func (s *Server) privateRoutes(rt *Router) {
	const path = "/api/auth/access"
	manage := needs(plain(auth.AuthManage))
	rt.Handle("GET", path, manage, func(w http.ResponseWriter, r *http.Request) error {
		a, err := s.Tokens.Access(r.Context())
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, a)
	})
	rt.Handle("PUT", path, manage, func(w http.ResponseWriter, r *http.Request) error {
		body := privateParams{Private: []string{}}
		if err := bindStrict(r, &body, maxAuthBody); err != nil {
			return err
		}
		if s.Guard == nil || !s.Guard.Closed {
			return Errorf(http.StatusConflict, "this server has no authentication: nothing can be private")
		}
		wanted := auth.Private{Private: body.Private, Digests: body.Digests, Version: body.Version}
		if err := s.checkLayouts(r.Context(), wanted); err != nil {
			return err
		}
		also, done := callOf(r.Context()).beside(r, audit.AccessSet, strings.Join(body.Private, " "))
		a, err := s.Tokens.SetAccess(r.Context(), wanted, canonicalPrefix, also)
		done(err)
		if err != nil {
			return err
		}
		s.pushEdge(r.Context())
		return WriteJSON(w, http.StatusOK, a)
	})
}

// canonicalPrefix returns the form of a prefix by which tokens and private prefixes name
// it.
func canonicalPrefix(text string) string {
	storage, prefix := paths.ParsePrefix(text)
	return auth.Prefix(storage, prefix)
}

// checkLayouts refuses private prefixes beside publications whose paths have digests: the
// pool of digests is one for all prefixes.
func (s *Server) checkLayouts(ctx context.Context, a auth.Private) error {
	if len(a.Private) == 0 {
		return nil
	}
	list, err := s.Publish.List(ctx)
	if err != nil {
		return err
	}
	for _, v := range list {
		private := a.Of(auth.Prefix(v.Storage, v.Prefix)) != ""
		if v.PoolLayout == paths.HashLayout && (private || a.Digests != auth.DigestsPublic) {
			return Errorf(http.StatusConflict, "publication %s has the pool layout hash", auth.Publication(v.Storage, v.Prefix, v.Distribution))
		}
	}
	return nil
}

// checkPoolLayout refuses the pool layout of a new publication whose files could then not
// be read, or be read by others.
func (s *Server) checkPoolLayout(ctx context.Context, storage, prefix string, layout paths.Layout) error {
	if layout != paths.HashLayout {
		return nil
	}
	a, err := s.Tokens.Access(ctx)
	if err != nil {
		return err
	}
	if a.Of(auth.Prefix(storage, prefix)) != "" || len(a.Private) > 0 && a.Digests != auth.DigestsPublic {
		return Errorf(http.StatusBadRequest, "the pool layout hash is not for private prefixes, or beside them: its paths need tree.read on *")
	}
	return nil
}

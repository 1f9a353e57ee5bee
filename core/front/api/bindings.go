package api

import (
	"net/http"

	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// bindingParams is the body of PUT /api/auth/bindings/{name}.
type bindingParams struct {
	Kind   string
	Match  map[string][]string
	Owner  string
	Grants []auth.Grant
}

func (s *Server) bindingRoutes(rt *Router) {
	const all, one = "/api/auth/bindings", "/api/auth/bindings/{name}"
	manage := needs(plain(auth.AuthManage))
	rt.Handle("GET", all, manage, byName(func(w http.ResponseWriter, r *http.Request) error {
		list, err := s.Tokens.Bindings(r.Context())
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, list)
	}))
	rt.Handle("GET", one, manage, func(w http.ResponseWriter, r *http.Request) error {
		b, _, err := s.Tokens.Binding(r.Context(), Param(r, "name"))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, b)
	})
	rt.Handle("PUT", one, manage, s.setBinding)
	rt.Handle("DELETE", one, manage, func(w http.ResponseWriter, r *http.Request) error {
		name := Param(r, "name")
		also, done := callOf(r.Context()).beside(r, audit.BindingRemoved, name)
		gone, err := s.Tokens.RemoveBinding(r.Context(), name, also)
		if done(err); err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, gone)
	})
}

func (s *Server) setBinding(w http.ResponseWriter, r *http.Request) error {
	var body bindingParams
	if err := bindStrict(r, &body, maxAuthBody); err != nil {
		return err
	}
	c, name := callOf(r.Context()), Param(r, "name")
	also, done := c.beside(r, audit.BindingSet, name)
	b, err := s.Tokens.SetBinding(r.Context(), c.principal,
		auth.Binding{Name: name, Kind: auth.Kind(body.Kind), Match: body.Match, Owner: body.Owner, Grants: body.Grants}, also)
	if done(err); err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, b)
}

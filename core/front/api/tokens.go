package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// maxAuthBody bounds the body of a request below /api/auth, in bytes.
const maxAuthBody = 64 << 10

// tokenParams is the body of the creation of a token.
type tokenParams struct {
	Name    string
	Owner   string
	Kind    string
	Grants  []auth.Grant
	Expires string
}

// rotateParams is the body of a rotation.
type rotateParams struct{ Grace string }

// madeToken is the answer to a creation. No other answer has the secret.
type madeToken struct {
	auth.Token
	Secret string `json:"Token"`
}

// identity is the answer to the question which principal asks.
type identity struct {
	Kind    auth.Kind
	ID      string       `json:",omitempty"`
	Name    string       `json:",omitempty"`
	Owner   string       `json:",omitempty"`
	Expires time.Time    `json:",omitzero"`
	Policy  string       `json:",omitempty"`
	Grants  []auth.Grant `json:",omitempty"`
}

// bindStrict decodes a body of at most limit bytes of JSON that has no other fields than
// v. An empty body is taken for {}.
func bindStrict(r *http.Request, v any, limit int64) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return Errorf(http.StatusBadRequest, "%s", brokenOff(err))
	}
	if int64(len(data)) > limit {
		return Errorf(http.StatusRequestEntityTooLarge, "request body has more than %d bytes", limit)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if _, err := firstJSON(data); err != nil {
		return Errorf(http.StatusBadRequest, "%v", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return Errorf(http.StatusBadRequest, "%v", err)
	}
	if d.More() {
		return Errorf(http.StatusBadRequest, "the body has more than one JSON value")
	}
	return nil
}

func (s *Server) authRoutes(rt *Router) {
	manage := needs(plain(auth.AuthManage))
	rt.Handle("GET", "/api/auth/whoami", anyPrincipal(), func(w http.ResponseWriter, r *http.Request) error {
		p := callOf(r.Context()).principal
		if p.Kind == auth.Open {
			return WriteJSON(w, http.StatusOK, identity{Kind: auth.Open})
		}
		return WriteJSON(w, http.StatusOK, identity{p.Kind, p.ID, p.Name, p.Owner, p.Expires, p.Policy, p.Grants})
	})
	rt.Handle("POST", "/api/auth/tokens", manage, s.createToken)
	rt.Handle("GET", "/api/auth/tokens", manage, byName(func(w http.ResponseWriter, r *http.Request) error {
		views, err := s.Tokens.List(r.Context(), auth.Filter{Owner: Query(r, "owner"), Live: Flag(r, "live")})
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, views)
	}))
	rt.Handle("GET", "/api/auth/tokens/{id}", manage, func(w http.ResponseWriter, r *http.Request) error {
		view, err := s.Tokens.Show(r.Context(), Param(r, "id"))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, view)
	})
	rt.Handle("DELETE", "/api/auth/tokens/{id}", anyPrincipal(), s.revokeToken)
	rt.Handle("POST", "/api/auth/tokens/{id}/rotate", manage, func(w http.ResponseWriter, r *http.Request) error {
		var body rotateParams
		if err := bindStrict(r, &body, maxAuthBody); err != nil {
			return err
		}
		c := callOf(r.Context())
		also, done := c.alongside(r, audit.TokenRotated, http.StatusCreated)
		made, err := s.Tokens.Rotate(r.Context(), c.principal, Param(r, "id"), body.Grace, also)
		done(err)
		if err != nil {
			return err
		}
		s.pushEdge(r.Context())
		return WriteJSON(w, http.StatusCreated, madeToken{made.Token, made.Secret})
	})
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	var body tokenParams
	if err := bindStrict(r, &body, maxAuthBody); err != nil {
		return err
	}
	order := auth.Order{Name: body.Name, Owner: body.Owner, Kind: auth.Kind(body.Kind), Grants: body.Grants, Expires: body.Expires}
	c := callOf(r.Context())
	also, done := c.alongside(r, audit.TokenCreated, http.StatusCreated)
	made, err := s.Tokens.Create(r.Context(), c.principal, order, also)
	done(err)
	if err != nil {
		return err
	}
	s.pushEdge(r.Context())
	return WriteJSON(w, http.StatusCreated, madeToken{made.Token, made.Secret})
}

// revokeToken ends a token. Each principal may end its own, which it calls self.
func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	id, p := Param(r, "id"), callOf(r.Context()).principal
	if id == "self" {
		if p.Kind != auth.API && p.Kind != auth.Short {
			return Errorf(http.StatusBadRequest, "this request has no token that is stored")
		}
		id = p.ID
	} else if err := s.require(r, auth.Need{Can: auth.AuthManage}); err != nil {
		return err
	}
	also, done := callOf(r.Context()).alongside(r, audit.TokenRevoked, http.StatusOK)
	gone, err := s.Tokens.Revoke(r.Context(), p, id, also)
	done(err)
	if err != nil {
		return err
	}
	s.pushEdge(r.Context())
	return WriteJSON(w, http.StatusOK, gone)
}

// pushEdge writes changes into the store of the edge. A tick repeats it.
func (s *Server) pushEdge(ctx context.Context) {
	if err := s.Tokens.PushEdge(ctx); err != nil {
		s.Log.Warn("the edge does not know of a change yet", "error", err)
	}
}

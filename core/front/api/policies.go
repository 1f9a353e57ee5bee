package api

import (
	"net/http"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// policyParams is the body of a change of a policy. A Pin that is absent keeps the pinned
// claims, and their values.
type policyParams struct {
	Issuer   string
	Audience string
	Claims   map[string][]string
	Pin      []string
	Owner    string
	TTL      string
	Grants   []auth.Grant
}

// setPolicy is the answer to a change of a policy.
type setPolicy struct {
	auth.Policy
	Warnings []string
}

// exchangeParams is the body of an exchange. The names are those of PyPI's.
type exchangeParams struct {
	Token  string `json:"token"`
	Policy string `json:"policy"`
}

// exchanged is the answer to an exchange.
type exchanged struct {
	Token   string
	ID      string
	Expires time.Time
	Policy  string
	Grants  []auth.Grant
}

// audienceView is the answer to the question for which audience an ID token has to be.
type audienceView struct {
	Audience string `json:"audience"`
}

// maxExchange bounds the body of an exchange, in bytes.
const maxExchange = 20 << 10

func (s *Server) policyRoutes(rt *Router) {
	const one = "/api/auth/policies/{name}"
	manage := needs(plain(auth.AuthManage))
	rt.Handle("GET", "/api/auth/policies", manage, byName(func(w http.ResponseWriter, r *http.Request) error {
		list, err := s.Tokens.Policies(r.Context())
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, list)
	}))
	rt.Handle("GET", one, manage, func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.Tokens.Policy(r.Context(), Param(r, "name"))
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, p)
	})
	rt.Handle("PUT", one, manage, s.putPolicy)
	rt.Handle("DELETE", one, manage, func(w http.ResponseWriter, r *http.Request) error {
		c := callOf(r.Context())
		also, done := c.beside(r, audit.PolicyRemoved, Param(r, "name"))
		p, err := s.Tokens.RemovePolicy(r.Context(), c.principal, Param(r, "name"), also)
		done(err)
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, p)
	})
	rt.Handle("GET", "/api/auth/oidc/audience", public(), func(w http.ResponseWriter, _ *http.Request) error {
		if s.Address == "" {
			return Errorf(http.StatusNotFound, "this server does not know its own address: each policy has its own audience")
		}
		return WriteJSON(w, http.StatusOK, audienceView{s.Address})
	})
	rt.Handle("POST", "/api/auth/oidc/token", public(), s.exchange)
}

func (s *Server) putPolicy(w http.ResponseWriter, r *http.Request) error {
	var body policyParams
	if err := bindStrict(r, &body, maxAuthBody); err != nil {
		return err
	}
	c := callOf(r.Context())
	also, done := c.beside(r, audit.PolicySet, Param(r, "name"))
	p, err := s.Tokens.SetPolicy(r.Context(), c.principal, auth.Policy{Name: Param(r, "name"), Issuer: body.Issuer, Audience: body.Audience,
		Claims: body.Claims, Pin: body.Pin, Owner: body.Owner, TTL: body.TTL, Grants: body.Grants}, s.Address, also)
	done(err)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, setPolicy{p, p.Warnings()})
}

// exchange makes a short token for an ID token. The sender needs no other credentials.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) error {
	var body exchangeParams
	if err := bindStrict(r, &body, maxExchange); err != nil {
		return err
	}
	c := callOf(r.Context())
	var p *audit.Pending
	made, err := s.Tokens.Exchange(r.Context(), body.Token, body.Policy, c.source, func(t auth.Token) []driver.Op {
		if c.records == nil {
			return nil
		}
		if p == nil {
			rec := c.record(r, audit.Exchanged)
			rec.By = audit.By{Kind: string(t.Kind), ID: t.ID, Name: t.Name, Owner: t.Owner, Policy: t.Policy, Claims: t.Claims}
			rec.Of, rec.Status = t.ID, http.StatusCreated
			p = c.records.Begin(rec)
		}
		return []driver.Op{p.Op}
	})
	if p != nil {
		p.Done(err)
	}
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusCreated, exchanged{made.Secret, made.ID, made.Expires, made.Policy, made.Grants})
}

package app

import (
	"time"

	"aptless/core/engine/driver"
	"aptless/core/front/api"
	"aptless/core/front/auth"
)

// Auth says which requests are answered.
type Auth struct {
	Closed      bool          // each request needs credentials
	Environment string        // digest of a token that may do all; "" is none
	Fresh       time.Duration // how long a token is remembered; 0 where no other process changes tokens

	AnyHost bool     // an open server answers requests for any host
	Hosts   []string // names besides localhost for which an open server answers
}

func (a *Auth) closed() bool { return a != nil && a.Closed }

// store returns the store of tokens.
func (a *Auth) store(table driver.Table, now func() time.Time) *auth.Store {
	s := &auth.Store{Table: table, Now: now}
	if a != nil {
		s.Environment, s.Fresh = a.Environment, a.Fresh
	}
	return s
}

// guard returns what decides on requests, nil where none is refused.
func (a *Auth) guard(tokens *auth.Store) *api.Guard {
	if a == nil {
		return nil
	}
	return &api.Guard{Closed: a.Closed, Tokens: tokens, AnyHost: a.AnyHost, Hosts: a.Hosts}
}

package api

import (
	"net/http"

	"aptless/core/engine/driver"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

// record returns the record of an event of the call.
func (c *call) record(r *http.Request, event string) audit.Record {
	rec := audit.Record{Event: event, From: c.source, Method: r.Method, Path: auth.Redact(r.URL.Path)}
	if p := c.principal; p != nil {
		rec.By = audit.By{Kind: string(p.Kind), ID: p.ID, Name: p.Name, Owner: p.Owner, Policy: p.Policy, Claims: p.Claims}
	}
	for _, n := range c.needs {
		rec.Needs = append(rec.Needs, auth.Redact(n.String()))
	}
	return rec
}

// admission returns the function that makes the record of a task for the transaction of
// its admission. It is nil where nothing is recorded.
func (c *call) admission(r *http.Request) func(id int64) (string, driver.Op, func(error)) {
	if c.records == nil {
		return nil
	}
	return func(id int64) (string, driver.Op, func(error)) {
		rec := c.record(r, audit.TaskAdmitted)
		rec.Task, rec.Status = id, http.StatusAccepted
		p := c.records.Begin(rec)
		return p.Record.ID, p.Op, p.Done
	}
}

// alongside returns the function that makes the record of a changed token for its
// transaction. The caller calls the second function with the error of the transaction.
func (c *call) alongside(r *http.Request, event string, status int) (auth.Also, func(error)) {
	var p *audit.Pending
	if c.records == nil {
		return nil, func(error) {}
	}
	also := func(t auth.Token) []driver.Op {
		if p == nil {
			rec := c.record(r, event)
			rec.Of, rec.Status = t.ID, status
			p = c.records.Begin(rec)
		}
		return []driver.Op{p.Op}
	}
	return also, func(err error) {
		if p != nil {
			p.Done(err)
		}
	}
}

// beside returns the function that makes the record of a change of access for the
// transaction of the change. The caller calls the second function with the error of the
// transaction.
func (c *call) beside(r *http.Request, event, of string) (func() []driver.Op, func(error)) {
	var p *audit.Pending
	if c.records == nil {
		return func() []driver.Op { return nil }, func(error) {}
	}
	also := func() []driver.Op {
		if p == nil {
			rec := c.record(r, event)
			rec.Of, rec.Status = auth.Redact(of), http.StatusOK
			p = c.records.Begin(rec)
		}
		return []driver.Op{p.Op}
	}
	return also, func(err error) {
		if p != nil {
			p.Done(err)
		}
	}
}

package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"aptless/core/engine/driver"
	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

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

// refused records that a request is refused for its credentials or permissions.
func (rt *Router) refused(r *http.Request, status int, err error) {
	c := callOf(r.Context())
	var own *auth.Error
	event := map[int]string{http.StatusUnauthorized: audit.Refused, http.StatusForbidden: audit.Denied}[status]
	if status == http.StatusTooManyRequests && errors.As(err, &own) {
		event = audit.Limited
	}
	if c.records == nil || event == "" {
		return
	}
	rec := c.record(r, event)
	rec.Status, rec.Error = status, auth.Redact(err.Error())
	if err := c.records.Refuse(context.WithoutCancel(r.Context()), rec); err != nil {
		rt.Log.Error("a refusal was not recorded", "error", err)
	}
}

// changing calls a handler, and records it as the route says.
func (rt *Router) changing(w http.ResponseWriter, r *http.Request, ro *route) error {
	c := callOf(r.Context())
	if c.records == nil || ro.access.recorded == notRecorded {
		return ro.handle(w, r)
	}
	of := ""
	if ro.access.recorded == recordedAround {
		before, err := c.records.Put(r.Context(), c.record(r, audit.Call))
		if err != nil {
			rt.Log.Error("a change is refused: it was not recorded", "error", err)
			return Errorf(http.StatusServiceUnavailable, "the audit record cannot be written")
		}
		of = before.ID
	}
	err := ro.handle(w, r)
	rec := c.record(r, audit.Call)
	rec.Of, rec.Status = of, http.StatusOK
	if err != nil {
		rec.Status, rec.Error = statusOf(err), auth.Redact(err.Error())
	}
	if _, putErr := c.records.Put(context.WithoutCancel(r.Context()), rec); putErr != nil {
		rt.Log.Error("the end of a change was not recorded", "error", putErr)
	}
	return err
}

// admission returns what puts the record of a task into the transaction of its
// admission; nil where nothing is recorded.
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

// alongside returns what puts the record of a changed token into its transaction.
// The function that is returned has to be called with the end of that.
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

func (s *Server) auditRoutes(rt *Router) {
	rt.Handle("GET", "/api/audit", needs(plain(auth.AuditRead)), func(w http.ResponseWriter, r *http.Request) error {
		q, err := auditQuery(r)
		if err != nil {
			return err
		}
		page, err := s.Audit.Ask(r.Context(), q)
		if errors.Is(err, audit.ErrQuery) {
			return Errorf(http.StatusBadRequest, "%v", err)
		}
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, page)
	})
}

func auditQuery(r *http.Request) (q audit.Query, err error) {
	q = audit.Query{Event: Query(r, "event"), By: Query(r, "by"), Owner: Query(r, "owner"), Path: Query(r, "path"), From: Query(r, "from"), After: Query(r, "after")}
	for name, at := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := Query(r, name); text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return q, Errorf(http.StatusBadRequest, "invalid %s %.50q: a time as 2026-01-02T15:04:05Z", name, text)
			}
		}
	}
	for name, number := range map[string]*int{"limit": &q.Limit, "status": &q.Status} {
		if text := Query(r, name); text != "" {
			if *number, err = strconv.Atoi(text); err != nil {
				return q, Errorf(http.StatusBadRequest, "invalid %s %.50q", name, text)
			}
		}
	}
	if text := Query(r, "task"); text != "" {
		if q.Task, err = strconv.ParseInt(text, 10, 64); err != nil {
			return q, Errorf(http.StatusBadRequest, "invalid task %.50q", text)
		}
	}
	return q, nil
}

package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"aptless/core/front/audit"
	"aptless/core/front/auth"
)

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

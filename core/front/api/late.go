package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"aptless/core/engine/lock"
	"aptless/core/engine/task"
	"aptless/core/front/auth"
)

// restarter is an answer that can begin anew, because nothing of it has been sent. The
// answer of a function on AWS is one.
type restarter interface{ Restart() bool }

// Restart drops the answer, and reports whether it begins anew.
func (w *recorder) Restart() bool {
	inner, ok := w.ResponseWriter.(restarter)
	if !ok || !inner.Restart() {
		return false
	}
	for _, name := range []string{"Content-Encoding", "Content-Type", "Content-Length", "Link", "Vary", "X-List", "X-Next", "X-Total"} {
		w.Header().Del(name)
	}
	w.status, w.bytes, w.waiting, w.packed = 0, 0, false, nil
	return true
}

// restartable reports whether an answer can begin anew.
func (w *recorder) restartable() bool {
	_, ok := w.ResponseWriter.(restarter)
	return ok
}

// orTask returns a handler of a listing, which may answer 202 with a task that makes the
// answer. It does for a request with "Prefer: respond-async" (RFC 7240), and if the time of
// a function ends before the answer is complete. A page is never made by a task, because
// the value of a task has no header with the next page.
func (s *Server) orTask(h HandlerFunc) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, making := r.Context().Value(makingKey{}).(bool)
		out, _ := w.(*recorder)
		if making || r.URL.Query().Has("limit") {
			return h(w, r)
		}
		if preferred(r.Header.Values("Prefer")) {
			w.Header().Set("Preference-Applied", "respond-async")
			return s.makeLater(w, r)
		}
		if out == nil || s.Wait == 0 || !out.restartable() {
			return h(w, r)
		}
		ctx, cancel := s.limit(r.Context())
		defer cancel()
		late := func() bool { return ctx.Err() != nil && r.Context().Err() == nil }
		err := cutOff(late, func() error { return h(w, r.WithContext(ctx)) })
		if err == nil || !late() || !out.Restart() {
			return err
		}
		return s.makeLater(w, r)
	}
}

// preferred reports whether a client prefers an answer with a task.
func preferred(values []string) bool {
	for _, v := range values {
		for preference := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
				return true
			}
		}
	}
	return false
}

// asTasks has the listings of a router be made by tasks where they take long.
func (s *Server) asTasks(rt *Router) {
	for i := range rt.routes {
		if ro := &rt.routes[i]; ro.method == http.MethodGet && slices.Contains(listings, strings.Join(ro.segments, "/")) {
			ro.handle = s.orTask(ro.handle)
		}
	}
	if s.Listings != nil {
		s.Listings.router = rt
	}
}

// makeLater admits the task that makes the answer, and answers with it.
func (s *Server) makeLater(w http.ResponseWriter, r *http.Request) error {
	args := listingArgs{r.URL.EscapedPath(), r.URL.RawQuery}
	if len(args.Path)+len(args.Query) > task.MaxNeeds {
		return Errorf(http.StatusBadRequest, "the request has %d bytes, of at most %d", len(args.Path)+len(args.Query), task.MaxNeeds)
	}
	c := callOf(r.Context())
	sum := sha256.Sum256([]byte(c.principal.ID + "\n" + args.Path + "?" + args.Query))
	resource := "listing/" + hex.EncodeToString(sum[:16])
	spec := task.Spec{Kind: listingKind, Name: "List " + auth.Redact(r.URL.Path), Resources: []string{resource}, Locks: []lock.Want{{Resource: resource}}, Args: args}
	if err := c.sign(&spec); err != nil {
		return err
	}
	spec.Needs = nil // the task decides on the whole request again
	spec.Record = c.admission(r)
	t, err := s.Tasks.Admit(r.Context(), spec, false)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusAccepted, viewTask(t))
}

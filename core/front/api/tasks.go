package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"

	"aptless/core/engine/task"
	"aptless/core/front/auth"
)

func (s *Server) taskRoutes(rt *Router) {
	rt.Handle("GET", "/api/tasks", anyPrincipal(), s.listTasks)
	rt.Handle("POST", "/api/tasks-clear", anyPrincipal().around(), func(w http.ResponseWriter, r *http.Request) error {
		if err := s.Tasks.Clear(r.Context(), func(t task.Task) bool { return sees(r, t, auth.TasksManage) }); err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, struct{}{})
	})
	rt.Handle("GET", "/api/tasks-wait", anyPrincipal(), s.waitTasks)
	rt.Handle("GET", "/api/tasks/{id}", anyPrincipal(), s.withTask(http.StatusNotFound, auth.TasksRead, func(w http.ResponseWriter, r *http.Request, t task.Task) error {
		return WriteJSON(w, http.StatusOK, shownTask(r, t))
	}))
	rt.Handle("GET", "/api/tasks/{id}/wait", anyPrincipal(), s.withTask(http.StatusBadRequest, auth.TasksRead, func(w http.ResponseWriter, r *http.Request, t task.Task) error {
		now, err := s.wait(r.Context(), t)
		if errors.Is(err, task.ErrUnknown) {
			return unknownTask(http.StatusBadRequest, t.ID)
		}
		if err != nil {
			return err
		}
		if !now.State.Ended() {
			return WriteJSON(w, http.StatusAccepted, viewTask(now))
		}
		return WriteJSON(w, http.StatusOK, viewTask(now))
	}))
	rt.Handle("GET", "/api/tasks/{id}/output", anyPrincipal(), s.withTask(http.StatusNotFound, auth.TasksRead, func(w http.ResponseWriter, r *http.Request, t task.Task) error {
		out, err := s.Tasks.Output(r.Context(), s.Tasks.Fresh(t))
		if err == nil {
			out, err = outputFrom(r, out)
		}
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, out)
	}))
	rt.Handle("GET", "/api/tasks/{id}/detail", anyPrincipal(), s.withTask(http.StatusNotFound, auth.TasksRead, func(w http.ResponseWriter, _ *http.Request, t task.Task) error {
		data, err := detail(s.Tasks.Fresh(t))
		if err != nil {
			return err
		}
		return writeRaw(w, http.StatusOK, data)
	}))
	rt.Handle("GET", "/api/tasks/{id}/return_value", anyPrincipal(), s.withTask(http.StatusNotFound, auth.TasksRead, func(w http.ResponseWriter, r *http.Request, t task.Task) error {
		if !t.State.Ended() || t.NoValue {
			return writeRaw(w, http.StatusOK, []byte("null"))
		}
		return s.returnValue(w, r, t)
	}))
	rt.Handle("POST", "/api/tasks/{id}/cancel", anyPrincipal().around(), s.withTask(http.StatusNotFound, auth.TasksManage, s.cancelTask))
	rt.Handle("DELETE", "/api/tasks/{id}", anyPrincipal().around(), s.withTask(http.StatusBadRequest, auth.TasksManage, s.deleteTask))
}

// returnValue answers with the result of a task, as a returnValue has it. A large value goes
// from the storage to the client. An answer that breaks off is never complete JSON.
func (s *Server) returnValue(w http.ResponseWriter, r *http.Request, t task.Task) error {
	value, err := s.Tasks.OpenValue(r.Context(), t)
	if err != nil {
		return err
	}
	defer value.Close()
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(http.StatusOK)
	fmt.Fprintf(w, `{"Code":%d,"Value":`, t.Code) // an error means that the client has disconnected
	if _, err := io.Copy(w, value); err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, "}")
	return nil
}

// waitTasks waits for all tasks. It answers 202 if some have not ended within s.Wait.
func (s *Server) waitTasks(w http.ResponseWriter, r *http.Request) error {
	limited, cancel := s.limit(r.Context())
	defer cancel()
	err := s.Tasks.WaitAll(limited, s.awaited(r))
	if err != nil && limited.Err() != nil && r.Context().Err() == nil {
		return WriteJSON(w, http.StatusAccepted, struct{}{})
	}
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, struct{}{})
}

// awaited returns which tasks the sender of a request waits for; nil is all.
func (s *Server) awaited(r *http.Request) func(task.Task) bool {
	if auth.Decide(callOf(r.Context()).principal, auth.Need{Can: auth.TasksRead}) == nil {
		return nil
	}
	return func(t task.Task) bool { return sees(r, t, auth.TasksRead) }
}

func (s *Server) deleteTask(w http.ResponseWriter, r *http.Request, t task.Task) error {
	gone, err := s.Tasks.Delete(r.Context(), t.ID)
	switch {
	case errors.Is(err, task.ErrUnknown):
		return unknownTask(http.StatusBadRequest, t.ID)
	case errors.Is(err, task.ErrNotEnded):
		return Errorf(http.StatusBadRequest, "task with id %d is still in state=%d", t.ID, gone.State)
	case err != nil:
		return err
	}
	return WriteJSON(w, http.StatusOK, viewTask(gone))
}

// cancelTask stops a task that has not committed. A running task ends at its next
// checkpoint; the answer is its current state.
func (s *Server) cancelTask(w http.ResponseWriter, r *http.Request, t task.Task) error {
	now, err := s.Tasks.Cancel(r.Context(), t.ID)
	switch {
	case errors.Is(err, task.ErrUnknown):
		return unknownTask(http.StatusNotFound, t.ID)
	case errors.Is(err, task.ErrEnded):
		return Errorf(http.StatusConflict, "task with id %d has ended", t.ID)
	case errors.Is(err, task.ErrCommitted):
		return Errorf(http.StatusConflict, "task with id %d has committed its changes and cannot be cancelled", t.ID)
	case err != nil:
		return err
	}
	return WriteJSON(w, http.StatusOK, viewTask(now))
}

// detail returns the progress of a task. A running task has its part of the work in the
// field Phase. An ended task has the number of its storage requests in Requests.
func detail(t task.Task) ([]byte, error) {
	data := bytes.TrimSpace(t.Detail)
	if data == nil {
		data = []byte("{}")
	}
	if !t.State.Ended() && t.Phase != "" {
		phase, err := json.Marshal(t.Phase)
		return withField(data, "Phase", phase), err
	}
	if !t.State.Ended() || len(t.Requests) == 0 {
		return data, nil
	}
	requests, err := json.Marshal(t.Requests)
	if err != nil {
		return nil, err
	}
	return withField(data, "Requests", requests), nil
}

func unknownTask(status int, id int64) error {
	return Errorf(status, "could not find task with id %d", id)
}

// withTask reads the task that the path names. It answers with the status unknown if
// there is none, and if the sender has no permission on it.
func (s *Server) withTask(unknown int, can auth.Permission, h func(http.ResponseWriter, *http.Request, task.Task) error) HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := strconv.ParseInt(Param(r, "id"), 10, 64)
		if err != nil {
			return err // answered with 500 and strconv's text, as aptly does
		}
		t, err := s.Tasks.Get(r.Context(), id)
		if errors.Is(err, task.ErrUnknown) || err == nil && !sees(r, t, can) {
			return unknownTask(unknown, id)
		}
		if err != nil {
			return err
		}
		return h(w, r, t)
	}
}

// taskDetails is the view of a task with format=details. A time that has not
// come yet is absent.
type taskDetails struct {
	taskView
	Kind                       string
	Error                      string `json:",omitempty"`
	Code                       int    `json:",omitempty"` // HTTP status of the result
	Output                     int    // bytes
	Tries                      int    // attempts in a row that ended with an error
	Committed                  bool   // it can no longer fail
	Created, Started, Finished string `json:",omitempty"` // RFC 3339
}

func detailsOf(t task.Task) taskDetails {
	d := taskDetails{taskView: viewTask(t), Kind: t.Kind, Error: t.Error, Code: t.Code, Committed: t.Committed, Tries: t.Failures,
		Output: t.OutputSize + len(t.Output) + len(t.Live)}
	d.Created, d.Started, d.Finished = moment(t.Created), moment(t.Started), moment(t.Finished)
	return d
}

// taskFilter returns which tasks a listing wants by state= and kind=. state= is
// aptly's number: 0 idle, 1 running, 2 succeeded, 3 failed.
func taskFilter(r *http.Request) (func(task.Task) bool, error) {
	state, kind := Query(r, "state"), Query(r, "kind")
	n, err := strconv.Atoi(state)
	if state != "" && (err != nil || n < int(task.Idle) || n > int(task.Failed)) {
		return nil, Errorf(http.StatusBadRequest, "invalid state %.20q: 0 to 3", state)
	}
	return func(t task.Task) bool {
		return sees(r, t, auth.TasksRead) && (state == "" || int(t.State) == n) && (kind == "" || t.Kind == kind)
	}, nil
}

// listTasks answers with the tasks that a request wants. limit=, state=, kind= and
// format=details are additions to aptly's API.
func (s *Server) listTasks(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	wanted, err := taskFilter(r)
	if err != nil {
		return err
	}
	after, err := strconv.ParseInt(p.after, 10, 64)
	if p.after != "" && (err != nil || after < 0) {
		return errAfter(p.after)
	}
	if p.limit == 0 {
		p.limit = int(^uint(0) >> 1)
	}
	all := s.Tasks.After(r.Context(), after)
	if text := Query(r, "last"); text != "" {
		return s.lastTasks(w, r, text, kept(all, wanted))
	}
	got, err := take(p.limit, kept(all, wanted), func(t task.Task) string { return strconv.FormatInt(t.ID, 10) })
	if err == nil {
		got.total, err = counted(p, kept(s.Tasks.After(r.Context(), 0), wanted))
	}
	if err != nil {
		return err
	}
	return writePage(w, got, func(t task.Task) any { return shownTask(r, t) })
}

// lastTasks answers with the last tasks of a listing, the newest first. text is their
// number.
func (s *Server) lastTasks(w http.ResponseWriter, r *http.Request, text string, all iter.Seq2[task.Task, error]) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return Errorf(http.StatusBadRequest, "invalid last %.20q: 1 to %d", text, maxPage)
	}
	var last []task.Task
	for t, err := range all {
		if err != nil {
			return err
		}
		if last = append(last, t); len(last) == 2*n {
			last = append(last[:0], last[n:]...)
		}
	}
	last = last[max(0, len(last)-n):]
	slices.Reverse(last)
	return writePage(w, taken[task.Task]{items: last}, func(t task.Task) any { return shownTask(r, t) })
}

// shownTask returns the view that a request wants of a task.
func shownTask(r *http.Request, t task.Task) any {
	if Query(r, "format") == "details" {
		return detailsOf(t)
	}
	return viewTask(t)
}

// outputFrom returns the part of a task's output that begins at the byte from=. A
// position after the end gives "".
func outputFrom(r *http.Request, out string) (string, error) {
	text := Query(r, "from")
	if text == "" {
		return out, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return "", Errorf(http.StatusBadRequest, "invalid from %.20q: a number of bytes", text)
	}
	return out[min(n, len(out)):], nil
}

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
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
	rt.Handle("GET", "/api/tasks/{id}", anyPrincipal(), s.withTask(http.StatusNotFound, auth.TasksRead, func(w http.ResponseWriter, _ *http.Request, t task.Task) error {
		return WriteJSON(w, http.StatusOK, viewTask(t))
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
		out, err := s.Tasks.Output(r.Context(), t)
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, out)
	}))
	rt.Handle("GET", "/api/tasks/{id}/detail", anyPrincipal(), s.withTask(http.StatusNotFound, auth.TasksRead, func(w http.ResponseWriter, _ *http.Request, t task.Task) error {
		data, err := detail(t)
		if err != nil {
			return err
		}
		return writeRaw(w, http.StatusOK, data)
	}))
	rt.Handle("GET", "/api/tasks/{id}/return_value", anyPrincipal(), s.withTask(http.StatusNotFound, auth.TasksRead, func(w http.ResponseWriter, r *http.Request, t task.Task) error {
		if !t.State.Ended() || t.NoValue {
			return writeRaw(w, http.StatusOK, []byte("null"))
		}
		value, err := s.Tasks.Value(r.Context(), t)
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, returnValue{t.Code, value})
	}))
	rt.Handle("POST", "/api/tasks/{id}/cancel", anyPrincipal().around(), s.withTask(http.StatusNotFound, auth.TasksManage, s.cancelTask))
	rt.Handle("DELETE", "/api/tasks/{id}", anyPrincipal().around(), s.withTask(http.StatusBadRequest, auth.TasksManage, s.deleteTask))
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

// detail returns the progress of a task. The detail of an ended task also has the
// number of its storage requests in the field Requests.
func detail(t task.Task) ([]byte, error) {
	data := bytes.TrimSpace(t.Detail)
	if data == nil {
		data = []byte("{}")
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

func (s *Server) listTasks(w http.ResponseWriter, r *http.Request) error {
	views := []taskView{}
	for t, err := range s.Tasks.All(r.Context()) {
		if err != nil {
			return err
		}
		if sees(r, t, auth.TasksRead) {
			views = append(views, viewTask(t))
		}
	}
	return WriteJSON(w, http.StatusOK, views)
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

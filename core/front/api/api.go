package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"aptless/core/archive/deliver"
	"aptless/core/archive/keyring"
	"aptless/core/archive/mirror"
	"aptless/core/archive/pool"
	"aptless/core/archive/publish"
	"aptless/core/archive/query"
	"aptless/core/archive/repo"
	"aptless/core/archive/snapshot"
	"aptless/core/archive/upload"
	"aptless/core/engine/driver"
	"aptless/core/engine/gc"
	"aptless/core/engine/task"
	"aptless/core/formats/graphviz"
)

// Server has what the endpoints need.
type Server struct {
	Version string
	Async   bool // the default of _async
	Log     *slog.Logger

	Tasks     *task.Store
	Pool      *pool.Store
	Uploads   *upload.Store
	Repos     *repo.Store
	Snapshots *snapshot.Store
	Mirrors   *mirror.Store
	Publish   *publish.Store
	Collector *gc.Collector
	Repairs   Repairs
	Keyrings  *keyring.Store

	Deliveries *deliver.Store
	Tree       *Tree

	Dependencies query.Options // of listings with dependencies

	Nodes func(context.Context) ([]graphviz.Node, error) // of the graph of everything
	Draw  Draw

	Problems func() []string // what an operator should mend; nil without

	Space   func() (Space, error) // nil where storage has no end
	Metrics *Metrics              // nil without

	Direct driver.Direct // nil where clients send all files through the API

	Base context.Context // of waits that outlive their request

	// Wait is how long a request waits for a task before it is answered with
	// 202 and the task as it is; 0 is without limit. Where there is a limit,
	// nothing goes on behind an answer.
	Wait time.Duration
}

// Handler returns the handler of all routes.
func (s *Server) Handler() http.Handler {
	rt := &Router{Log: s.Log, Fallback: s.Tree, Metrics: s.Metrics}
	s.probeRoutes(rt)
	rt.Handle("GET", "/api/storage", s.storage)
	s.endpointRoutes(rt)
	s.documentRoutes(rt)
	if s.Metrics != nil {
		rt.Handle("GET", "/api/metrics", s.metrics())
	}
	s.taskRoutes(rt)
	s.fileRoutes(rt)
	rt.Handle("POST", "/api/upload/{repo}", s.deliver)
	s.repoRoutes(rt)
	s.mirrorRoutes(rt)
	s.snapshotRoutes(rt)
	s.packageRoutes(rt)
	s.publishRoutes(rt)
	s.gpgRoutes(rt)
	rt.Handle("GET", "/api/graph.{ext}", s.graph)
	rt.Handle("GET", "/repos/", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, err := io.WriteString(w, "<pre>\n"+s.Tree.folders()+"</pre>\n")
		return err
	})
	rt.Handle("POST", "/api/db/cleanup", func(w http.ResponseWriter, r *http.Request) error {
		return s.run(w, r, s.Collector.Check(), nil)
	})
	rt.Handle("POST", "/api/db/repair", s.repair)
	return rt
}

func constant(v any) HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, http.StatusOK, v) }
}

// run admits a task and answers for it: at once with the task, or when it has
// ended with its result.
func (s *Server) run(w http.ResponseWriter, r *http.Request, spec task.Spec, err error) error {
	if err != nil {
		return err
	}
	async := Async(r, s.Async)
	t, err := s.Tasks.Admit(r.Context(), spec, !async)
	if err != nil {
		return err
	}
	if async {
		return WriteJSON(w, http.StatusAccepted, viewTask(t))
	}
	t, err = s.finish(r.Context(), t)
	if err != nil {
		return err
	}
	if !t.State.Ended() {
		return WriteJSON(w, http.StatusAccepted, viewTask(t))
	}
	if t.State == task.Failed {
		return &Error{t.Code, t.Error}
	}
	value, err := s.Tasks.Value(r.Context(), t)
	if err != nil {
		return err
	}
	s.forget(t.ID)
	if t.NoValue {
		return writeRaw(w, http.StatusOK, []byte("null"))
	}
	if t.Code == http.StatusNoContent {
		return writeNothing(w)
	}
	return writeRaw(w, t.Code, withWarnings(value, t))
}

// finish waits for a task and, unless its value is still to be read, removes
// its record: also when the client goes away meanwhile. A task that has not
// ended when the time to wait is over keeps it.
func (s *Server) finish(ctx context.Context, t task.Task) (task.Task, error) {
	ended, err := s.wait(ctx, t)
	if err != nil {
		if ctx.Err() != nil && s.Wait == 0 {
			go func() {
				if _, err := s.Tasks.Wait(s.Base, t.ID); err == nil {
					s.forget(t.ID)
				}
			}()
		}
		return t, err
	}
	if ended.State == task.Failed {
		s.forget(ended.ID)
	}
	return ended, nil
}

// wait returns the task once it has ended, or as it is when the time to wait is over.
func (s *Server) wait(ctx context.Context, t task.Task) (task.Task, error) {
	limited, cancel := s.limit(ctx)
	defer cancel()
	now, err := s.Tasks.Wait(limited, t.ID)
	if err == nil || limited.Err() == nil || ctx.Err() != nil {
		return now, err
	}
	if now.ID == 0 { // the last reading was broken off
		now = t
	}
	return now, nil
}

// reserve is what is kept of the time of a request to answer that its task goes on.
const reserve = 2 * time.Second

// limit returns a context that ends when the time to wait is over.
func (s *Server) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Wait == 0 {
		return ctx, func() {}
	}
	wait := s.Wait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-reserve)
	}
	return context.WithTimeout(ctx, wait)
}

func (s *Server) forget(id int64) {
	if _, err := s.Tasks.Delete(s.Base, id); err != nil {
		s.Log.Warn("record of a task is left", "task", id, "error", err)
	}
}

// taskView is a task as clients see it.
type taskView struct {
	Name      string
	ID        int64
	State     task.State
	Resources []string
	Warnings  []string `json:",omitempty"` // of aptless
}

func viewTask(t task.Task) taskView {
	return taskView{t.Name, t.ID, t.State, t.Resources, t.Warnings}
}

// returnValue is the result of a task as clients see it.
type returnValue struct {
	Code  int
	Value json.RawMessage
}
